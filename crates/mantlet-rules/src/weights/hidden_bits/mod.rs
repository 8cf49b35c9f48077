//! The low bits of weights carry something.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "weights-hidden-bits",
    title: "the low bits of weights carry something",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.002"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The low bits of weights carry something.
pub(crate) struct WeightsHiddenBits;

impl Rule for WeightsHiddenBits {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::LowBits(tensors) = facts else { return };
        for hit in tensors {
            let (ordered, all) = hit.windows;
            let what = match hit.hides {
                Some(what) => format!("begin like {what}"),
                None => format!("are not noise in {ordered} of {all} windows"),
            };
            let message = match hit.hides {
                Some(what) if hit.windows == (0, 0) => {
                    format!("{} bits of each number of tensor `{}` are {what}", hit.bits, hit.tensor)
                }
                _ => format!("the lowest {} bits of tensor `{}` {what}", hit.bits, hit.tensor),
            };
            let mut finding = ABOUT.finding(place.at(Span::at(hit.at)), message);
            if ordered > 0 {
                finding = finding.fact("entropy", (hit.entropy * 1_000.0).round() / 1_000.0);
            }
            found.push(finding);
        }
    }
}
