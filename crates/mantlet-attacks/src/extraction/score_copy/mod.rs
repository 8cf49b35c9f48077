//! Gathers the rows and scores from which a copy of a scoring, pricing or ranking model is trained.

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use crate::extraction::query_copy::{self, QueryCopy, Strategy};
use crate::told::{Told, percent};
use crate::{Answer, Ask, Attack, AttackError, Detail, Material, Outcome, Step, Stop};

/// The room's card.
pub const ABOUT: About = About {
    name: "extraction-score-copy",
    title: "scores given to enough questions are enough to train a copy that scores and ranks alike",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002", "AML.T0040"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome; the copies are told by the share of the score's variance they explain.
pub(crate) fn say(told: &Told<'_>) -> String {
    let best = told.copies.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    match (told.copies.iter().find(|(_, share)| *share >= crate::extraction::COPIED), best) {
        (Some((questions, share)), _) => format!(
            "A copy made of {questions} scores explains {} of how the model's score varies over rows that were not asked",
            percent(*share)
        ),
        (None, Some((questions, share))) => format!(
            "No copy made of the answers explains 90 % of how the model's score varies; the best, made of {questions} \
             scores, explains {}",
            percent(share.max(0.0))
        ),
        (None, None) => format!(
            "{} questions were answered with a score; how near a copy made of them comes was not measured",
            told.hits()
        ),
    }
}

/// How it gathers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where questions come from.
    pub strategy: Strategy,
    /// How many rows are asked.
    pub queries: usize,
    /// Rows in one question.
    pub batch: usize,
    /// Which of the model's scores is copied.
    pub column: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { strategy: Strategy::Mixed, queries: 600, batch: 25, column: 0 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScoreCopy {
    column: usize,
    thief: QueryCopy,
}

impl ScoreCopy {
    /// Prepares the attack.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows to start from.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let Config { strategy, queries, batch, column } = config;
        // Scores have no classes to mix across.
        let inner = query_copy::Config { strategy, queries, batch, scores: true, across: 0.0 };
        let own = |error| match error {
            AttackError::Config { reason, .. } => AttackError::Config { attack: ABOUT.name, reason },
            AttackError::Material { needs, .. } => AttackError::Material { attack: ABOUT.name, needs },
            other => other,
        };
        let thief = QueryCopy::new(inner, seed, material).map_err(own)?;
        Ok(Self { column, thief })
    }

    fn own(&self, outcome: Outcome) -> Outcome {
        let Outcome { stopped, rows, detail, .. } = outcome;
        let detail = match detail {
            Detail::Extraction { rows, labels, .. } => Detail::Extraction {
                values: self.thief.received(self.column),
                rows,
                labels,
                probabilities: None,
                recognised: "a score".to_owned(),
            },
            other => other,
        };
        Outcome { attack: ABOUT.name.to_owned(), stopped, rows, detail }
    }
}

impl Attack for ScoreCopy {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        if matches!(&answer, Some(Answer::Scores(scores)) if scores.row_len() <= self.column) {
            return Step::Done(self.stop(Stop::Failure));
        }
        match self.thief.step(answer) {
            Step::Ask(ask @ Ask::Scores(_)) => Step::Ask(ask),
            Step::Ask(_) => Step::Done(self.stop(Stop::Failure)),
            Step::Done(outcome) => Step::Done(self.own(outcome)),
        }
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        let outcome = self.thief.stop(why);
        self.own(outcome)
    }

    fn hits(&self) -> usize {
        self.thief.hits()
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::Tensor;

    use super::*;
    use crate::testing::{Model, hold};

    #[test]
    fn cases_hold() {
        hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn scores_are_kept_as_they_came_and_a_column_that_is_not_there_fails() {
        let json = r#"{"model": "linear", "weights": [[100, -40], [1, 1]], "bias": [250, 0]}"#;
        let model: Model = serde_json::from_str(json).unwrap();
        let rows = Tensor::new([2, 2], vec![0.5, 0.5, 0.1, 0.2]).unwrap();
        let play = |column| {
            let config = Config { queries: 30, column, ..Config::default() };
            model.play(&mut ScoreCopy::new(config, 4, Material::new(rows.clone(), vec![], 1)).unwrap()).0
        };
        let outcome = play(0);
        let Detail::Extraction { rows: asked, values, probabilities: None, .. } = &outcome.detail else {
            panic!()
        };
        assert_eq!((asked.rows(), values.len()), (30, 30));
        for (row, value) in values.iter().enumerate() {
            let [a, b] = asked.row(row) else { panic!() };
            assert!((value - (250.0 + 100.0 * a - 40.0 * b)).abs() < 1e-3);
        }
        assert_eq!(play(2).stopped, Some(Stop::Failure));
    }
}
