//! Limits, controls, modes, failing rules, memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use mantlet_detectors::{Detector, Learning, Observation, Profile};
use mantlet_guard::{
    Caller, Controls, Guard, GuardConfig, GuardError, KeyControl, RateLimit, RulePolicy, StepUp,
};
use mantlet_vocab::{
    About, Action, Confidence, Impact, Millis, Mode, NamedValue, OnFailure, Reply, Request, Severity, Signal,
    Tensor, Value,
};

const ANN: Caller<'static> = Caller { key: "ann" };
const EVE: Caller<'static> = Caller { key: "eve" };

fn table(rows: usize, from: u64) -> Tensor {
    let mut draws = crate::world::Draws(from);
    Tensor::new([rows, 4], (0..rows * 4).map(|_| draws.unit() * 2.0 - 1.0).collect()).unwrap()
}

fn request(x: Tensor) -> Request {
    let inputs = vec![NamedValue { name: "x".into(), value: Value::F32(x) }];
    Request { model: "m".into(), inputs, ..Request::default() }
}

fn profile() -> Arc<Profile> {
    let inputs = request(table(400, 1)).inputs;
    let learning =
        Learning { inputs: &inputs, labels: None, classes: &[], scores: None, outlier_rate: 0.001, seed: 1 };
    Arc::new(Profile::learn(&learning).unwrap())
}

fn config() -> GuardConfig {
    GuardConfig { impact: Impact::High, limit: None, ..GuardConfig::default() }
}

fn guard(config: GuardConfig) -> Guard {
    Guard::new(config, Some(profile()), vec![], Arc::new(Controls::new())).unwrap()
}

/// A rule that says what it is told to, or panics.
struct Told(Option<f64>);

const TOLD: About = About {
    name: "told-rule",
    title: "says what it is told",
    severity: Severity::Note,
    impact: Impact::Low,
    confidence: Confidence::High,
    atlas: &[],
    owasp: &[],
    explain: "",
    cases: "",
};

impl Detector for Told {
    fn about(&self) -> &'static About {
        &TOLD
    }
    fn look(&self, _: &Observation<'_>) -> Option<Signal> {
        match self.0 {
            Some(score) => Some(TOLD.signal(score, "told")),
            None => panic!("told to"),
        }
    }
}

fn told(score: Option<f64>, policy: RulePolicy, mode: Mode) -> Guard {
    let config = GuardConfig { mode, rules: BTreeMap::from([("told-rule".to_owned(), policy)]), ..config() };
    let detectors: Vec<Box<dyn Detector>> = vec![Box::new(Told(score))];
    Guard::with_detectors(config, Some(profile()), vec![], Arc::new(Controls::new()), detectors)
        .unwrap()
        .with_step_up(StepUp::new([1; 32], 1_000, 1_000))
}

const POLICY: RulePolicy = RulePolicy {
    flag: Some(1.0),
    redact: None,
    coarsen: Some(1.5),
    throttle: Some(2.0),
    step_up: Some(2.5),
    divert: Some(3.0),
    refuse: Some(4.0),
    mode: None,
    on_failure: OnFailure::Refuse,
};

fn action(guard: &Guard) -> (&'static str, &'static str) {
    let decision = guard.inspect(ANN, &request(table(1, 5)), Millis(0)).decision;
    (decision.action.word(), decision.proposed.word())
}

#[test]
fn scores_lead_to_actions_and_modes_hold_them_back() {
    for (score, enforced) in [
        (0.5, "allow"),
        (1.0, "flag"),
        (1.5, "coarsen"),
        (2.0, "throttle"),
        (2.5, "step-up"),
        (3.5, "divert"),
        (4.0, "refuse"),
        (99.0, "refuse"),
    ] {
        assert_eq!(action(&told(Some(score), POLICY, Mode::Enforce)), (enforced, enforced));
        let held = if enforced == "allow" { "allow" } else { "flag" };
        assert_eq!(action(&told(Some(score), POLICY, Mode::Observe)), (held, enforced));
        assert_eq!(action(&told(Some(score), POLICY, Mode::Advise)), (held, enforced));
        let own = RulePolicy { mode: Some(Mode::Observe), ..POLICY };
        assert_eq!(action(&told(Some(score), own, Mode::Enforce)), (held, enforced));
    }
}

#[test]
fn a_rule_that_fails_is_decided_by_its_own_choice() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    for (on_failure, word) in
        [(OnFailure::Refuse, "refuse"), (OnFailure::Divert, "divert"), (OnFailure::PassAndFlag, "flag")]
    {
        let policy = RulePolicy { on_failure, ..POLICY };
        let failing = told(None, policy, Mode::Enforce);
        assert_eq!(action(&failing), (word, word));
        // It goes on working, and says which rule failed.
        let inspection = failing.inspect(ANN, &request(table(1, 6)), Millis(0));
        assert_eq!(inspection.decision.signals[0].facts["rule"], "told-rule");
        assert_eq!(action(&told(None, policy, Mode::Observe)), ("flag", word));
    }
    std::panic::set_hook(hook);
}

#[test]
fn the_cases_of_a_failed_rule_hold() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let about =
        mantlet_detectors::abouts().into_iter().find(|about| about.name == "guard-rule-failed").unwrap();
    for case in about.cases.split("## ").skip(1) {
        let json = case.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let case_of: serde_json::Value = serde_json::from_str(json).unwrap();
        let guard = told(case_of["score"].as_f64(), POLICY, Mode::Enforce);
        let signals = guard.inspect(ANN, &request(table(1, 5)), Millis(0)).decision.signals;
        let raised = signals.iter().any(|signal| signal.name == about.name);
        assert_eq!(raised, case.starts_with("hit"), "{case}");
    }
    std::panic::set_hook(hook);
}

#[test]
fn defaults_of_high_impact_systems_refuse_when_blocking_rules_fail() {
    for rule in ["input-off-schema", "query-boundary-walk", "query-extraction", "pinned-attack"] {
        assert_eq!(RulePolicy::for_rule(rule, Impact::High).on_failure, OnFailure::Refuse);
        assert_eq!(RulePolicy::for_rule(rule, Impact::Medium).on_failure, OnFailure::PassAndFlag);
    }
    assert_eq!(RulePolicy::for_rule("input-outlier", Impact::Critical).on_failure, OnFailure::PassAndFlag);
}

#[test]
fn unknown_rules_are_an_error_and_a_guard_without_profile_says_what_it_does_not_do() {
    let rules = BTreeMap::from([("no-such-rule".to_owned(), POLICY)]);
    let made = Guard::new(GuardConfig { rules, ..config() }, None, vec![], Arc::new(Controls::new()));
    assert!(matches!(made, Err(GuardError::UnknownRule { name }) if name == "no-such-rule"));
    let bare = Guard::new(config(), None, vec![], Arc::new(Controls::new())).unwrap();
    assert!(bare.gaps()[0].contains("no profile"));
    assert_eq!(action(&bare), ("allow", "allow"));
    bare.controls().apply_key("ann", KeyControl::Divert, Millis(0), None, "why");
    assert_eq!(action(&bare), ("divert", "divert"));
}

#[test]
fn limits_and_controls_hold_in_every_mode() {
    let limit = Some(RateLimit { per_minute: 60.0, burst: 2 });
    let guard = guard(GuardConfig { limit, mode: Mode::Observe, ..config() });
    let at = |caller, now| guard.inspect(caller, &request(table(1, 7)), Millis(now)).decision.action;
    assert_eq!(at(ANN, 0), Action::Allow);
    assert_eq!(at(ANN, 0), Action::Allow);
    assert_eq!(at(ANN, 0), Action::Throttle { retry_after_ms: 1000 });
    assert_eq!(at(EVE, 0), Action::Allow, "another key has a bucket of its own");
    assert_eq!(at(ANN, 1000), Action::Allow);
    guard.controls().apply_key("ann", KeyControl::Block, Millis(1000), Some(Millis(5000)), "blocked");
    assert_eq!(at(ANN, 4999), Action::Refuse);
    assert_eq!(at(ANN, 5000), Action::Allow, "it expires by itself");
}

#[test]
fn large_requests_and_foreign_shapes_are_refused() {
    let guard = guard(GuardConfig { rows: 8, ..config() });
    let decide = |x: Tensor| guard.inspect(ANN, &request(x), Millis(0)).decision.action;
    assert!(decide(table(8, 9)).passes());
    assert_eq!(decide(table(9, 9)), Action::Refuse);
    assert_eq!(decide(Tensor::full([1, 5], 0.0)), Action::Refuse);
    assert_eq!(decide(Tensor::full([4_000_000, 0], 0.0)), Action::Refuse);
    assert_eq!(decide(Tensor::full([1, 4], f32::NAN)), Action::Refuse);
}

#[test]
fn an_answer_can_be_withheld_once_it_is_known() {
    let guard = guard(config());
    let radius = guard.profile().unwrap().honest.radius;
    let mut actions = Vec::new();
    for step in 0..8_u8 {
        let mut x = table(1, 3);
        x.data_mut()[0] += 0.02 * radius * f32::from(step);
        let mut inspection = guard.inspect(ANN, &request(x), Millis(0));
        let value = Value::I64(Tensor::new([1], vec![i64::from(step % 2)]).unwrap());
        let reply = Reply { outputs: vec![NamedValue { name: "label".into(), value }], pieces: vec![] };
        guard.observe_reply(ANN, &mut inspection, &reply, Millis(0));
        actions.push(inspection.decision.action.word());
    }
    assert_eq!(actions, ["allow", "allow", "allow", "flag", "flag", "flag", "divert", "divert"]);
}

#[test]
fn memory_is_stored_and_restored() {
    let first = guard(config());
    let _ = first.inspect(ANN, &request(table(30, 3)), Millis(4));
    let stored = serde_json::to_string(&first.states()).unwrap();
    let second = guard(config());
    second.restore(serde_json::from_str(&stored).unwrap());
    let next = request(table(1, 8));
    let rows = [&first, &second].map(|guard| guard.inspect(ANN, &next, Millis(5)).row);
    assert_eq!(rows, [31, 31]);
    assert_eq!(first.states(), second.states());
}
