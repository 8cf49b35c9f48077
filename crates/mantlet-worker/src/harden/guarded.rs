//! A target behind a guard in the same process: each row a request of its own, answered, coarsened or withheld as the
//! gateway would.

use std::collections::BTreeMap;

use mantlet_attacks::Loss;
use mantlet_guard::{Caller, Guard, coarsened};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts};
use mantlet_vocab::{Action, Decision, Millis, NamedValue, Reply, Request, Tensor, Value};

use super::Layout;

/// What became of a caller's requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passage {
    /// Rows asked.
    pub asked: u64,
    /// Rows answered.
    pub answered: u64,
    /// The first row, counted from 1, that was marked.
    pub flagged_at: Option<u64>,
    /// The first row whose answer was withheld.
    pub withheld_at: Option<u64>,
    /// How often each rule's signal went with a withheld answer.
    pub rules: BTreeMap<String, u64>,
}

/// A target behind a guard. The caller is patient: requests come as fast as the route's rate allows, and who is told to
/// wait waits; the guard's time is made up.
pub struct GuardedTarget<'a> {
    inner: &'a mut dyn Target,
    guard: &'a Guard,
    layout: &'a Layout,
    caller: String,
    now: u64,
    pace: u64,
    with_scores: bool,
    /// What became of this caller's requests so far.
    pub passage: Passage,
}

impl<'a> GuardedTarget<'a> {
    /// Asks as this caller.
    pub fn new(inner: &'a mut dyn Target, guard: &'a Guard, layout: &'a Layout, caller: &str) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few milliseconds")]
        let pace =
            guard.config().limit.map_or(1, |limit| (60_000.0 / limit.per_minute.max(0.01)).ceil() as u64);
        let with_scores = inner.describe().scores
            && guard.pinned().iter().any(|rule| rule.asks_margins() || rule.detail().is_some());
        let passage = Passage::default();
        Self { inner, guard, layout, caller: caller.to_owned(), now: 0, pace, with_scores, passage }
    }

    /// One row; its class, and its scores where the model gives any.
    fn pass(&mut self, row: &Tensor, scores: bool) -> Result<(usize, Vec<f32>), TargetError> {
        self.passage.asked += 1;
        self.now += self.pace;
        let (caller, now) = (self.caller.clone(), Millis(self.now));
        let caller = Caller { key: &caller };
        let request = Request { inputs: self.layout.inputs(row), ..Request::default() };
        let mut inspection = self.guard.inspect(caller, &request, now);
        self.weigh(&inspection.decision)?;
        let given = if scores || self.with_scores { Some(self.inner.scores(row)?) } else { None };
        let label = match &given {
            Some(given) if scores => given.argmax_rows().first().copied(),
            _ => self.inner.labels(row)?.first().copied(),
        };
        let label =
            label.ok_or_else(|| TargetError::Malformed { reason: "no class for a row".to_owned() })?;
        let value = match given {
            Some(given) => Value::F32(given),
            None => Value::I64(Tensor::full([1], i64::try_from(label).unwrap_or(i64::MAX))),
        };
        let outputs = vec![NamedValue { name: "output".to_owned(), value }];
        let mut reply = Reply { outputs, pieces: Vec::new() };
        self.guard.observe_reply(caller, &mut inspection, &reply, now);
        self.weigh(&inspection.decision)?;
        if let Action::Coarsen { to } = inspection.decision.action {
            reply = coarsened(&reply, to);
        }
        self.passage.answered += 1;
        let scores = match reply.outputs.pop().map(|output| output.value) {
            Some(Value::F32(scores)) => scores.into_data(),
            _ => Vec::new(),
        };
        Ok((label, scores))
    }

    /// Counts a decision, and refuses what does not pass.
    fn weigh(&mut self, decision: &Decision) -> Result<(), TargetError> {
        let passage = &mut self.passage;
        if !matches!(decision.action, Action::Allow) {
            passage.flagged_at.get_or_insert(passage.asked);
        }
        if decision.action.passes() {
            return Ok(());
        }
        passage.withheld_at.get_or_insert(passage.asked);
        for signal in &decision.signals {
            *passage.rules.entry(signal.name.clone()).or_default() += 1;
        }
        let retry_after_ms = match decision.action {
            Action::Throttle { retry_after_ms } => Some(retry_after_ms),
            _ => None,
        };
        self.now = self.now.saturating_add(retry_after_ms.unwrap_or(0));
        let reason = decision.action.word().to_owned();
        Err(TargetError::Refused { status: 0, reason, retry_after_ms: None })
    }

    fn each(&mut self, rows: &Tensor, scores: bool) -> Result<Vec<(usize, Vec<f32>)>, TargetError> {
        (0..rows.rows()).map(|row| self.pass(&rows.select(&[row]), scores)).collect()
    }
}

impl Target for GuardedTarget<'_> {
    fn describe(&self) -> TargetFacts {
        let inner = self.inner.describe();
        TargetFacts {
            name: format!("{} behind the guard", inner.name),
            no_gradient: Some("behind the guard is an endpoint, which gives no gradients".to_owned()),
            max_rows: 1,
            ..inner
        }
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        Ok(self.each(rows, false)?.into_iter().map(|(label, _)| label).collect())
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let answers = self.each(rows, true)?;
        let columns = answers.first().map_or(0, |(_, scores)| scores.len());
        let data: Vec<f32> = answers.into_iter().flat_map(|(_, scores)| scores).collect();
        Tensor::new([rows.rows(), columns], data)
            .map_err(|error| TargetError::Malformed { reason: error.to_string() })
    }

    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(TargetError::Unsupported { reason: "behind the guard there are no gradients".to_owned() })
    }
}
