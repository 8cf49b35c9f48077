//! What keeping a hit and trying it through a guard may still spend: the caps of a run hold to its end.

use std::time::{Duration, Instant};

use mantlet_attacks::Loss;
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts};
use mantlet_vocab::{Tensor, TreeEnsemble};

use crate::battery::Caps;

/// What may still be spent.
#[derive(Debug, Clone)]
pub struct Purse {
    queries: u64,
    tokens: u64,
    until: Option<Instant>,
    /// Rows asked from it.
    pub spent: u64,
    /// Whether a question was not asked for want of it, since this was last set to `false`.
    pub short: bool,
}

impl Purse {
    /// What a battery left of its caps.
    #[must_use]
    pub fn of(left: &Caps) -> Self {
        let until = Instant::now().checked_add(Duration::from_millis(left.millis));
        Self { queries: left.queries, tokens: left.tokens, until, spent: 0, short: false }
    }
}

/// A target that is asked no more than a purse pays for.
pub struct Capped<'a> {
    inner: &'a mut dyn Target,
    purse: &'a mut Purse,
}

impl<'a> Capped<'a> {
    /// Over this target, from this purse.
    pub fn new(inner: &'a mut dyn Target, purse: &'a mut Purse) -> Self {
        Self { inner, purse }
    }

    fn pay<T>(
        &mut self,
        rows: &Tensor,
        ask: impl FnOnce(&mut dyn Target) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let (count, tokens) = (rows.rows() as u64, self.inner.tokens_at_most(rows));
        let late = self.purse.until.is_some_and(|until| Instant::now() >= until);
        if count > self.purse.queries || tokens > self.purse.tokens || late {
            self.purse.short = true;
            return Err(TargetError::Unsupported { reason: "what the run may spend is spent".to_owned() });
        }
        self.purse.queries -= count;
        self.purse.spent += count;
        let before = self.inner.tokens();
        let answer = ask(&mut *self.inner);
        let billed = self.inner.tokens().saturating_sub(before);
        self.purse.tokens =
            self.purse.tokens.saturating_sub(if answer.is_ok() { billed } else { billed.max(tokens) });
        answer
    }
}

impl Target for Capped<'_> {
    fn describe(&self) -> TargetFacts {
        self.inner.describe()
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        self.pay(rows, |target| target.labels(rows))
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.pay(rows, |target| target.scores(rows))
    }

    fn gradient(&mut self, rows: &Tensor, loss: &Loss) -> Result<GradientAnswer, TargetError> {
        self.pay(rows, |target| target.gradient(rows, loss))
    }

    fn activations(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        self.pay(rows, |target| target.activations(rows))
    }

    fn margins(&mut self, low: &Tensor, high: &Tensor, labels: &[usize]) -> Result<Vec<f32>, TargetError> {
        self.pay(low, |target| target.margins(low, high, labels))
    }

    fn tokens_at_most(&self, rows: &Tensor) -> u64 {
        self.inner.tokens_at_most(rows)
    }

    fn tokens(&self) -> u64 {
        self.inner.tokens()
    }

    fn last_weights(&self) -> Option<Tensor> {
        self.inner.last_weights()
    }

    fn trees(&self) -> Option<TreeEnsemble> {
        self.inner.trees()
    }
}
