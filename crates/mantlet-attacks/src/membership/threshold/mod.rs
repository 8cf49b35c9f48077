//! Membership by a threshold on how well the model fits a row. The weakest attack of its kind: what it finds is
//! a lower bound.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::measure::Measured;
use crate::told::{Told, members};
use crate::{Answer, Ask, Attack, AttackError, Material, Outcome, ScoreKind, State, Step, Stop};

/// The room's card.
pub const ABOUT: About = About {
    name: "membership-threshold",
    title: "the model's confidence tells which records it was trained on",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0024.000"],
    owasp: &["ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    format!("{}; this attack is the weakest of its kind, so it is a lower bound", members(told))
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether only labels are asked: a row is called a member when the model is right about it.
    pub labels_only: bool,
    /// The share of non-members that may be called members.
    pub false_alarms: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { labels_only: false, false_alarms: 0.01 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Threshold {
    config: Config,
    members: Tensor,
    member_labels: Vec<usize>,
    others: Tensor,
    other_labels: Vec<usize>,
    /// True scores of members and others, where the model gives a score, and which of its scores that is.
    values: [Vec<f32>; 2],
    column: usize,
    /// 0 nothing asked, 1 members asked, 2 non-members asked, 3 over.
    stage: u8,
    member_scores: Vec<Option<f32>>,
    other_scores: Vec<Option<f32>>,
}

impl Threshold {
    /// Prepares the attack: members in `rows`, non-members in `pool`, both with labels.
    ///
    /// # Errors
    /// When there are no non-members or labels.
    pub fn new(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(config.false_alarms > 0.0 && config.false_alarms < 1.0) {
            let reason = "false_alarms must be between 0 and 1".to_owned();
            return Err(AttackError::Config { attack: ABOUT.name, reason });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let needs = |needs: &str| AttackError::Material { attack: ABOUT.name, needs: needs.to_owned() };
        let others = material
            .pool
            .filter(|pool| pool.rows() > 0)
            .ok_or_else(|| needs("rows the model was not trained on, in the pool"))?;
        let scored = !material.values.is_empty() && !material.pool_values.is_empty();
        if scored && config.labels_only {
            return Err(needs("classes where `labels_only` is set: this model gives a score"));
        }
        if !scored && (material.labels.is_empty() || material.pool_labels.is_empty()) {
            return Err(needs("labels of members and non-members"));
        }
        Ok(Self {
            config,
            members: material.rows,
            member_labels: material.labels,
            others,
            other_labels: material.pool_labels,
            values: if scored { [material.values, material.pool_values] } else { Default::default() },
            column: material.score,
            stage: 0,
            member_scores: Vec::new(),
            other_scores: Vec::new(),
        })
    }

    /// How well the model fits each row: members are side 0, others side 1.
    fn fits(&self, answer: Answer, side: usize) -> Option<Vec<Option<f32>>> {
        let labels = if side == 0 { &self.member_labels } else { &self.other_labels };
        match (answer, &self.values[side]) {
            (Answer::Scores(scores), values) if !values.is_empty() => residuals(&scores, values, self.column)
                .map(|all| all.into_iter().map(|apart| apart.map(|apart: f32| -apart.abs())).collect()),
            (answer, _) => fit(&self.config, answer, labels),
        }
    }

    fn ask(&self, rows: &Tensor) -> Step {
        Step::Ask(if self.config.labels_only { Ask::Labels(rows.clone()) } else { Ask::Scores(rows.clone()) })
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let rows: Vec<usize> = (0..self.members.rows()).collect();
        Measured {
            attack: ABOUT.name,
            rows: &rows,
            labels: &self.member_labels,
            members: &self.member_scores,
            others: &self.other_scores,
            false_alarms: self.config.false_alarms,
            score: if !self.values[0].is_empty() {
                "how near the model's score is to the true one"
            } else if self.config.labels_only {
                "whether the predicted label is right"
            } else {
                "log-odds of the true label"
            }
            .to_owned(),
            queries_each: 1,
            stopped,
        }
        .outcome()
    }
}

/// Log-odds of the true class, exact for logits; `None` when the scores are no numbers.
pub(crate) fn log_odds(row: &[f32], label: usize, kind: ScoreKind) -> Option<f32> {
    let own = *row.get(label)?;
    if row.iter().any(|value| !value.is_finite()) {
        return None;
    }
    if kind == ScoreKind::Logits {
        let others = || row.iter().enumerate().filter(|(index, _)| *index != label).map(|(_, value)| *value);
        let top = others().fold(f32::NEG_INFINITY, f32::max);
        Some(if top.is_finite() {
            own - top - others().map(|value| (value - top).exp()).sum::<f32>().ln()
        } else {
            own
        })
    } else {
        // The other classes' share is summed rather than taken from 1, which keeps small shares.
        let rest: f32 =
            row.iter().enumerate().filter(|(index, _)| *index != label).map(|(_, value)| *value).sum();
        Some(own.max(1e-12).ln() - rest.max(1e-12).ln())
    }
}

/// By how much a column of scores is above the true one on each row; `None` for a row whose scores are no numbers, and for
/// all when they do not fit the rows.
pub(crate) fn residuals(scores: &Tensor, truths: &[f32], column: usize) -> Option<Vec<Option<f32>>> {
    if scores.rows() != truths.len() || column >= scores.row_len() {
        return None;
    }
    let apart =
        |(row, truth): (usize, &f32)| Some(scores.row(row)[column] - truth).filter(|apart| apart.is_finite());
    Some(truths.iter().enumerate().map(apart).collect())
}

/// Scores of rows: how well the model fits each.
fn fit(config: &Config, answer: Answer, labels: &[usize]) -> Option<Vec<Option<f32>>> {
    match answer {
        Answer::Labels(given) if config.labels_only && given.len() == labels.len() => Some(
            given
                .iter()
                .zip(labels)
                .map(|(given, label)| Some(f32::from(u8::from(given == label))))
                .collect(),
        ),
        Answer::Scores(scores) if !config.labels_only && scores.rows() == labels.len() => {
            let kind = ScoreKind::recognise(&scores);
            Some(
                labels
                    .iter()
                    .enumerate()
                    .map(|(row, label)| log_odds(scores.row(row), *label, kind))
                    .collect(),
            )
        }
        _ => None,
    }
}

impl Attack for Threshold {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match (self.stage, answer) {
            (0, None) => {
                self.stage = 1;
                self.ask(&self.members)
            }
            (1, Some(answer)) => match self.fits(answer, 0) {
                Some(scores) => {
                    self.member_scores = scores;
                    self.stage = 2;
                    self.ask(&self.others)
                }
                None => Step::Done(self.outcome(Some(Stop::Failure))),
            },
            (2, Some(answer)) => match self.fits(answer, 1) {
                Some(scores) => {
                    self.other_scores = scores;
                    self.stage = 3;
                    Step::Done(self.outcome(None))
                }
                None => Step::Done(self.outcome(Some(Stop::Failure))),
            },
            (3, _) => Step::Done(self.outcome(None)),
            _ => Step::Done(self.outcome(Some(Stop::Failure))),
        }
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    fn hits(&self) -> usize {
        if self.stage < 3 { 0 } else { self.outcome(None).count(State::Hit) }
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests;
