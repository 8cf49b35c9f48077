//! Torch would not load the file with weights_only=True.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "torch-weights-only",
    title: "torch would not load the file with weights_only=True",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Torch would not load the file with weights_only=True.
pub(crate) struct TorchWeightsOnly;

impl Rule for TorchWeightsOnly {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        if pickle.storages == 0 && !pickle.torch_legacy {
            return;
        }
        let refused = pickle.refused_by_weights_only();
        if refused.is_empty() {
            return;
        }
        let shown = refused.iter().take(4).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = if refused.len() > 4 { ", …" } else { "" };
        let message = format!("`torch.load(weights_only=True)` refuses {shown}{more}");
        found.push(ABOUT.finding(place.clone(), message).fact("refused", refused.len()));
    }
}
