//! The guard of one route.
//!
//! Long because the order in which it decides is one story.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;
use mantlet_detectors::text::{TextRules, text_abouts};
use mantlet_detectors::{
    CallerState, Detector, Encoded, Observation, Outcome, PinnedRule, Plan, Profile, RowFacts,
};
use mantlet_vocab::{Action, Decision, Millis, NamedValue, Reply, Request, Signal};

use crate::callers::{Callers, Withheld, rows_hash};
use crate::controls::KeyControl;
use crate::labels::{labels, margins};
use crate::peers::{self, Line, Note, Seen};
use crate::text::{TextGuard, TextState, failures};
use crate::verdict::{Weighed, sort, weigh, words};
use crate::{Controls, Failure, GuardConfig, RulePolicy, TokenBucket};

/// The rule that pinned rules report under.
pub(crate) const PINNED: &str = "pinned-attack";

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The key's id, never the key.
    pub key: &'a str,
}

/// Why a guard cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The configuration names a rule that does not exist.
    #[error("there is no rule `{name}`; `mantlet explain` lists them")]
    UnknownRule {
        /// The name.
        name: String,
    },
    /// The text rules cannot be made.
    #[error(transparent)]
    Text(#[from] mantlet_detectors::text::TextConfigError),
}

/// What inspecting a request gave; kept until the reply is there.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The decision before the model is asked, and after [`Guard::observe_reply`] the final one.
    pub decision: Decision,
    /// Why, in words the caller may read: they help an honest client and teach an attacker nothing.
    pub reason: String,
    /// The number of the request's last row in the caller's stream; 0 when it was not looked at.
    pub row: u64,
    /// What must be changed in a passing request's text before it is forwarded.
    pub edits: Vec<mantlet_wire::text::Edit>,
    /// When the decision is to step up: what the caller sends back once it has authenticated again.
    pub challenge: Option<String>,
    encoded: Option<Encoded>,
    pub(crate) text: Option<TextState>,
}

/// The guard of one route.
pub struct Guard {
    config: GuardConfig,
    profile: Option<Arc<Profile>>,
    /// A profile was to be there and is not: rules that need it fail.
    lacking: bool,
    plan: Plan,
    pub(crate) detectors: Vec<(RulePolicy, Box<dyn Detector>)>,
    pinned_policy: RulePolicy,
    pinned: ArcSwap<Vec<Arc<PinnedRule>>>,
    controls: Arc<Controls>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) text: TextGuard,
    pub(crate) line: Line,
}

impl Guard {
    /// A guard. Without a profile only limits and controls work, and [`Guard::gaps`] says so.
    ///
    /// # Errors
    /// When the configuration names rules that do not exist.
    pub fn new(
        config: GuardConfig,
        profile: Option<Arc<Profile>>,
        pinned: Vec<PinnedRule>,
        controls: Arc<Controls>,
    ) -> Result<Self, GuardError> {
        Self::with_detectors(config, profile, pinned, controls, mantlet_detectors::all())
    }

    /// A guard with detectors of one's own.
    ///
    /// # Errors
    /// When the configuration names rules that do not exist.
    pub fn with_detectors(
        config: GuardConfig,
        profile: Option<Arc<Profile>>,
        pinned: Vec<PinnedRule>,
        controls: Arc<Controls>,
        detectors: Vec<Box<dyn Detector>>,
    ) -> Result<Self, GuardError> {
        let text = TextRules::new(&config.text)?;
        let of_text = text_abouts();
        let known = |name: &str| {
            name == PINNED
                || detectors.iter().any(|d| d.about().name == name)
                || of_text.iter().any(|about| about.name == name)
                || config.judges.iter().any(|judge| judge == name)
        };
        if let Some(name) = config.rules.keys().find(|name| !known(name)) {
            return Err(GuardError::UnknownRule { name: name.clone() });
        }
        let policy = |name: &str| {
            config.rules.get(name).copied().unwrap_or_else(|| RulePolicy::for_rule(name, config.impact))
        };
        let detectors = detectors.into_iter().map(|d| (policy(d.about().name), d)).collect();
        Ok(Self {
            pinned_policy: policy(PINNED),
            text: TextGuard::new(text, policy),
            detectors,
            callers: Arc::new(Callers::new(config.callers, config.memory)),
            pinned: ArcSwap::from_pointee(pinned.into_iter().map(Arc::new).collect()),
            plan: profile.as_ref().map(|profile| profile.plan()).unwrap_or_default(),
            profile,
            lacking: false,
            controls,
            line: Line::default(),
            config,
        })
    }

    /// The policy of a rule.
    pub(crate) fn policy(&self, name: &str) -> RulePolicy {
        let named = self.config.rules.get(name).copied();
        named.unwrap_or_else(|| RulePolicy::for_rule(name, self.config.impact))
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &GuardConfig {
        &self.config
    }

    /// The profile, when there is one.
    #[must_use]
    pub const fn profile(&self) -> Option<&Arc<Profile>> {
        self.profile.as_ref()
    }

    /// The switches.
    #[must_use]
    pub const fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }

    /// Pinned rules in force.
    #[must_use]
    pub fn pinned(&self) -> Vec<PinnedRule> {
        self.pinned.load().iter().map(|rule| (**rule).clone()).collect()
    }

    /// Adds a pinned rule; one of the same id is replaced. In force from the next request on.
    pub fn pin(&self, rule: PinnedRule) {
        let rule = Arc::new(rule);
        self.pinned.rcu(|rules| {
            let mut next: Vec<_> = rules.iter().filter(|other| other.id != rule.id).cloned().collect();
            next.push(Arc::clone(&rule));
            next
        });
    }

    /// Removes a pinned rule; says whether there was one.
    pub fn unpin(&self, id: &str) -> bool {
        let before =
            self.pinned.rcu(|rules| rules.iter().filter(|rule| rule.id != id).cloned().collect::<Vec<_>>());
        before.iter().any(|rule| rule.id == id)
    }

    /// Callers remembered now.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// What is remembered of callers, for storing over a restart.
    #[must_use]
    pub fn states(&self) -> Vec<(String, CallerState)> {
        self.callers.states()
    }

    /// Takes back what was stored.
    pub fn restore(&self, states: Vec<(String, CallerState)>) {
        for (key, state) in states {
            let last = state.last;
            self.callers.with(&key, last, |caller| caller.state = state);
        }
    }

    /// Without the profile that should be there, as when its file was lost: every rule that needs it fails, and its own
    /// `on_failure` says what then happens.
    #[must_use]
    pub fn lacking_profile(mut self) -> Self {
        self.lacking = self.profile.is_none();
        self
    }

    /// Whether a profile should be there and is not.
    #[must_use]
    pub const fn is_lacking_profile(&self) -> bool {
        self.lacking
    }

    /// Goes on with the memory of the guard it replaces: what callers did, which answers were withheld from them,
    /// and how much of their limits is spent. Requests still in flight there are remembered here too.
    #[must_use]
    pub fn succeeding(mut self, before: &Self) -> Self {
        self.succeed(before);
        self.line_of(before)
    }

    /// What the guard before remembers of callers goes on under these rules.
    pub fn succeed(&mut self, before: &Self) {
        self.callers = Arc::clone(&before.callers);
    }

    /// Decides before the model is asked: [`Guard::admit`], then [`Guard::examine`].
    #[must_use]
    pub fn inspect(&self, caller: Caller<'_>, request: &Request, now: Millis) -> Inspection {
        self.admit(caller, now).unwrap_or_else(|| self.examine(caller, request, now))
    }

    /// Blocks, throttles and limits, which need no look at the request: ask before its body is read. `None` lets it
    /// through to [`Guard::examine`]. Takes a token from the caller's bucket.
    #[must_use]
    pub fn admit(&self, caller: Caller<'_>, now: Millis) -> Option<Inspection> {
        self.controlled(caller, now)
    }

    /// Whether a switch shuts this caller out now: for connections that stay open.
    #[must_use]
    pub fn is_blocked(&self, caller: Caller<'_>, now: Millis) -> bool {
        self.controls.read(|keys, _| {
            let list = keys.get(caller.key).map_or(&[][..], Vec::as_slice);
            list.iter().any(|control| control.in_force(now) && control.what == KeyControl::Block)
        })
    }

    /// The decision, when everything of this caller goes to a person now: for traffic that is not looked at.
    #[must_use]
    pub fn diverts(&self, caller: Caller<'_>, now: Millis) -> Option<Inspection> {
        self.diverted(caller, now).map(|reason| self.plain(Action::Divert, reason))
    }

    /// What is decided of an exchange whose request is not looked at.
    #[must_use]
    pub fn unseen(&self, caller: Caller<'_>, now: Millis) -> Inspection {
        self.conclude(Vec::new(), Weighed::default(), self.diverted(caller, now), 0, None)
    }

    /// Looks at the request of an admitted caller and decides, before the model is asked.
    #[must_use]
    pub fn examine(&self, caller: Caller<'_>, request: &Request, now: Millis) -> Inspection {
        let diverted = self.diverted(caller, now);
        let Some(profile) = &self.profile else {
            let mut weighed = Weighed::default();
            for (policy, detector) in self.detectors.iter().filter(|_| self.lacking) {
                weighed.fail_as(detector.about().name, policy, self.config.mode, Failure::Missing);
            }
            return self.conclude(Vec::new(), weighed, diverted, 0, None);
        };
        let rows = request.inputs.iter().filter_map(|input| input.value.shape().first()).max();
        if rows.is_some_and(|&rows| rows > self.config.rows) {
            let reason = format!("more than {} rows in one request", self.config.rows);
            return self.plain(Action::Refuse, reason);
        }
        let values = request.inputs.iter().map(|input| input.value.shape().iter().product::<usize>());
        if values.fold(0_usize, usize::saturating_add) > self.config.tensor_values {
            return self.all_failed(Failure::Overload, diverted);
        }
        let started = self.micros();
        let late = || self.micros().saturating_sub(started) > self.config.tensor_micros;
        // The rooms are pure; a panic in one is that rule's failure, and what then happens is its policy.
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let encoded = profile.encode_by(&self.plan, &request.inputs);
            let rows = rows_hash(&encoded);
            let (facts, before) = self.callers.with(caller.key, now, |caller| {
                let before = caller.withheld(rows).cloned();
                (caller.state.advance(profile, &encoded, &self.config.state, now), before)
            });
            (encoded, facts, before, rows)
        }));
        let Ok((encoded, facts, before, rows)) = looked else {
            return self.all_failed(Failure::Panic, diverted);
        };
        self.line.tell(caller, now, || peers::asked(&encoded, rows));
        let (signals, mut weighed) =
            if late() { Default::default() } else { self.judge(profile, &request.inputs, &encoded, &facts) };
        if late() {
            self.fail_all(Failure::Timeout, &mut weighed);
        }
        let row = facts.last().map_or(0, |facts| facts.row);
        let mut inspection = self.conclude(signals, weighed, diverted, row, Some(encoded));
        match before {
            // What was withheld stays withheld: a bisection's point sent again lies on no new line.
            Some(before) if before.action > inspection.decision.action => {
                let decision = &mut inspection.decision;
                decision.action = before.action.clone();
                decision.proposed = decision.proposed.clone().max(before.action);
                decision.signals.extend(before.signals);
                sort(&mut decision.signals);
                inspection.reason = before.reason;
            }
            _ => self.remember(caller, &inspection, rows, now),
        }
        self.ask_again(caller, &mut inspection, now);
        inspection
    }

    /// No rule could look: each of them has failed.
    fn all_failed(&self, failure: Failure, diverted: Option<String>) -> Inspection {
        let mut weighed = Weighed::default();
        self.fail_all(failure, &mut weighed);
        self.conclude(Vec::new(), weighed, diverted, 0, None)
    }

    fn fail_all(&self, failure: Failure, weighed: &mut Weighed) {
        for (policy, detector) in &self.detectors {
            weighed.fail_as(detector.about().name, policy, self.config.mode, failure);
        }
        if !self.pinned.load().is_empty() {
            weighed.fail_as(PINNED, &self.pinned_policy, self.config.mode, failure);
        }
    }

    /// Remembers that the answer to these rows was withheld because of what a rule saw.
    fn remember(&self, caller: Caller<'_>, inspection: &Inspection, rows: u64, now: Millis) {
        let decision = &inspection.decision;
        let by_rule =
            !decision.signals.is_empty() && matches!(decision.action, Action::Divert | Action::Refuse);
        if by_rule {
            let withheld = Withheld {
                rows,
                action: decision.action.clone(),
                signals: decision.signals.clone(),
                reason: inspection.reason.clone(),
            };
            self.line.tell(caller, now, || {
                let Withheld { rows, action, signals, reason } = withheld.clone();
                Seen::Noted(Note::Withheld { rows, action, signals, reason })
            });
            self.callers.with(caller.key, now, |caller| caller.withhold(withheld));
        }
    }

    /// Decides again once the model has answered. When [`Inspection::decision`] then is [`Action::Divert`] the
    /// answer must be withheld.
    pub fn observe_reply(&self, caller: Caller<'_>, inspection: &mut Inspection, reply: &Reply, now: Millis) {
        let (Some(profile), Some(encoded)) = (&self.profile, inspection.encoded.take()) else { return };
        let Some(labels) = labels(reply, &profile.classes, encoded.rows.rows()) else { return };
        let margins = self.margins(reply, &profile.classes, encoded.rows.rows());
        let flips = catch_unwind(AssertUnwindSafe(|| {
            self.callers.with(caller.key, now, |caller| {
                caller.state.answered(profile, &encoded, &labels, &self.config.state)
            })
        }));
        self.line.tell(caller, now, || peers::answered(rows_hash(&encoded), &labels));
        let mut weighed = Weighed::default();
        let mut signals = Vec::new();
        match flips {
            Ok(flips) => {
                let outcome = Outcome { profile, labels: &labels, flips: &flips };
                for (policy, detector) in &self.detectors {
                    let signal = catch_unwind(AssertUnwindSafe(|| detector.outcome(&outcome)));
                    weigh(
                        &mut weighed,
                        &mut signals,
                        signal,
                        detector.about().name,
                        policy,
                        self.config.mode,
                    );
                }
            }
            Err(_) => {
                for (policy, detector) in &self.detectors {
                    weighed.fail(detector.about().name, policy, self.config.mode);
                }
            }
        }
        self.judge_margins(&margins, &mut signals, &mut weighed);
        if signals.is_empty() && weighed.failed.is_empty() {
            return;
        }
        let late = self.conclude(signals, weighed, None, inspection.row, None);
        let decision = &mut inspection.decision;
        // The model has answered: throttling is too late for this exchange, refusing means withholding.
        let after = |action: Action| match action {
            Action::Throttle { .. } => Action::Flag,
            Action::StepUp | Action::Refuse => Action::Divert,
            other => other,
        };
        if after(late.decision.action.clone()) > decision.action {
            decision.action = after(late.decision.action);
            inspection.reason = late.reason;
        }
        decision.proposed = decision.proposed.clone().max(after(late.decision.proposed));
        decision.signals.extend(late.decision.signals);
        sort(&mut decision.signals);
        self.remember(caller, inspection, rows_hash(&encoded), now);
    }

    /// Blocking, throttling and the rate limit, which need no look at the request.
    fn controlled(&self, caller: Caller<'_>, now: Millis) -> Option<Inspection> {
        let (block, throttle) = self.controls.read(|keys, _| {
            let list = keys.get(caller.key).map_or(&[][..], Vec::as_slice);
            let active = || list.iter().filter(|control| control.in_force(now));
            let block = active().find(|control| matches!(control.what, KeyControl::Block));
            let throttle = active().find_map(|control| match control.what {
                KeyControl::Throttle { per_minute } => Some((per_minute, control.reason.clone())),
                _ => None,
            });
            (block.map(|control| control.reason.clone()), throttle)
        });
        if let Some(reason) = block {
            return Some(self.plain(Action::Refuse, reason));
        }
        if throttle.is_none() && self.config.limit.is_none() {
            return None;
        }
        self.callers.with(caller.key, now, |caller| {
            if let Some((per_minute, reason)) = throttle {
                let bucket = caller.throttle.get_or_insert_with(|| TokenBucket::full(1.0, now));
                if let Err(retry_after_ms) = bucket.take(per_minute, 1.0, now) {
                    return Some(self.plain(Action::Throttle { retry_after_ms }, reason));
                }
            } else {
                caller.throttle = None;
            }
            let limit = self.config.limit?;
            let burst = f64::from(limit.burst);
            let bucket = caller.limit.get_or_insert_with(|| TokenBucket::full(burst, now));
            let retry_after_ms = bucket.take(limit.per_minute, burst, now).err()?;
            let reason = format!("more than {} requests a minute", limit.per_minute);
            Some(self.plain(Action::Throttle { retry_after_ms }, reason))
        })
    }

    /// Why everything of this caller goes to a person now, if it does.
    pub(crate) fn diverted(&self, caller: Caller<'_>, now: Millis) -> Option<String> {
        self.controls.read(|keys, path| {
            let path = path.filter(|path| path.in_force(now)).map(|path| &path.reason);
            let key = keys.get(caller.key).into_iter().flatten();
            let mut key = key.filter(|control| control.in_force(now) && control.what == KeyControl::Divert);
            key.next().map(|control| &control.reason).or(path).cloned()
        })
    }

    /// A decision by a person's switch or a limit: it holds in every mode.
    fn plain(&self, action: Action, reason: String) -> Inspection {
        let mode = self.config.mode;
        let decision = Decision { action: action.clone(), proposed: action, mode, signals: Vec::new() };
        Inspection { decision, reason, row: 0, edits: Vec::new(), challenge: None, encoded: None, text: None }
    }

    pub(crate) fn judge(
        &self,
        profile: &Profile,
        inputs: &[NamedValue],
        encoded: &Encoded,
        facts: &[RowFacts],
    ) -> (Vec<Signal>, Weighed) {
        let seen = Observation { profile, encoded, rows: facts, budget: self.config.extraction_budget };
        let mut weighed = Weighed::default();
        let mut signals = Vec::new();
        for (policy, detector) in &self.detectors {
            let signal = catch_unwind(AssertUnwindSafe(|| detector.look(&seen)));
            weigh(&mut weighed, &mut signals, signal, detector.about().name, policy, self.config.mode);
        }
        for rule in self.pinned.load().iter() {
            let signal = catch_unwind(AssertUnwindSafe(|| rule.look(&seen, inputs)));
            weigh(&mut weighed, &mut signals, signal, PINNED, &self.pinned_policy, self.config.mode);
            if let Some(to) = rule.detail() {
                weighed.add(
                    Action::Coarsen { to },
                    PINNED,
                    self.pinned_policy.mode.unwrap_or(self.config.mode),
                );
                weighed.detail = weighed.detail.max(Some(to));
            }
        }
        // Numbers have no parts to take out.
        for rule in weighed.redacts.clone() {
            weighed.cannot_redact(&rule, &self.policy(&rule), self.config.mode);
        }
        (signals, weighed)
    }

    /// How sure the answer is of each row; empty when no pinned rule asks.
    fn margins(&self, reply: &Reply, classes: &[String], rows: usize) -> Vec<f32> {
        let asked = self.pinned.load().iter().any(|rule| rule.asks_margins());
        if asked { margins(reply, classes, rows).unwrap_or_default() } else { Vec::new() }
    }

    /// Weighs what pinned rules say of how sure the model was.
    pub(crate) fn judge_margins(&self, margins: &[f32], signals: &mut Vec<Signal>, weighed: &mut Weighed) {
        if margins.is_empty() {
            return;
        }
        for rule in self.pinned.load().iter() {
            let signal = catch_unwind(AssertUnwindSafe(|| rule.answered(margins)));
            weigh(weighed, signals, signal, PINNED, &self.pinned_policy, self.config.mode);
        }
    }

    pub(crate) fn conclude(
        &self,
        mut signals: Vec<Signal>,
        weighed: Weighed,
        diverted: Option<String>,
        row: u64,
        encoded: Option<Encoded>,
    ) -> Inspection {
        let Weighed { mut action, mut proposed, by, failed, detail, coarsens, .. } = weighed;
        for action in [&mut action, &mut proposed] {
            if let Action::Coarsen { to } = action {
                // How much is left is the route's choice, and that of the rules that order it: the least of them.
                let route = (coarsens || detail.is_none()).then_some(self.config.detail);
                *to = detail.max(route).unwrap_or(self.config.detail);
            }
        }
        let mut reason = if action.passes() { String::new() } else { words(&by, &signals) };
        if let Some(why) = diverted
            && action < Action::Divert
        {
            (action, reason) = (Action::Divert, why);
            proposed = proposed.max(Action::Divert);
        }
        signals.extend(failures(&failed));
        sort(&mut signals);
        Inspection {
            decision: Decision { action, proposed, mode: self.config.mode, signals },
            reason,
            row,
            edits: Vec::new(),
            challenge: None,
            encoded,
            text: None,
        }
    }
}
