//! Weights differ from their base in a way training does not leave.

use mantlet_formats::Facts;
use mantlet_formats::weights::Oddity;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "weights-tampered",
    title: "weights were changed in a way training does not leave",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.000", "AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Weights differ from their base in a way training does not leave.
pub(crate) struct WeightsTampered;

impl Rule for WeightsTampered {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Deviations(tensors) = facts else { return };
        for hit in tensors {
            let message = match hit.oddity {
                Oddity::Rows { changed, of } => format!(
                    "only {changed} of {of} rows of `{}` differ from the base, the others are the same to the bit",
                    hit.tensor
                ),
                Oddity::Spikes { count, largest, base } => format!(
                    "{count} values of `{}` reach {largest:.3e}, where the base stays within {base:.3e}",
                    hit.tensor
                ),
                Oddity::Loud { times } => format!(
                    "one row of `{}` is {times} times as long as the others: one token speaks for the model",
                    hit.tensor
                ),
                Oddity::Bits { bits, changed } => format!(
                    "the lowest {bits} bits of {changed} values of `{}` were replaced, and nothing above them",
                    hit.tensor
                ),
            };
            found.push(ABOUT.finding(place.part(hit.tensor.clone()), message));
        }
    }
}
