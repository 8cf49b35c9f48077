//! The guard rule that a confirmed attack yields.
//!
//! A rule pins several things, and any of them matching is a hit: how the attack's stream behaved, where in the
//! input space it succeeded, what its rows were that honest rows are not (how odd, beyond which learned boundary, which
//! relation broken, which mark carried), and how little the model was sure. Each threshold is put between what
//! honest rows and simulated honest sessions reach (written in the profile) and what the attack did; where the two
//! touch, that thing is not pinned. One more pin is no match but an order: answers of this route have less detail.

mod boundary;
mod derive;
mod mark;
mod trace;

use mantlet_kernels::distance as distance2;
use mantlet_vocab::{Detail, NamedValue, Relation, Signal, Tensor};
use serde::{Deserialize, Serialize};

use crate::rooms::pinned_attack::ABOUT;
use crate::{Encoded, Observation, Profile, RowFacts};

pub use boundary::Boundary;
pub use derive::{Ordinary, derive, derive_from};
pub use mark::Mark;
pub use trace::{Trace, TraceError, TraceRow};

/// Rows rarer than this are odd.
const ODD: f64 = 0.05;

/// Why a trace yields no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Nothing in the trace differs from honest traffic.
    #[error("nothing in the {rows} rows of the trace differs enough from honest traffic to be pinned")]
    Nothing {
        /// Rows of the trace.
        rows: usize,
    },
}

/// A guard rule derived from a confirmed attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedRule {
    /// Id, `pin-` and the start of a digest of what is pinned.
    pub id: String,
    /// The case it comes from.
    pub case: String,
    /// The attack's name, when known.
    pub attack: String,
    /// What is pinned; any of them matching is a hit.
    pub pins: Vec<Pin>,
    /// What it stops, in plain words, one line each.
    pub description: Vec<String>,
    /// What it was shown to do when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

/// What a rule, with no detector beside it, was shown to do: counts, so that anybody can put an interval around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Whether the confirmed attack itself was stopped before its success.
    pub case: bool,
    /// Unseen variants of the attack (other seeds, other rows) that succeed without a guard.
    pub variants: usize,
    /// Of these stopped before they succeeded.
    pub stopped: usize,
    /// Ordinary rows that had no part in making the rule.
    pub benign: usize,
    /// Of these not answered.
    pub blocked: usize,
}

/// One thing a rule pins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pin")]
pub enum Pin {
    /// How the attack's stream behaves.
    Stream {
        /// Distinct near rows from which it matches.
        near: Option<u32>,
        /// Rows on straight lines from which it matches.
        aligned: Option<u32>,
        /// Evidence against honest traffic from which it matches.
        evidence: Option<f64>,
    },
    /// Where in the input space the attack succeeded: balls around its successful rows.
    Region {
        /// Centres, in the profile's space.
        centres: Vec<Vec<f32>>,
        /// Radius around each.
        radii: Vec<f32>,
    },
    /// What honest rows are not and the attack's rows were.
    Constraint(Constraint),
    /// A boundary learned between the attack's rows and honest ones.
    Learned(Boundary),
    /// What holds between the values of every training row and did not in the attack's.
    Relations {
        /// Any of them broken is a match.
        broken: Vec<Relation>,
    },
    /// The mark of a planted backdoor.
    Marked(Mark),
    /// Answers the model is hardly sure of are withheld, as the attack's successes lay where the decision changes.
    Unsure {
        /// The best score is less than this above the next, as a share of 1.
        margin: f32,
    },
    /// How many different inputs a caller may ask about in one window of a day: what the attack needed was more.
    Allowance {
        /// The most.
        rows: u64,
    },
    /// Answers have less detail, for everybody: the attack lived on exact scores.
    Detail {
        /// What is left of them.
        to: Detail,
    },
}

/// A constraint on rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Outlier score from which a single row matches.
    pub outlier: Option<f64>,
    /// Rare rows among the last sixteen new ones from which the stream matches.
    pub rare: Option<u32>,
}

impl Pin {
    /// The word that names it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Stream { .. } => "stream",
            Self::Region { .. } => "region",
            Self::Constraint(_) => "constraint",
            Self::Learned(_) => "learned",
            Self::Relations { .. } => "relations",
            Self::Marked(_) => "marked",
            Self::Unsure { .. } => "unsure",
            Self::Allowance { .. } => "allowance",
            Self::Detail { .. } => "detail",
        }
    }

    /// Which row matches first, and why.
    fn look(
        &self,
        profile: &Profile,
        encoded: &Encoded,
        rows: &[RowFacts],
        raw: Option<&Tensor<f32>>,
    ) -> Option<(u64, String)> {
        let number = |index: usize| rows.get(index).map_or(index as u64 + 1, |row| row.row);
        match self {
            Self::Stream { near, aligned, evidence } => rows.iter().find_map(|row| {
                if near.is_some_and(|near| row.near >= near) {
                    return Some((row.row, format!("varies {} recent rows slightly", row.near)));
                }
                if row.on_line && aligned.is_some_and(|aligned| row.aligned >= aligned) {
                    return Some((row.row, "lies on a straight line through two earlier rows".into()));
                }
                (evidence.is_some_and(|evidence| row.evidence >= evidence))
                    .then(|| (row.row, "continues a stream too odd to be ordinary use".into()))
            }),
            Self::Region { centres, radii } => rows.iter().enumerate().find_map(|(index, row)| {
                let values = (index < encoded.rows.rows()).then(|| encoded.rows.row(index))?;
                centres
                    .iter()
                    .zip(radii)
                    .any(|(centre, radius)| distance2(values, centre) <= radius * radius)
                    .then(|| (row.row, "lies where the attack succeeded".into()))
            }),
            Self::Constraint(Constraint { outlier, rare }) => rows.iter().find_map(|row| {
                let odd = outlier.is_some_and(|outlier| row.outlier >= outlier);
                let many = rare.is_some_and(|rare| row.rare >= rare && row.rarity <= ODD);
                (odd || many)
                    .then(|| (row.row, "is what the attack's rows were and honest rows are not".into()))
            }),
            Self::Learned(boundary) => (0..encoded.rows.rows())
                .find(|index| boundary.score(profile, encoded.rows.row(*index)) >= 0.0)
                .map(|index| (number(index), "lies beyond what ordinary rows keep to".into())),
            Self::Relations { broken } => {
                let raw = raw?;
                (0..raw.rows())
                    .find(|index| broken.iter().any(|relation| !relation.holds(raw.row(*index))))
                    .map(|index| (number(index), "breaks what holds in every training row".into()))
            }
            Self::Marked(mark) => {
                let raw = raw?;
                (0..raw.rows())
                    .find(|index| mark.carried_by(raw.row(*index)))
                    .map(|index| (number(index), "carries the mark of a planted backdoor".into()))
            }
            Self::Allowance { rows: allowed } => rows.iter().find(|row| row.spent > *allowed).map(|row| {
                (
                    row.row,
                    format!("is one more than the {allowed} new inputs a caller may ask about in a day"),
                )
            }),
            Self::Unsure { .. } | Self::Detail { .. } => None,
        }
    }
}

/// The values of all inputs side by side, in the profile's order; `None` where one is missing, a text or uneven.
#[must_use]
pub fn side_by_side(profile: &Profile, inputs: &[NamedValue]) -> Option<Tensor<f32>> {
    let mut parts = Vec::with_capacity(profile.inputs.len());
    for input in &profile.inputs {
        let value = &inputs.iter().find(|other| other.name == input.name)?.value;
        parts.push((value.to_f32()?, input.columns.len()));
    }
    let rows = parts.first().map(|(part, width)| part.data().len().checked_div(*width).unwrap_or(0))?;
    if parts.iter().any(|(part, width)| part.data().len() != rows * width) {
        return None;
    }
    let width = parts.iter().map(|(_, width)| width).sum::<usize>();
    let mut data = Vec::with_capacity(rows * width);
    for row in 0..rows {
        parts
            .iter()
            .for_each(|(part, width)| data.extend_from_slice(&part.data()[row * width..(row + 1) * width]));
    }
    Tensor::new([rows, width], data).ok()
}

impl PinnedRule {
    /// Judges the rows of a request: `inputs` as they came, `seen` as the profile sees them.
    #[must_use]
    pub fn look(&self, seen: &Observation<'_>, inputs: &[NamedValue]) -> Option<Signal> {
        let raw = self.pins.iter().any(|pin| matches!(pin, Pin::Relations { .. } | Pin::Marked(_)));
        let raw = if raw { side_by_side(seen.profile, inputs) } else { None };
        let found = self.pins.iter().filter_map(|pin| {
            let (row, why) = pin.look(seen.profile, seen.encoded, seen.rows, raw.as_ref())?;
            Some((row, why, pin.word()))
        });
        let (row, why, pin) = found.min_by_key(|(row, ..)| *row)?;
        Some(self.signal(format!("row {row} {why}"), pin))
    }

    /// Judges the answer: `margins` says for each row how far its best score is above the next.
    #[must_use]
    pub fn answered(&self, margins: &[f32]) -> Option<Signal> {
        let needed = self.pins.iter().find_map(|pin| match pin {
            Pin::Unsure { margin } => Some(*margin),
            _ => None,
        })?;
        margins
            .iter()
            .any(|margin| *margin < needed)
            .then(|| self.signal("the model is hardly sure of its answer".to_owned(), "unsure"))
    }

    /// Whether it wants to know how sure the model was.
    #[must_use]
    pub fn asks_margins(&self) -> bool {
        self.pins.iter().any(|pin| matches!(pin, Pin::Unsure { .. }))
    }

    /// What is left of answers, when the rule orders less detail.
    #[must_use]
    pub fn detail(&self) -> Option<Detail> {
        self.pins.iter().find_map(|pin| match pin {
            Pin::Detail { to } => Some(*to),
            _ => None,
        })
    }

    /// The same rule with these pins only, under an id of its own; `None` when none is left.
    #[must_use]
    pub fn with_pins(&self, keep: impl Fn(&Pin) -> bool) -> Option<Self> {
        let kept = self.pins.iter().zip(&self.description).filter(|(pin, _)| keep(pin));
        let (pins, description): (Vec<Pin>, Vec<String>) =
            kept.map(|(pin, words)| (pin.clone(), words.clone())).unzip();
        (!pins.is_empty()).then(|| {
            let id = derive::id_of(&self.case, &pins);
            Self { id, case: self.case.clone(), attack: self.attack.clone(), pins, description, shown: None }
        })
    }

    /// A rule of these pins, each with its words.
    #[must_use]
    pub fn of(case: &str, attack: &str, pins: Vec<(Pin, String)>) -> Self {
        let (pins, description): (Vec<Pin>, Vec<String>) = pins.into_iter().unzip();
        let id = derive::id_of(case, &pins);
        Self { id, case: case.to_owned(), attack: attack.to_owned(), pins, description, shown: None }
    }

    /// Why the rule cannot be used with this profile: it was made for rows of another width.
    #[must_use]
    pub fn misfit(&self, profile: &Profile) -> Option<String> {
        let width = profile.typical.width;
        let values: usize = profile.inputs.iter().map(|input| input.columns.len()).sum();
        self.pins.iter().find_map(|pin| {
            let found = match pin {
                Pin::Region { centres, radii } => (centres.len() != radii.len()
                    || centres.iter().any(|centre| centre.len() != width))
                .then(|| centres.first().map_or(0, Vec::len)),
                Pin::Learned(boundary) => {
                    (boundary.factors.len() != 2 * width).then_some(boundary.factors.len() / 2)
                }
                Pin::Marked(mark) => {
                    mark.places.iter().map(|(place, ..)| place + 1).max().filter(|needed| *needed > values)
                }
                _ => None,
            }?;
            Some(format!("rule {} is for rows of {found} values, the profile has {width}", self.id))
        })
    }

    fn signal(&self, what: String, pin: &str) -> Signal {
        let message = format!("{what}, as in the confirmed attack of case {}", self.case);
        ABOUT
            .signal(1.0, message)
            .fact("rule", self.id.as_str())
            .fact("case", self.case.as_str())
            .fact("pin", pin)
    }
}
