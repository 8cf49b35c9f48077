//! From signals to an action, by each rule's policy and mode.

use std::thread;

use std::collections::BTreeSet;

use mantlet_vocab::{Action, Detail, Mode, OnFailure, Signal};

use crate::{Failure, RulePolicy};

/// How long a caller is told to wait when a detector's signal throttles, in milliseconds.
const RETRY_AFTER: u64 = 60_000;

/// What the signals so far lead to.
#[derive(Debug, Clone)]
pub(crate) struct Weighed {
    /// What is done.
    pub(crate) action: Action,
    /// What an enforcing guard would do.
    pub(crate) proposed: Action,
    /// The rule behind `action`.
    pub(crate) by: String,
    /// Rules that failed, and how.
    pub(crate) failed: Vec<(String, Failure)>,
    /// Rules whose finds are taken out.
    pub(crate) redacts: BTreeSet<String>,
    /// What is left of the answer by the order of pinned rules.
    pub(crate) detail: Option<Detail>,
    /// Whether another rule asks for less detail too; how much is left is then the route's choice.
    pub(crate) coarsens: bool,
}

impl Default for Weighed {
    fn default() -> Self {
        Self {
            action: Action::Allow,
            proposed: Action::Allow,
            by: String::new(),
            failed: Vec::new(),
            redacts: BTreeSet::new(),
            detail: None,
            coarsens: false,
        }
    }
}

impl Weighed {
    pub(crate) fn add(&mut self, wanted: Action, rule: &str, mode: Mode) {
        let done = if mode == Mode::Enforce { wanted.clone() } else { wanted.clone().min(Action::Flag) };
        if done > self.action {
            self.action = done;
            rule.clone_into(&mut self.by);
        }
        if wanted > self.proposed {
            self.proposed = wanted;
        }
    }

    /// The rule was to take something out that cannot be taken out: then the whole may not pass.
    pub(crate) fn cannot_redact(&mut self, rule: &str, policy: &RulePolicy, mode: Mode) {
        if self.redacts.remove(rule) {
            self.add(Action::Refuse, rule, policy.mode.unwrap_or(mode));
        }
    }

    /// The rule panicked.
    pub(crate) fn fail(&mut self, rule: &str, policy: &RulePolicy, mode: Mode) {
        self.fail_as(rule, policy, mode, Failure::Panic);
    }

    /// The rule failed. Its own choice holds, in observe and advise as a mark only.
    pub(crate) fn fail_as(&mut self, rule: &str, policy: &RulePolicy, mode: Mode, failure: Failure) {
        if self.failed.iter().any(|(failed, _)| failed == rule) {
            return;
        }
        let action = match policy.on_failure {
            OnFailure::Refuse => Action::Refuse,
            OnFailure::Divert => Action::Divert,
            OnFailure::PassAndFlag => Action::Flag,
        };
        self.add(action, rule, policy.mode.unwrap_or(mode));
        self.failed.push((rule.to_owned(), failure));
    }
}

/// Weighs what one rule said, or that it failed.
pub(crate) fn weigh(
    weighed: &mut Weighed,
    signals: &mut Vec<Signal>,
    said: thread::Result<Option<Signal>>,
    rule: &str,
    policy: &RulePolicy,
    mode: Mode,
) {
    match said {
        Err(_) => weighed.fail(rule, policy, mode),
        Ok(None) => {}
        Ok(Some(signal)) => {
            let reached = |limit: Option<f64>| limit.is_some_and(|limit| signal.score >= limit);
            let wanted = if reached(policy.refuse) {
                Action::Refuse
            } else if reached(policy.divert) {
                Action::Divert
            } else if reached(policy.step_up) {
                Action::StepUp
            } else if reached(policy.throttle) {
                Action::Throttle { retry_after_ms: RETRY_AFTER }
            } else if reached(policy.coarsen) {
                // How much is left is the route's choice; see the guard.
                weighed.coarsens = true;
                Action::Coarsen { to: Detail::Label }
            } else if reached(policy.redact) {
                if policy.mode.unwrap_or(mode) == Mode::Enforce {
                    weighed.redacts.insert(rule.to_owned());
                }
                Action::Redact
            } else if reached(policy.flag) {
                Action::Flag
            } else {
                return;
            };
            weighed.add(wanted, rule, policy.mode.unwrap_or(mode));
            signals.push(signal);
        }
    }
}

/// Strongest first.
pub(crate) fn sort(signals: &mut [Signal]) {
    signals.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
}

/// What a caller is told. The schema's words help an honest client; the rest would teach an attacker.
pub(crate) fn words(by: &str, signals: &[Signal]) -> String {
    match by {
        "input-off-schema" => signals
            .iter()
            .find(|signal| signal.name == by)
            .map_or_else(|| "the request does not fit the model".into(), |signal| signal.message.clone()),
        "query-budget-spent" => "the budget of new inputs for this key is spent".into(),
        "secret-exposed" => "the text holds a credential".into(),
        "personal-data" => "the text holds data about a person".into(),
        "blocked-term" | "prompt-leak" | "link-exfiltration" => {
            "the text holds what may not pass here; ask in another way".into()
        }
        "tool-not-allowed" => "the model asked for a tool that it may not use".into(),
        "prompt-injection" | "prompt-jailbreak" | "injection-suspected" => {
            "the request reads like an attempt to change the model's instructions".into()
        }
        "indirect-injection" | "text-invisible" => {
            "a document or tool's answer in the request holds instructions to the model".into()
        }
        "prompt-variations" | "prompt-persistence" => "the same was asked too often".into(),
        _ => "this use of the key needs a person's attention".into(),
    }
}
