//! Strong intentional perturbation (Gao and others, STRIP, 2019): a row that keeps its class however it is blended
//! with clean rows carries a trigger.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::rows::RowShape;
use crate::told::{Told, singled};
use crate::{
    Answer, Ask, Attack, AttackError, Detail, Material, Outcome, Random, RowOutcome, State, Step, Stop,
    wilson,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-stubborn-rows",
    title: "rows keep their class whatever they are blended with",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0043.004", "AML.T0020"],
    owasp: &["ML10:2023", "ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    singled(told, "keep their class whatever they are blended with")
}

/// How rows are blended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Blends of each row.
    pub blends: usize,
    /// Share of the clean row in a blend.
    pub share: f32,
    /// The most rows judged.
    pub rows: usize,
    /// Share of clean rows that may be called stubborn.
    pub false_alarms: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { blends: 16, share: 0.5, rows: 2_000, false_alarms: 0.01 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StubbornRows {
    config: Config,
    random: Random,
    shape: RowShape,
    /// The judged rows, then the clean rows that set the threshold.
    rows: Tensor,
    judged: usize,
    clean: Tensor,
    /// 0 nothing asked, 1 the rows' own classes asked, 2 blends asked, 3 over.
    stage: u8,
    own: Vec<usize>,
    /// How many blends of each row kept the row's class.
    kept: Vec<usize>,
}

impl StubbornRows {
    /// Prepares the attack: rows to judge in `rows`, rows known to be clean in `pool`.
    ///
    /// # Errors
    /// When the configuration is out of range or there are too few clean rows.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let share = config.share > 0.0 && config.share < 1.0;
        if !share
            || config.blends == 0
            || config.rows == 0
            || !(config.false_alarms > 0.0 && config.false_alarms < 1.0)
        {
            let reason =
                "blends and rows must be at least 1, share and false_alarms between 0 and 1".to_owned();
            return Err(AttackError::Config { attack: ABOUT.name, reason });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let Some(clean) = material.pool.filter(|pool| pool.rows() >= 8) else {
            let needs = "at least eight clean rows, in the pool".to_owned();
            return Err(AttackError::Material { attack: ABOUT.name, needs });
        };
        let shape = RowShape::of(&material.rows);
        let judged = material.rows.rows().min(config.rows);
        let len = shape.len();
        let mut data = material.rows.data()[..judged * len].to_vec();
        data.extend_from_slice(&clean.data()[..clean.rows().min(config.rows) * len]);
        Ok(Self {
            config,
            random: Random::new(seed),
            rows: shape.batch(data),
            shape,
            judged,
            clean,
            stage: 0,
            own: Vec::new(),
            kept: Vec::new(),
        })
    }

    fn blend(&mut self) -> Step {
        self.stage = 2;
        let share = self.config.share;
        let mut data = Vec::with_capacity(self.rows.data().len() * self.config.blends);
        for row in 0..self.rows.rows() {
            for _ in 0..self.config.blends {
                let other = self.clean.row(self.random.below(self.clean.rows()));
                data.extend(self.rows.row(row).iter().zip(other).map(|(a, b)| a + share * (b - a)));
            }
        }
        Step::Ask(Ask::Labels(self.shape.batch(data)))
    }

    /// The number of kept blends above which a row is stubborn; `None` when clean rows are as stubborn as can be, so
    /// that nothing can be told.
    fn threshold(&self) -> Option<usize> {
        let mut clean: Vec<usize> = self.kept[self.judged..].to_vec();
        clean.sort_unstable_by(|a, b| b.cmp(a));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let allowed = (self.config.false_alarms * clean.len() as f64).floor() as usize;
        clean.get(allowed).copied().filter(|kept| *kept < self.config.blends)
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let threshold = if self.stage == 3 { self.threshold() } else { None };
        let rows = (0..self.judged).map(|row| {
            let state = match (stopped, threshold) {
                (Some(why), _) => why.state(),
                (None, None) => State::Undecided,
                (None, Some(threshold)) if self.kept[row] > threshold => State::Hit,
                (None, Some(_)) => State::Miss,
            };
            RowOutcome {
                before: self.own.get(row).copied(),
                queries: 1 + self.config.blends as u64,
                ..RowOutcome::without_result(row, state)
            }
        });
        let rows: Vec<RowOutcome> = rows.collect();
        let hits = rows.iter().filter(|row| row.state == State::Hit).count();
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            detail: Detail::Rows {
                share: wilson(hits, self.judged),
                decision: match threshold {
                    Some(threshold) => format!(
                        "a row is called stubborn when more than {threshold} of its {} blends keep its class; of \
                         clean rows {:.1} % do",
                        self.config.blends,
                        self.config.false_alarms * 100.0
                    ),
                    None => {
                        "clean rows keep their class under every blend too: nothing can be told".to_owned()
                    }
                },
            },
            rows,
        }
    }
}

impl Attack for StubbornRows {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match (self.stage, answer) {
            (0, None) => {
                self.stage = 1;
                Step::Ask(Ask::Labels(self.rows.clone()))
            }
            (1, Some(Answer::Labels(labels))) if labels.len() == self.rows.rows() => {
                self.own = labels;
                self.blend()
            }
            (2, Some(Answer::Labels(labels))) if labels.len() == self.rows.rows() * self.config.blends => {
                self.kept = labels
                    .chunks(self.config.blends)
                    .zip(&self.own)
                    .map(|(labels, own)| labels.iter().filter(|label| *label == own).count())
                    .collect();
                self.stage = 3;
                Step::Done(self.outcome(None))
            }
            (3, _) => Step::Done(self.outcome(None)),
            _ => Step::Done(self.outcome(Some(Stop::Failure))),
        }
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    fn hits(&self) -> usize {
        if self.stage == 3 { self.outcome(None).count(State::Hit) } else { 0 }
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }
}
