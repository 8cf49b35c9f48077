//! One key may ask only so often.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation, one_key};
use crate::alert::AlertKind;
use crate::step::{Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-throttle-key",
    title: "one key is slowed down",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0040"],
    owasp: &["ML01:2023", "ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Slows the key behind an attack that needs many questions.
pub(super) struct ThrottleKey;

impl Action for ThrottleKey {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        let key = alert.caller.clone()?;
        if !matches!(alert.kind, AlertKind::BoundaryWalk | AlertKind::Probing | AlertKind::Extraction) {
            return None;
        }
        let playbook = situation.playbook;
        Some(Draft {
            why: "the attack needs many questions; slow, it gains almost nothing".to_owned(),
            undo: Undo::By { plain: format!("key {key} asks as fast as before") },
            lasts_ms: playbook.throttle_ms,
            on_expiry: OnExpiry::Undo,
            blast_radius: one_key(alert.traffic),
            automatic: alert.confidence >= Confidence::Medium,
            action: Containment::ThrottleKey { key, per_minute: playbook.throttle_per_minute },
        })
    }
}
