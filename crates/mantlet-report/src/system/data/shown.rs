//! What is shown as pictures: inputs before and after, recovered triggers, curves.

use serde::{Deserialize, Serialize};

use super::{Basis, Figure};
use crate::svg::Raster;

/// A named value of a row that is not a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The input's name.
    pub name: String,
    /// The value as text.
    pub value: String,
}

/// One row given to a model, as a person can look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Input {
    /// A picture.
    Picture(Raster),
    /// Named values.
    Fields {
        /// In the model's order.
        fields: Vec<Field>,
    },
}

/// One row before and after an evasion attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvasionItem {
    /// What it truly is.
    pub truth: String,
    /// What the model says to the clean row, and its score from 0 to 1.
    pub before: (String, Option<f64>),
    /// What the model says to the perturbed row.
    pub after: (String, Option<f64>),
    /// The clean row.
    pub clean: Input,
    /// The perturbed row.
    pub perturbed: Input,
}

/// Rows before and after an evasion attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvasionGrid {
    /// The model version.
    pub model: String,
    /// The heading.
    pub title: String,
    /// What to see, in plain words.
    pub sentence: String,
    /// The rows; the first eight are shown.
    pub items: Vec<EvasionItem>,
    /// What it rests on.
    pub basis: Basis,
}

/// A trigger recovered for one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveredTrigger {
    /// The class that everything turns into.
    pub class: String,
    /// Where the trigger sits: 0 not at all, 1 fully.
    pub mask: Option<Raster>,
    /// What the trigger paints.
    pub pattern: Option<Raster>,
    /// How much of the input has to change (the L1 norm of the mask); small is suspicious.
    pub size: f64,
    /// How far from the other classes, in median absolute deviations.
    pub anomaly: f64,
    /// How often the trigger turns a row into this class, 0 to 1.
    pub success: f64,
    /// Whether it is held to be a backdoor.
    pub flagged: bool,
}

/// Triggers recovered from one model version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerPanel {
    /// The model version.
    pub model: String,
    /// The heading.
    pub title: String,
    /// What to see, in plain words.
    pub sentence: String,
    /// One per class, in class order.
    pub triggers: Vec<RecoveredTrigger>,
    /// The anomaly at and above which a class is flagged.
    pub threshold: f64,
    /// What it rests on.
    pub basis: Basis,
}

/// Agreement of a stolen copy after so many queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Queries spent.
    pub queries: u64,
    /// Agreement with the model on unseen rows, 0 to 1.
    pub agreement: f64,
    /// Lower and upper end of its interval.
    pub interval: Option<(f64, f64)>,
}

/// How good a stolen copy gets as queries are spent, and when the guard spoke up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtractionCurve {
    /// The model version.
    pub model: String,
    /// The heading.
    pub title: String,
    /// What to see, in plain words.
    pub sentence: String,
    /// Points by rising queries.
    pub points: Vec<Agreement>,
    /// The agreement that counts as stolen (0.8).
    pub goal: f64,
    /// The query at which the guard flagged the caller.
    pub flagged_at: Option<u64>,
    /// The query at which the guard blocked the caller.
    pub blocked_at: Option<u64>,
    /// What it rests on.
    pub basis: Basis,
}

/// One line of a [`HoldCurve`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldLine {
    /// What it is about.
    pub name: String,
    /// (how much, share of rows), by rising x.
    pub points: Vec<(f64, f64)>,
}

/// How many rows hold their decision as more is done to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldCurve {
    /// The model version.
    pub model: String,
    /// The heading.
    pub title: String,
    /// What to see, in plain words.
    pub sentence: String,
    /// What is along the x axis, with its unit.
    pub x: String,
    /// What share the y axis shows.
    pub y: String,
    /// The lines; the first is the one to look at.
    pub lines: Vec<HoldLine>,
    /// What it rests on.
    pub basis: Basis,
}

/// How well an attacker tells training rows from others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MembershipRoc {
    /// The model version.
    pub model: String,
    /// The heading.
    pub title: String,
    /// What to see, in plain words.
    pub sentence: String,
    /// (false-positive rate, true-positive rate), rising.
    pub points: Vec<(f64, f64)>,
    /// Area under the curve.
    pub auc: f64,
    /// True-positive rates at low false-positive rates, and the like.
    pub figures: Vec<Figure>,
    /// What it rests on.
    pub basis: Basis,
}
