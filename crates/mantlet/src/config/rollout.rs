//! `[rollout]`: how a version goes before users step by step.

use mantlet_registry::rollout::{Margins, Outputs, Plan, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a version goes before users step by step; flags of `mantlet registry rollout start` win.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    /// The candidate's shares of the callers, in percent, rising.
    pub steps: Vec<f64>,
    /// Exchanges of each version that a step waits for.
    pub samples: u64,
    /// Seconds a step lasts at least.
    pub step_seconds: u64,
    /// Copies of requests the candidate answers in the shadow before the first step; 0 leaves the shadow out.
    pub shadow_samples: u64,
    /// How often at most a version within all margins is taken back, over the whole rollout.
    pub false_rollback: f64,
    /// What counts as slow, in milliseconds; learned from the recorded exchanges when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_ms: Option<f64>,
    /// Labelled decisions of each version that a step waits for.
    pub labels: u64,
    /// Exchanges of one caller that count in one step.
    pub per_caller: u32,
    /// By how much the candidate may be worse.
    pub margins: RolloutMargins,
}

/// By how much the candidate may be worse, as differences of rates between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutMargins {
    /// Failed exchanges.
    pub errors: f64,
    /// Slow exchanges.
    pub latency: f64,
    /// Exchanges the guard marked.
    pub signals: f64,
    /// Any one class or score range, in either direction.
    pub outputs: f64,
    /// Decisions that a label proved wrong.
    pub labels: f64,
}

impl Default for RolloutMargins {
    fn default() -> Self {
        let Margins { errors, latency, signals, outputs, labels } = Margins::default();
        Self { errors, latency, signals, outputs, labels }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        let plan = Plan::default();
        Self {
            steps: vec![1.0, 5.0, 25.0, 50.0],
            samples: 500,
            step_seconds: 60,
            shadow_samples: 0,
            false_rollback: plan.false_rollback,
            slow_ms: None,
            labels: plan.labels,
            per_caller: plan.per_caller,
            margins: RolloutMargins::default(),
        }
    }
}

impl Rollout {
    /// The plan, with what of the replies is compared.
    #[must_use]
    pub fn plan(&self, outputs: Outputs) -> Plan {
        let dwell_ms = self.step_seconds.saturating_mul(1_000);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a share")]
        let share = |percent: f64| (percent * 100.0).round().clamp(0.0, 10_000.0) as u32;
        let step = |percent: &f64| Step { share: share(*percent), samples: self.samples, dwell_ms };
        let RolloutMargins { errors, latency, signals, outputs: classes, labels } = self.margins;
        Plan {
            shadow: (self.shadow_samples > 0).then_some(Step {
                share: 0,
                samples: self.shadow_samples,
                dwell_ms,
            }),
            steps: self.steps.iter().map(step).collect(),
            margins: Margins { errors, latency, signals, outputs: classes, labels },
            false_rollback: self.false_rollback,
            slow_ms: self.slow_ms,
            outputs,
            labels: self.labels,
            per_caller: self.per_caller,
            ..Plan::default()
        }
    }
}
