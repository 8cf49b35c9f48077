//! Reads a linear model off its scores exactly (Lowd and Meek, 2005; Tramèr and others, 2016): one question a value
//! gives every weight, and further questions show whether the equations hold elsewhere.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::rows::RowShape;
use crate::told::Told;
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Material, Outcome, RowOutcome, ScoreKind, State,
    Step, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "extraction-linear",
    title: "scores give away every weight of the model, one question a value",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002", "AML.T0040"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "The model is not one whose weights can be read off its scores".to_owned();
    }
    format!(
        "The model's weights can be read off its scores: they foretell the scores of {} of {} further rows",
        told.hits(),
        told.all()
    )
}

/// How it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How far each value is moved, as a share of its interval.
    pub step: f32,
    /// The largest difference of log-odds that counts as equal.
    pub tolerance: f32,
    /// The most rows on which the recovered model is tried.
    pub tries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { step: 0.25, tolerance: 0.02, tries: 50 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Linear {
    config: Config,
    shape: RowShape,
    rows: Tensor,
    /// The base row, then a row a value that can be moved, then the rows it is tried on.
    asked: Vec<f32>,
    /// For each moved row: the value and how far it was moved.
    moved: Vec<(usize, f32)>,
    tried: usize,
    /// Log-odds of each class against the first, a row each.
    odds: Vec<Vec<f32>>,
    labels: Vec<usize>,
    recognised: String,
    probabilities: Option<Tensor>,
    open: bool,
    over: bool,
}

impl Linear {
    /// Prepares the attack; the first row is the base, all rows are tried.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows or bounds.
    pub fn new(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(config.step > 0.0 && config.step <= 1.0 && config.tolerance > 0.0) || config.tries == 0 {
            let reason =
                "step must be above 0 and at most 1, tolerance positive, tries at least 1".to_owned();
            return Err(AttackError::Config { attack: ABOUT.name, reason });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let shape = RowShape::of(&material.rows);
        let base = material.rows.row(0).to_vec();
        let mut asked = base.clone();
        let mut moved = Vec::new();
        for place in 0..shape.len() {
            if let Some(change) = change(&material.constraints, place, base[place], config.step) {
                let mut row = base.clone();
                row[place] += change;
                moved.push((place, row[place] - base[place]));
                asked.extend(row);
            }
        }
        // Rows apart from the base; a lone base leaves nothing to try the model on.
        let tried = (material.rows.rows() - 1).min(config.tries);
        if tried == 0 {
            let needs = "a second row to try the recovered model on".to_owned();
            return Err(AttackError::Material { attack: ABOUT.name, needs });
        }
        (1..=tried).for_each(|row| asked.extend_from_slice(material.rows.row(row)));
        Ok(Self {
            config,
            shape,
            rows: material.rows,
            asked,
            moved,
            tried,
            odds: Vec::new(),
            labels: Vec::new(),
            recognised: String::new(),
            probabilities: None,
            open: false,
            over: false,
        })
    }

    /// What the recovered weights say of a row: log-odds of each class against the first.
    fn predicted(&self, row: &[f32]) -> Vec<f32> {
        let base = &self.odds[0];
        let mut odds = base.clone();
        for (index, (place, change)) in self.moved.iter().enumerate() {
            let distance = row[*place] - self.rows.row(0)[*place];
            for (class, value) in odds.iter_mut().enumerate() {
                *value += (self.odds[index + 1][class] - base[class]) / change * distance;
            }
        }
        odds
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let rows = (1..=self.tried).map(|row| {
            let answered = self.odds.get(self.moved.len() + row);
            let state = match (answered, stopped) {
                (_, Some(why)) => why.state(),
                (None, None) => State::Error,
                (Some(actual), None) if actual.iter().any(|value| value.abs() >= f32::MAX) => State::Error,
                (Some(actual), None) => {
                    let predicted = self.predicted(self.rows.row(row));
                    let same = predicted.iter().zip(actual).all(|(guess, truth)| {
                        (guess - truth).abs() <= self.config.tolerance * truth.abs().max(1.0)
                    });
                    // A model that says the same of every row has no weights to read.
                    let varies = self.odds.iter().any(|odds| {
                        odds.iter().zip(&self.odds[0]).any(|(a, b)| (a - b).abs() > self.config.tolerance)
                    });
                    if same && varies { State::Hit } else { State::Miss }
                }
            };
            RowOutcome { queries: 1, ..RowOutcome::without_result(row, state) }
        });
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Extraction {
                rows: if self.over {
                    self.shape.batch(self.asked.clone())
                } else {
                    self.shape.batch(Vec::new())
                },
                labels: self.labels.clone(),
                probabilities: self.probabilities.clone(),
                values: Vec::new(),
                recognised: self.recognised.clone(),
            },
        }
    }
}

/// How far a value may be moved: towards the farther bound, a whole number of units where it must be.
fn change(constraints: &Constraints, place: usize, value: f32, step: f32) -> Option<f32> {
    let constraint = constraints.at(place);
    if constraint.immutable {
        return None;
    }
    let (up, down) = (constraint.upper - value, value - constraint.lower);
    let most = up.max(down);
    let mut change = (step * constraints.width(place)).min(most);
    if constraint.integer {
        change = change.ceil().min(most.floor());
    }
    (change > 0.0 && change.is_finite()).then_some(if up >= down { change } else { -change })
}

impl Attack for Linear {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match answer {
            _ if self.over => Step::Done(self.outcome(None)),
            None if !self.open => {
                self.open = true;
                Step::Ask(Ask::Scores(self.shape.batch(self.asked.clone())))
            }
            Some(Answer::Scores(scores))
                if scores.rows() == 1 + self.moved.len() + self.tried && scores.row_len() > 1 =>
            {
                let kind = ScoreKind::recognise(&scores);
                self.recognised = match kind {
                    ScoreKind::Logits => "logits",
                    ScoreKind::Probabilities => "probabilities",
                    ScoreKind::TopK => "the best few classes' probabilities",
                    ScoreKind::TopOnly => "the best class's probability only",
                }
                .to_owned();
                self.labels = scores.argmax_rows();
                self.odds = (0..scores.rows())
                    .map(|row| {
                        let row = scores.row(row);
                        let log = |value: f32| if kind == ScoreKind::Logits { value } else { value.ln() };
                        row.iter().map(|value| log(*value) - log(row[0])).collect()
                    })
                    .collect();
                // Infinite odds cannot be written; they are errors of their rows.
                self.odds.iter_mut().flatten().for_each(|odds| {
                    if !odds.is_finite() {
                        *odds = f32::MAX;
                    }
                });
                // What is no number cannot be written either, and teaches a copy nothing.
                let soft = kind.probabilities(&scores);
                self.probabilities = soft.data().iter().all(|share| share.is_finite()).then_some(soft);
                self.over = true;
                Step::Done(self.outcome(None))
            }
            _ => Step::Done(self.outcome(Some(Stop::Failure))),
        }
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    fn hits(&self) -> usize {
        if self.over { self.outcome(None).count(State::Hit) } else { 0 }
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
