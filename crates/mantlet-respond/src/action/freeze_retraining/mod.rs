//! No model learns from any batch while it is not known what one learned.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation};
use crate::alert::AlertKind;
use crate::step::{BlastRadius, Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-freeze-retraining",
    title: "retraining is held",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023", "ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Keeps every batch of training data from being learned from until a person has found the cause.
pub(super) struct FreezeRetraining;

impl Action for FreezeRetraining {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        let (why, automatic) = match alert.kind {
            AlertKind::Performance if alert.confidence >= Confidence::Medium => {
                ("the next model would learn what makes this one err", true)
            }
            // The batch itself is held already; whether the others can be trusted is for a person to say.
            AlertKind::Data => ("whoever turned this batch may have turned others before it", false),
            AlertKind::Backdoor if alert.serving => {
                ("what planted the mark may still be in the data that the next model learns from", false)
            }
            _ => return None,
        };
        let system = alert.system.clone();
        Some(Draft {
            why: why.to_owned(),
            undo: Undo::By {
                plain: format!("models of {system} may learn again from batches that were let through"),
            },
            lasts_ms: situation.playbook.freeze_ms,
            on_expiry: OnExpiry::Remind,
            blast_radius: BlastRadius {
                callers: Some(0),
                per_minute: Some(0.0),
                share: Some(0.0),
                plain: "nobody who uses the system; only whoever wants to train its next version".to_owned(),
            },
            automatic,
            action: Containment::FreezeRetraining { system },
        })
    }
}
