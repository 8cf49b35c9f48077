//! A confirmed attack becomes a guard rule.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::{Action, Draft, Situation};
use crate::step::{BlastRadius, Containment, OnExpiry, Undo};

const ABOUT: About = About {
    name: "action-pin-rule",
    title: "a confirmed attack becomes a rule of the guard",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &["AML.T0015"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Gives the guard the rule that a confirmed attack yielded.
pub(super) struct PinRule;

impl Action for PinRule {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, situation: &Situation<'_>) -> Option<Draft> {
        let alert = situation.alert;
        let draft = alert.rule.clone()?;
        // Without a case there is nothing to replay, so nobody could tell whether the rule works.
        if alert.cases.is_empty() {
            return None;
        }
        Some(Draft {
            why: "the attack is understood and stored; replayed, it must be stopped".to_owned(),
            undo: Undo::By { plain: format!("the guard forgets the rule {}", draft.name) },
            lasts_ms: situation.playbook.pin_ms,
            on_expiry: OnExpiry::Remind,
            blast_radius: BlastRadius {
                callers: None,
                per_minute: None,
                share: None,
                plain: "whoever sends requests like the attack's; replay the benign traffic to see whether \
                        anybody else does"
                    .to_owned(),
            },
            automatic: alert.confidence == Confidence::High,
            action: Containment::PinRule {
                system: alert.system.clone(),
                name: draft.name,
                plain: draft.plain,
                rule: draft.rule,
            },
        })
    }
}
