//! A pickle refers to objects outside itself.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "pickle-persistent-id",
    title: "a pickle refers to objects outside itself",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A pickle refers to objects outside itself.
pub(crate) struct PicklePersistentId;

impl Rule for PicklePersistentId {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Pickle(pickle) = facts else { return };
        if pickle.persistent > 0 {
            let example = pickle.persistent_example.as_deref().unwrap_or_default();
            let message = format!("{} persistent ids, the first is {example}", pickle.persistent);
            found.push(ABOUT.finding(place.clone(), message));
        }
    }
}
