//! Figures of robustness that are no attack: what noise is survived with proof, what happens under everyday damage,
//! whether confidence can be believed, where the model is worst.

pub mod calibration;
pub mod corruptions;
pub mod interval;
pub mod segments;
pub mod smoothing;

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// What the cards of this family share.
const FIGURE: About = About {
    name: "",
    title: "",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0043", "AML.T0015"],
    owasp: &["ML01:2023"],
    explain: "",
    cases: "",
};
