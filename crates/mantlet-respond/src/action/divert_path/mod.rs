//! A person decides everything on a route.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation, everyone};
use crate::alert::AlertKind;
use crate::step::{Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-divert-path",
    title: "everything a system decides goes to a person",
    severity: Severity::Note,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0015", "AML.T0031"],
    owasp: &["ML01:2023", "ML09:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Takes the decision away from the model where its decisions cannot be trusted for anybody.
pub(super) struct DivertPath;

impl Action for DivertPath {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        let many = situation.incident.callers.len() >= situation.playbook.coordinated_callers;
        let why = match alert.kind {
            AlertKind::Backdoor | AlertKind::Artifact if alert.serving => {
                "what the model decides for anybody may be what an attacker wants"
            }
            AlertKind::Performance if alert.confidence == Confidence::High => {
                "the model errs more than it used to, and nobody knows yet in whose favour"
            }
            AlertKind::Regression => "an attack that was stopped before now works for anybody who knows it",
            AlertKind::BoundaryWalk | AlertKind::Probing | AlertKind::Extraction if many => {
                "several keys do the same at once, so stopping single keys will not end it"
            }
            _ => return None,
        };
        let system = alert.system.clone();
        // Everybody waits for a person: only a system that can hurt people is better off so without being asked.
        let automatic = situation.incident.system_impact == Impact::Critical
            && alert.confidence == Confidence::High
            && !alert.kind.is_hint()
            && !alert.kind.recurs();
        Some(Draft {
            why: why.to_owned(),
            undo: Undo::By { plain: format!("{system} decides by itself again") },
            lasts_ms: situation.playbook.divert_path_ms,
            on_expiry: OnExpiry::Undo,
            blast_radius: everyone(alert.traffic, "everybody who uses this system"),
            automatic,
            action: Containment::DivertPath { system, route: alert.route.clone() },
        })
    }
}
