//! What an attack reached: four states a row, and the evidence behind them.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Interval, RocPoint, wilson};

/// The state of one row (or class, for trigger reconstruction). Errors are never misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The attack worked.
    Hit,
    /// The attack ran to its end and did not work.
    Miss,
    /// The model's answers could not be used.
    Error,
    /// The attack did not run to its end.
    Undecided,
}

/// Why an attack is stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The budget of queries or time is used up.
    Budget,
    /// The target refuses to answer.
    Guard,
    /// The target fails.
    Failure,
    /// A person or a caller asked for it.
    Cancelled,
}

impl Stop {
    /// The state of a row that had no result when the attack was stopped.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Failure => State::Error,
            Self::Budget | Self::Guard | Self::Cancelled => State::Undecided,
        }
    }
}

/// How distance is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Number of changed values.
    L0,
    /// Sum of changes.
    L1,
    /// Euclidean.
    L2,
    /// Largest single change.
    Linf,
}

impl Norm {
    /// The word used in configurations and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::L0 => "l0",
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Linf => "linf",
        }
    }
}

/// How far a changed row is from its original, each value in units of its permitted interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Distances {
    /// Sum of changes.
    #[serde(default)]
    pub l1: f32,
    /// Euclidean.
    pub l2: f32,
    /// Largest single change.
    pub linf: f32,
    /// Number of changed values.
    pub l0: usize,
}

impl Distances {
    /// The one of this norm.
    #[must_use]
    pub const fn of(self, norm: Norm) -> f32 {
        match norm {
            #[expect(clippy::cast_precision_loss, reason = "a count of values")]
            Norm::L0 => self.l0 as f32,
            Norm::L1 => self.l1,
            Norm::L2 => self.l2,
            Norm::Linf => self.linf,
        }
    }

    /// Between two rows of equal length.
    #[must_use]
    pub fn between(a: &[f32], b: &[f32]) -> Self {
        let (mut square, mut sum) = (0.0_f64, 0.0_f64);
        let mut distances = Self::default();
        for (a, b) in a.iter().zip(b) {
            let change = (a - b).abs();
            square += f64::from(change) * f64::from(change);
            sum += f64::from(change);
            distances.linf = distances.linf.max(change);
            distances.l0 += usize::from(change > 0.0);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a distance is shown, not summed")]
        {
            distances.l2 = square.sqrt() as f32;
            distances.l1 = sum as f32;
        }
        distances
    }
}

/// The result for one row of the material (or one class).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowOutcome {
    /// Index of the row in the material, or the class.
    pub row: usize,
    /// What came of it.
    pub state: State,
    /// The class the model gave the original row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<usize>,
    /// The class the model gave the changed row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<usize>,
    /// The best changed row, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<f32>>,
    /// How far it is from the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distances: Option<Distances>,
    /// Model rows asked for this row.
    pub queries: u64,
}

impl RowOutcome {
    /// A row of which only the state is known.
    #[must_use]
    pub const fn without_result(row: usize, state: State) -> Self {
        Self { row, state, before: None, after: None, changed: None, distances: None, queries: 0 }
    }
}

/// One class's reconstructed trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The class it drives rows to.
    pub class: usize,
    /// The mask, one value per input value, 0 to 1.
    pub mask: Vec<f32>,
    /// The pattern, one value per input value.
    pub pattern: Vec<f32>,
    /// Sum of the mask (L1).
    pub size: f32,
    /// Share of held-out rows of other classes the stamped trigger sends to `class`.
    pub transfer: f32,
    /// The same when only the so many strongest places are overwritten outright: (places, share).
    pub hard: Vec<(usize, f32)>,
    /// The mean number of overwritten places a row of another class needs to reach the class.
    pub places: f32,
    /// How many robust deviations smaller than the other classes' triggers it is; larger is more suspect.
    pub anomaly: f32,
    /// How many times smaller it is than the median of the other classes' triggers.
    pub ratio: f32,
    /// Whether the decision calls it a backdoor.
    pub flagged: bool,
}

/// A member that is told from non-members.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AtRisk {
    /// Its row in the material.
    pub row: usize,
    /// Its score; higher is surer.
    pub score: f32,
}

/// An estimate that is bounded from below only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LowerBound {
    /// The estimate.
    pub value: f64,
    /// What it is at least, with 95 % confidence.
    pub low: f64,
}

/// What a figure is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A number as it stands.
    #[default]
    Plain,
    /// A share of 1, told in per cent.
    Share,
    /// A whole number of things.
    Count,
}

/// How an interval was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Wilson's interval of a share.
    Wilson,
    /// Of an area under a curve (Hanley and McNeil, 1982).
    HanleyMcNeil,
    /// Drawn again and again from the same rows.
    Bootstrap,
    /// Exact, of shares (Clopper and Pearson, 1934).
    ClopperPearson,
}

impl Method {
    /// The words used in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wilson => "Wilson",
            Self::HanleyMcNeil => "Hanley-McNeil",
            Self::Bootstrap => "bootstrap",
            Self::ClopperPearson => "Clopper-Pearson",
        }
    }
}

/// A figure with what it is and over how many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What it is, in plain words.
    pub name: String,
    /// The value with its interval.
    pub value: Interval,
    /// Over how many rows.
    pub n: usize,
    /// What it is in.
    #[serde(default)]
    pub unit: Unit,
    /// How its interval was found; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

impl Measure {
    /// A share of rows with Wilson's interval.
    #[must_use]
    pub fn share(name: impl Into<String>, hits: usize, n: usize) -> Self {
        Self { name: name.into(), value: wilson(hits, n), n, unit: Unit::Share, method: Some(Method::Wilson) }
    }

    /// A number without an interval.
    #[must_use]
    pub fn plain(name: impl Into<String>, value: f64, n: usize) -> Self {
        let value = Interval { value, low: value, high: value };
        Self { name: name.into(), value, n, unit: Unit::Plain, method: None }
    }

    /// In this unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

/// What particular attacks have beyond the state of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Detail {
    /// Changed rows only.
    Evasion {
        /// Whether the attack used gradients.
        gradients: bool,
        /// The norm in which a success is bounded.
        norm: Norm,
        /// The largest distance that counts as a success.
        radius: f32,
        /// Rows of the material left out because the model was already wrong on them.
        already_wrong: Vec<usize>,
        /// Share of gradient rows that were exactly zero; above one half, gradients say nothing.
        vanished: f32,
        /// Hits by loss or phase, in the order they were tried.
        by_loss: Vec<(String, usize)>,
        /// Rows for which it is proved that no success is nearer than this: (row, distance).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        bounds: Vec<(usize, f32)>,
    },
    /// The rows sent and the answers received, in order, for a learner to copy the model from.
    Extraction {
        /// The rows.
        rows: Tensor,
        /// The labels received, or the best class of the scores received.
        labels: Vec<usize>,
        /// Probabilities, when scores were received; logits are turned into probabilities first.
        probabilities: Option<Tensor>,
        /// The score received for each row, where the model gives a score rather than a class.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<f32>,
        /// What the scores were recognised as.
        recognised: String,
    },
    /// How well members are told from non-members.
    Membership {
        /// Members used.
        members: usize,
        /// Non-members used.
        non_members: usize,
        /// Area under the ROC curve.
        auc: Interval,
        /// True positive rate at a false positive rate of 1 %.
        tpr_at_1: Interval,
        /// True positive rate at a false positive rate of 0.1 %.
        #[serde(default)]
        tpr_at_01: Interval,
        /// The epsilon of differential privacy that the attack shows to be exceeded; `low` holds with 95 %
        /// confidence, and there is no upper end. `None` with too few rows.
        #[serde(default)]
        epsilon: Option<LowerBound>,
        /// The members that are told most surely, at the false alarms asked for.
        #[serde(default)]
        at_risk: Vec<AtRisk>,
        /// The curve.
        roc: Vec<RocPoint>,
        /// The score used.
        score: String,
    },
    /// Figures, each with its interval, most telling first.
    Measured {
        /// The figures.
        figures: Vec<Measure>,
        /// Remarks a reader needs.
        notes: Vec<String>,
    },
    /// Rows that were singled out.
    Rows {
        /// Their share of the rows judged.
        share: Interval,
        /// How the decision was made, in words.
        decision: String,
    },
    /// One reconstructed trigger a class.
    Triggers {
        /// In order of class.
        triggers: Vec<Trigger>,
        /// The shape of one row.
        shape: Vec<usize>,
        /// How the decision was made, in words.
        decision: String,
    },
}

/// What an attack reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The attack's name.
    pub attack: String,
    /// Why it was stopped, when it did not run to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// One entry a row attacked, in order of row.
    pub rows: Vec<RowOutcome>,
    /// The rest.
    pub detail: Detail,
}

impl Outcome {
    /// How many rows are in this state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }
}
