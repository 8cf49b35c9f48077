//! A pickle that runs commands is kept in a file of another kind.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "file-embedded-pickle",
    title: "a pickle that runs commands is kept in a file of another kind",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0011.000", "AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle that runs commands is kept in a file of another kind.
pub(crate) struct FileEmbeddedPickle;

impl Rule for FileEmbeddedPickle {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::EmbeddedPickles(pickles) = facts else { return };
        for pickle in pickles.iter().take(16) {
            let written = if pickle.encoded { "in base64 " } else { "" };
            let message = format!("a pickle {written}starts here; loading it calls {}", pickle.call);
            found.push(ABOUT.finding(place.at(Span::at(pickle.offset)), message));
        }
    }
}
