//! What the verdict needs to know of a probe: its family, its counts and its figures.

use mantlet_vocab::Gap;
use serde::{Deserialize, Serialize};

/// Names of the figures the policy has limits for.
pub mod figure {
    /// Share of inputs whose class an attacker changed within `epsilon` (`norm`). Evasion probes.
    pub const SUCCESS: &str = "success";
    /// Queries until a copy agrees with the model on `agreement` of held-out inputs. Extraction probes.
    pub const QUERIES_TO_AGREEMENT: &str = "queries-to-agreement";
    /// True positive rate at a false positive rate of 1 %. Membership probes.
    pub const TPR_AT_1_FPR: &str = "tpr-at-1-fpr";
}

/// What kind of question a probe asks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Can a small change of an input change the decision, knowing the model?
    Evasion,
    /// Can it, seeing only the decisions?
    DecisionEvasion,
    /// Can a copy be made by asking?
    Extraction,
    /// Can it be told who was in the training data?
    Membership,
    /// Is there a hidden trigger?
    Backdoor,
    /// A probe without a limit of its own; its hits ask for a person.
    Other,
}

impl Family {
    /// The word used in policies and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Evasion => "evasion",
            Self::DecisionEvasion => "decision-evasion",
            Self::Extraction => "extraction",
            Self::Membership => "membership",
            Self::Backdoor => "backdoor",
            Self::Other => "other",
        }
    }

    /// The question the family asks, in plain words.
    #[must_use]
    pub const fn question(self) -> &'static str {
        match self {
            Self::Evasion => {
                "can small changes of an input, made with knowledge of the model, change its decision"
            }
            Self::DecisionEvasion => {
                "can small changes of an input, found by asking only, change its decision"
            }
            Self::Extraction => "can the model be copied by asking it",
            Self::Membership => "can it be told who was in the training data",
            Self::Backdoor => "does a hidden mark on an input force a decision",
            Self::Other => "does the probe succeed",
        }
    }
}

/// How the trials of a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The attack succeeded.
    pub hits: u64,
    /// It did not, and its budget was enough to say so.
    pub misses: u64,
    /// The target failed.
    pub errors: u64,
    /// The budget ended first.
    pub undecided: u64,
}

impl Tally {
    /// Trials that ended in hit or miss.
    #[must_use]
    pub const fn decided(&self) -> u64 {
        self.hits.saturating_add(self.misses)
    }
}

/// One figure a probe measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeFigure {
    /// One of [`figure`], or any other name (recorded, not weighed).
    pub name: String,
    /// The value.
    pub value: f64,
    /// Trials behind it.
    pub n: u64,
    /// 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// The largest change allowed to the attacker, in the units of the (0..1 scaled) features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// How that change is measured: `linf`, `l2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<String>,
    /// The agreement that was aimed at (extraction).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// The goal was not reached: the true value is more than `value`.
    #[serde(default)]
    pub not_reached: bool,
}

impl ProbeFigure {
    /// A figure over `n` trials.
    #[must_use]
    pub fn new(name: &str, value: f64, n: u64) -> Self {
        Self {
            name: name.to_owned(),
            value,
            n,
            interval: None,
            epsilon: None,
            norm: None,
            agreement: None,
            not_reached: false,
        }
    }

    /// Measured within this change of the input.
    #[must_use]
    pub fn within(mut self, epsilon: f64, norm: &str) -> Self {
        self.epsilon = Some(epsilon);
        self.norm = Some(norm.to_owned());
        self
    }

    /// With this 95 % interval.
    #[must_use]
    pub fn interval(mut self, low: f64, high: f64) -> Self {
        self.interval = Some((low, high));
        self
    }

    /// Aiming at this agreement.
    #[must_use]
    pub fn agreement(mut self, agreement: f64) -> Self {
        self.agreement = Some(agreement);
        self
    }

    /// The goal was not reached within the budget.
    #[must_use]
    pub fn not_reached(mut self) -> Self {
        self.not_reached = true;
        self
    }
}

/// A probe as the verdict sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeSummary {
    /// The attack's name.
    pub probe: String,
    /// What it asks.
    pub family: Family,
    /// How its trials ended.
    pub tally: Tally,
    /// What it measured.
    pub figures: Vec<ProbeFigure>,
    /// What it saw, in one line of plain words (`a 2x2 mark in the lower right corner turns any digit into 7`).
    #[serde(default)]
    pub message: String,
    /// Set when it could not be run; it is then not examined, whatever else it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_examined: Option<Gap>,
    /// The command that reproduces it.
    #[serde(default)]
    pub command: String,
}

impl ProbeSummary {
    /// A probe that ran.
    #[must_use]
    pub fn ran(probe: &str, family: Family, tally: Tally) -> Self {
        Self {
            probe: probe.to_owned(),
            family,
            tally,
            figures: Vec::new(),
            message: String::new(),
            not_examined: None,
            command: String::new(),
        }
    }

    /// A probe that could not run.
    #[must_use]
    pub fn skipped(probe: &str, family: Family, gap: Gap) -> Self {
        Self { not_examined: Some(gap), ..Self::ran(probe, family, Tally::default()) }
    }

    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, figure: ProbeFigure) -> Self {
        self.figures.push(figure);
        self
    }
}
