//! A credential lies in an artifact.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "secret-in-artifact",
    title: "a credential lies in an artifact",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0055"],
    owasp: &["LLM02:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A credential lies in an artifact.
pub(crate) struct SecretInArtifact;

impl Rule for SecretInArtifact {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Secrets(secrets) = facts else { return };
        for secret in secrets {
            found.push(
                ABOUT
                    .finding(place.at(Span::at(secret.offset)), format!("this looks like a {}", secret.kind)),
            );
        }
    }
}
