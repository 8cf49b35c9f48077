//! How a version goes before users: the steps, what may get worse by how much, and what holds it.

use serde::{Deserialize, Serialize};

/// All of the traffic, in the unit of [`Step::share`].
pub(super) const WHOLE: u32 = 10_000;
/// Steps of a plan at most.
const STEPS_MOST: usize = 32;
/// Classes or score ranges told apart at most.
const OUTPUTS_MOST: usize = 64;

/// A stage of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The candidate's share of the callers, in hundredths of a percent: 500 is 5 %. Not used by the shadow stage.
    pub share: u32,
    /// Observations of each version before the next step.
    pub samples: u64,
    /// Milliseconds before the next step at least.
    pub dwell_ms: u64,
}

/// By how much the candidate may be worse than the version that serves, as a difference of rates in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Margins {
    /// Failed exchanges.
    pub errors: f64,
    /// Exchanges slower than [`Plan::slow_ms`].
    pub latency: f64,
    /// Exchanges the guard marked.
    pub signals: f64,
    /// Any one class or score range, in either direction.
    pub outputs: f64,
    /// Decisions that a label proved wrong.
    pub labels: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { errors: 0.01, latency: 0.05, signals: 0.02, outputs: 0.05, labels: 0.02 }
    }
}

/// What of the replies is compared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outputs {
    /// Nothing: there is no class and no score.
    #[default]
    None,
    /// So many classes.
    Classes(usize),
    /// A score, in the ranges between these increasing edges.
    Scores(Vec<f64>),
}

impl Outputs {
    /// Classes or ranges told apart.
    #[must_use]
    pub const fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Classes(count) => *count,
            Self::Scores(edges) => edges.len() + 1,
        }
    }

    /// The range a score falls in; `None` for what is no number.
    #[must_use]
    pub fn range(&self, score: f64) -> Option<usize> {
        match self {
            Self::Scores(edges) if !score.is_nan() => Some(edges.partition_point(|edge| *edge <= score)),
            _ => None,
        }
    }
}

/// A rollout's plan; it does not change once begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// A stage in which the candidate gets copies of requests and answers nobody; `None` leaves it out.
    pub shadow: Option<Step>,
    /// The canary's stages, shares rising.
    pub steps: Vec<Step>,
    /// What may get worse by how much.
    pub margins: Margins,
    /// How often at most a candidate that is within all margins is taken back, over the whole rollout.
    pub false_rollback: f64,
    /// What counts as slow, in milliseconds; `None` leaves latency out.
    pub slow_ms: Option<f64>,
    /// What of the replies is compared.
    pub outputs: Outputs,
    /// Labelled decisions of each version that a step waits for.
    pub labels: u64,
    /// No observation of a version for so long holds the rollout.
    pub stale_ms: u64,
    /// Share of observations that may lack a figure or come late before that holds the rollout.
    pub missing: f64,
    /// Observations of one caller that count in one step, so that a few loud callers do not decide.
    pub per_caller: u32,
}

impl Default for Plan {
    fn default() -> Self {
        let step = |percent: u32, samples| Step { share: percent * 100, samples, dwell_ms: 60_000 };
        Self {
            shadow: None,
            steps: vec![step(1, 200), step(5, 500), step(25, 1_000), step(50, 1_000)],
            margins: Margins::default(),
            false_rollback: 0.01,
            slow_ms: None,
            outputs: Outputs::None,
            labels: 0,
            stale_ms: 120_000,
            missing: 0.05,
            per_caller: 200,
        }
    }
}

/// Why a plan is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No stage at all, or too many.
    #[error("a rollout has 1 to {STEPS_MOST} steps, this one has {0}")]
    Steps(usize),
    /// Shares have to rise and stay below everything.
    #[error(
        "step {step}: a share of {share} is not above the one before and below {WHOLE} (hundredths of a percent)"
    )]
    Share {
        /// The step, from 1.
        step: usize,
        /// Its share.
        share: u32,
    },
    /// A step without samples proves nothing.
    #[error("step {0} asks for no samples; ask for at least 20")]
    Samples(usize),
    /// A rate outside its range.
    #[error("`{field}` is {value}, it has to be {range}")]
    Rate {
        /// The field.
        field: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Score edges have to rise; classes are few.
    #[error("outputs: {0} classes or ranges; 2 to {OUTPUTS_MOST}, edges rising")]
    Outputs(usize),
}

impl Plan {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// Names the first thing that cannot.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MOST {
            return Err(PlanError::Steps(self.steps.len()));
        }
        let mut before = 0;
        for (index, step) in self.steps.iter().enumerate() {
            if step.share <= before || step.share >= WHOLE {
                return Err(PlanError::Share { step: index + 1, share: step.share });
            }
            before = step.share;
        }
        for (index, step) in self.shadow.iter().chain(&self.steps).enumerate() {
            if step.samples < 20 {
                return Err(PlanError::Samples(index + usize::from(self.shadow.is_none())));
            }
        }
        let m = &self.margins;
        for (field, value) in [
            ("margins.errors", m.errors),
            ("margins.latency", m.latency),
            ("margins.signals", m.signals),
            ("margins.outputs", m.outputs),
            ("margins.labels", m.labels),
            ("missing", self.missing),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(PlanError::Rate { field, value, range: "at least 0 and below 1" });
            }
        }
        if !(self.false_rollback > 0.0 && self.false_rollback <= 0.5) {
            let value = self.false_rollback;
            return Err(PlanError::Rate { field: "false_rollback", value, range: "above 0 and at most 0.5" });
        }
        if let Some(value) = self.slow_ms.filter(|slow| !(slow.is_finite() && *slow > 0.0)) {
            return Err(PlanError::Rate { field: "slow_ms", value, range: "a positive number" });
        }
        let rising = match &self.outputs {
            Outputs::Scores(edges) => {
                edges.iter().all(|edge| edge.is_finite()) && edges.windows(2).all(|two| two[0] < two[1])
            }
            _ => true,
        };
        let count = self.outputs.count();
        if !rising || count == 1 || count > OUTPUTS_MOST {
            return Err(PlanError::Outputs(count));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_cannot_be_followed_are_named() {
        assert_eq!(Plan::default().check(), Ok(()));
        let with = |change: &dyn Fn(&mut Plan)| {
            let mut plan = Plan::default();
            change(&mut plan);
            plan.check()
        };
        assert_eq!(with(&|plan| plan.steps.clear()), Err(PlanError::Steps(0)));
        assert!(matches!(with(&|plan| plan.steps[1].share = 100), Err(PlanError::Share { step: 2, .. })));
        assert!(matches!(with(&|plan| plan.steps[3].share = 10_000), Err(PlanError::Share { step: 4, .. })));
        assert_eq!(with(&|plan| plan.steps[0].samples = 0), Err(PlanError::Samples(1)));
        for value in [f64::NAN, -0.1, 1.0] {
            assert!(matches!(with(&|plan| plan.margins.errors = value), Err(PlanError::Rate { .. })));
        }
        for value in [f64::NAN, 0.0, 0.6] {
            assert!(matches!(with(&|plan| plan.false_rollback = value), Err(PlanError::Rate { .. })));
        }
        for edges in [vec![], vec![1.0, 1.0], vec![f64::NAN], vec![0.0; 65]] {
            let outputs = Outputs::Scores(edges);
            assert!(matches!(with(&|plan| plan.outputs = outputs.clone()), Err(PlanError::Outputs(_))));
        }
    }

    #[test]
    fn scores_fall_into_their_range() {
        let outputs = Outputs::Scores(vec![0.2, 0.8]);
        for (score, range) in
            [(-5.0, Some(0)), (0.2, Some(1)), (0.5, Some(1)), (0.8, Some(2)), (f64::INFINITY, Some(2))]
        {
            assert_eq!(outputs.range(score), range);
        }
        assert_eq!(outputs.range(f64::NAN), None);
        assert_eq!(Outputs::Classes(3).range(0.1), None);
    }
}
