//! The list of detectors.

use mantlet_vocab::About;

use crate::Detector;

/// Every detector, in the order of reports.
#[must_use]
pub fn all() -> Vec<Box<dyn Detector>> {
    Vec::new()
}

/// The identity cards of every detector and of pinned rules.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    Vec::new()
}
