//! A Keras layer loads a model or a file from elsewhere.

use mantlet_formats::Facts;
use mantlet_formats::keras::Danger;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "keras-outside-file",
    title: "a Keras layer loads a model or a file from elsewhere",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000", "AML.T0010.003"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A Keras layer loads a model or a file from elsewhere.
pub(crate) struct KerasOutsideFile;

impl Rule for KerasOutsideFile {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Keras(model) = facts else { return };
        for suspect in &model.suspects {
            let place = place.part(suspect.path.clone());
            match &suspect.danger {
                Danger::LoadsModel { class, path } => {
                    let message = match path.as_str() {
                        "" => format!("`{class}` loads a model of another format"),
                        path => format!("`{class}` loads the model at `{path}`"),
                    };
                    found.push(ABOUT.finding(place, message));
                }
                Danger::ReadsFile { class, path } => {
                    let message = format!("`{class}` reads its vocabulary from `{path}`");
                    let escapes =
                        path.contains("://") || path.starts_with(['/', '~', '\\']) || path.contains("..");
                    let escapes = escapes || path.get(1..2) == Some(":");
                    let finding = ABOUT.finding(place, message);
                    found.push(if escapes { finding } else { finding.severity(Severity::Note) });
                }
                Danger::Climbs { name } => {
                    let message = format!("the name of a layer is a path upwards: `{name}`");
                    found.push(ABOUT.finding(place, message));
                }
                _ => {}
            }
        }
    }
}
