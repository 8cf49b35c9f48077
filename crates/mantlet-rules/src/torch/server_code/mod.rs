//! An archive of torch brings Python code that its server or importer runs.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "torch-server-code",
    title: "an archive of torch brings Python code that its server or importer runs",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// An archive of torch brings Python code that its server or importer runs.
pub(crate) struct TorchServerCode;

impl Rule for TorchServerCode {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Torch(torch) = facts else { return };
        for (file, runner) in torch.code.iter().take(32) {
            found
                .push(ABOUT.finding(place.clone(), format!("`{file}`: {runner}")).fact("file", file.clone()));
        }
        for escape in &torch.escapes {
            let message = format!("{escape}, which leads out of the archive");
            found.push(ABOUT.finding(place.clone(), message).severity(Severity::Suspicious));
        }
    }
}
