//! Activation clustering (Chen and others 2018): the rows of a label, as the last layer sees them, fall into two
//! groups when part of them got the label from somewhere else. Read where the last layer reads, never at the scores.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::inside;
use crate::inquiry::{needs, wrong};
use crate::told::{Told, singled};
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Material, Outcome, Random, RowOutcome, State, Stop,
    wilson,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-activation-clusters",
    title: "rows of one label fall into two kinds inside the model",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Low,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    singled(told, "fall apart from the others of their label inside the model")
}

/// When a group is singled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directions of greatest spread that are looked at.
    pub directions: usize,
    /// The smaller group may hold this share of its label's rows.
    pub smaller: f32,
    /// How clearly the groups are apart (silhouette over centres), 0 to 1.
    pub apart: f32,
    /// Fewer rows of a label are not split.
    pub rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { directions: 10, smaller: 0.35, apart: 0.45, rows: 20 }
    }
}

impl Config {
    fn check(&self) -> Result<(), &'static str> {
        let share = |value: f32| value > 0.0 && value < 1.0;
        if self.directions == 0 || self.rows < 4 || !share(self.smaller) || !share(self.apart) {
            return Err("directions must be at least 1, rows at least 4, smaller and apart between 0 and 1");
        }
        Ok(())
    }

    fn words(&self) -> String {
        format!(
            "the smaller of two groups of a label's rows is singled out when it holds at most {:.0} % of them and the \
             groups are apart by a silhouette of at least {:.2}; such groups have honest reasons too, so look at rows",
            self.smaller * 100.0,
            self.apart
        )
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Clusters {
    config: Config,
    random: Random,
    rows: Tensor,
    labels: Vec<usize>,
    classes: usize,
    asked: bool,
    singled: Option<Vec<bool>>,
    errors: bool,
}

/// The room's attack.
pub type ActivationClusters = Inquired<Clusters>;

impl Clusters {
    fn judge(&mut self, values: &Tensor) -> Vec<bool> {
        let mut singled = vec![false; self.labels.len()];
        for rows in inside::by_class(&self.labels, self.classes) {
            if rows.len() < self.config.rows {
                continue;
            }
            let points = inside::project(values, &rows, self.config.directions, &mut self.random);
            let (second, silhouette) = inside::halves(&points, &mut self.random);
            let count = second.iter().filter(|second| **second).count();
            let small = count.min(rows.len() - count);
            #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
            let share = small as f32 / rows.len() as f32;
            if small == 0 || share > self.config.smaller || silhouette < self.config.apart {
                continue;
            }
            let side = count == small;
            rows.iter()
                .zip(&second)
                .filter(|(_, second)| **second == side)
                .for_each(|(row, _)| singled[*row] = true);
        }
        singled
    }
}

impl Inquiry for Clusters {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        config.check().map_err(|reason| wrong(ABOUT.name, reason))?;
        if material.labels.is_empty() || material.classes == 0 {
            return Err(needs(ABOUT.name, "the labels of the training rows"));
        }
        Ok(Self {
            config,
            random: Random::new(seed),
            rows: material.rows,
            labels: material.labels,
            classes: material.classes,
            asked: false,
            singled: None,
            errors: false,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let first = !std::mem::replace(&mut self.asked, true);
        first.then(|| Ask::Activations(self.rows.clone()))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Scores(values) = answer else { return false };
        if values.rows() != self.labels.len() || values.row_len() == 0 {
            return false;
        }
        self.errors = values.data().iter().any(|value| !value.is_finite());
        if !self.errors {
            self.singled = Some(self.judge(&values));
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let singled = |row: usize| self.singled.as_ref().is_some_and(|singled| singled[row]);
        let rows: Vec<RowOutcome> = (0..self.labels.len())
            .map(|row| {
                let state = match stopped {
                    Some(why) => why.state(),
                    None if self.errors || self.singled.is_none() => State::Error,
                    None if singled(row) => State::Hit,
                    None => State::Miss,
                };
                RowOutcome {
                    before: Some(self.labels[row]),
                    queries: 1,
                    ..RowOutcome::without_result(row, state)
                }
            })
            .collect();
        let hits = rows.iter().filter(|row| row.state == State::Hit).count();
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            detail: Detail::Rows { share: wilson(hits, rows.len()), decision: self.config.words() },
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
