//! A person decides what one key asks.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation, one_key};
use crate::alert::AlertKind;
use crate::step::{Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-divert-key",
    title: "one key's decisions go to a person",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0015"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Keeps the model's decisions for one key from taking effect until a person has looked.
pub(super) struct DivertKey;

impl Action for DivertKey {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        let key = alert.caller.clone()?;
        let attack = match alert.kind {
            AlertKind::BoundaryWalk => situation.incident.system_impact >= Impact::High || situation.rung > 0,
            AlertKind::Probing | AlertKind::Extraction => situation.rung > 0,
            AlertKind::Outlier | AlertKind::Profile => false,
            AlertKind::Other
            | AlertKind::Dependency
            | AlertKind::Data
            | AlertKind::Drift
            | AlertKind::Performance
            | AlertKind::Artifact
            | AlertKind::Regression
            | AlertKind::Backdoor => return None,
        };
        // Odd inputs are more often a broken feed than an attack: offered, never done unasked.
        let offered = matches!(alert.kind, AlertKind::Outlier | AlertKind::Profile)
            && situation.incident.system_impact >= Impact::Medium;
        if !attack && !offered {
            return None;
        }
        let why = if attack {
            "what this key gets decided may be what an attacker wanted decided"
        } else {
            "the model was not made for such inputs, so its answers to them are guesses"
        };
        Some(Draft {
            why: why.to_owned(),
            undo: Undo::By { plain: format!("key {key} gets the model's decisions at once again") },
            lasts_ms: situation.playbook.divert_ms,
            on_expiry: OnExpiry::Undo,
            blast_radius: one_key(alert.traffic),
            automatic: attack && alert.confidence >= Confidence::Medium,
            action: Containment::DivertKey { key },
        })
    }
}
