//! An earlier version answers again.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation, everyone};
use crate::alert::AlertKind;
use crate::step::{Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-roll-back",
    title: "the last known-good version answers again",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0018"],
    owasp: &["ML06:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Goes back to the last known-good version when the one that answers cannot be trusted.
pub(super) struct RollBack;

impl Action for RollBack {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        if !alert.serving || !matches!(alert.kind, AlertKind::Backdoor | AlertKind::Artifact) {
            return None;
        }
        let malicious = alert.kind == AlertKind::Backdoor
            || alert.facts.get("worst").and_then(serde_json::Value::as_str) == Some("malicious");
        let from = alert.version.clone();
        let undo = match &from {
            Some(from) => Undo::By { plain: format!("version {from} answers again") },
            None => Undo::None {
                why: "the version that answered before is not known; promote one by hand".to_owned(),
            },
        };
        Some(Draft {
            why: "the version that answers now cannot be trusted, an earlier one was".to_owned(),
            undo,
            lasts_ms: situation.playbook.roll_back_ms,
            on_expiry: OnExpiry::Remind,
            blast_radius: everyone(alert.traffic, "everybody who uses this system gets the earlier version"),
            automatic: malicious && alert.confidence == Confidence::High,
            action: Containment::RollBack { system: alert.system.clone(), from, to: None },
        })
    }
}
