//! One key is refused.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation, one_key};
use crate::alert::AlertKind;
use crate::step::{Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-block-key",
    title: "one key is refused",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0040"],
    owasp: &["ML01:2023", "ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Refuses the key behind an attack that went on although it was slowed down.
pub(super) struct BlockKey;

impl Action for BlockKey {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        let key = alert.caller.clone()?;
        if situation.rung == 0
            || !matches!(alert.kind, AlertKind::BoundaryWalk | AlertKind::Probing | AlertKind::Extraction)
        {
            return None;
        }
        Some(Draft {
            why: "the attack went on after the key was slowed down".to_owned(),
            undo: Undo::By { plain: format!("key {key} is answered again") },
            lasts_ms: situation.playbook.block_ms,
            on_expiry: OnExpiry::Undo,
            blast_radius: one_key(alert.traffic),
            automatic: alert.confidence >= Confidence::Medium,
            action: Containment::BlockKey { key },
        })
    }
}
