//! A model card leaves questions open.

use mantlet_formats::Facts;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::Rule;

const ABOUT: About = About {
    name: "card-incomplete",
    title: "a model card leaves questions open",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0010.003"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A model card leaves questions open.
pub(crate) struct CardIncomplete;

impl Rule for CardIncomplete {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let Facts::Card(card) = facts else { return };
        if card.missing.is_empty() && card.defect.is_none() {
            return;
        }
        let license = card.license.as_deref().unwrap_or("not named");
        let message = format!(
            "the card answers {} of {} questions ({} %); missing: {}; licence: {license}",
            card.present.len(),
            card.present.len() + card.missing.len(),
            card.score(),
            card.missing.join(", ")
        );
        found.push(
            ABOUT
                .finding(place.clone(), message)
                .fact("score", card.score())
                .fact("claimed", card.present.join(", "))
                .fact("base", card.base.join(", ")),
        );
    }
}
