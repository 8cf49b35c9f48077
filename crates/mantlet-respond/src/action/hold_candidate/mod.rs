//! A candidate cannot be promoted.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation};
use crate::alert::AlertKind;
use crate::step::{BlastRadius, Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-hold-candidate",
    title: "a candidate is kept from being used",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0010", "AML.T0018"],
    owasp: &["ML02:2023", "ML06:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Keeps a model version or data set with findings out of use until a person has decided.
pub(super) struct HoldCandidate;

impl Action for HoldCandidate {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        if !matches!(alert.kind, AlertKind::Backdoor | AlertKind::Artifact | AlertKind::Data) {
            return None;
        }
        if alert.facts.contains_key("batch") {
            // The ledger of batches holds it, and people let it through there.
            return None;
        }
        let subject = alert.version.clone().or_else(|| alert.subject.clone())?;
        Some(Draft {
            why: "what was found must be understood before it is used".to_owned(),
            undo: Undo::By { plain: format!("{subject} may be promoted or trained on again") },
            lasts_ms: situation.playbook.hold_ms,
            on_expiry: OnExpiry::Remind,
            blast_radius: BlastRadius {
                callers: Some(0),
                per_minute: Some(0.0),
                share: Some(0.0),
                plain: "nobody who uses the system; only whoever wants to promote it".to_owned(),
            },
            automatic: true,
            action: Containment::HoldCandidate { system: alert.system.clone(), subject },
        })
    }
}
