//! Gathers the rows and answers from which a copy of the model is trained.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::rows::RowShape;
pub(crate) use crate::told::copied as say;
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Material, Outcome, Random, RowOutcome, ScoreKind,
    State, Step, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "extraction-query-copy",
    title: "answers to enough questions are enough to train a copy of the model",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002", "AML.T0040"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Where the thief's questions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A few seed rows, mixed in pairs and shifted: a thief with little data of the kind.
    Mixed,
    /// Rows of a natural pool, in random order: a thief with much data of the kind.
    Natural,
    /// Noise within the bounds: a thief with none.
    Noise,
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
    /// Whether scores are asked (labels otherwise).
    pub scores: bool,
    /// Mixed only: share of mixes taken between seeds of different classes once labels are known; these cross
    /// the boundaries, where a copy learns most.
    pub across: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { strategy: Strategy::Mixed, queries: 250, batch: 25, scores: false, across: 0.5 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryCopy {
    config: Config,
    random: Random,
    shape: RowShape,
    constraints: Constraints,
    /// Seeds (mixed) or the pool in the order it is asked (natural).
    source: Tensor,
    asked: Vec<f32>,
    answered: usize,
    labels: Vec<usize>,
    scores: Vec<f32>,
    columns: usize,
    open: usize,
    over: bool,
}

impl QueryCopy {
    /// Prepares the attack.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows to start from.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.queries == 0 || config.batch == 0 || !(0.0..=1.0).contains(&config.across) {
            let reason = "queries and batch must be at least 1, across between 0 and 1".to_owned();
            return Err(AttackError::Config { attack: ABOUT.name, reason });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let mut random = Random::new(seed);
        let needs = |needs: &str| AttackError::Material { attack: ABOUT.name, needs: needs.to_owned() };
        let source = match config.strategy {
            Strategy::Noise if material.constraints.is_empty() => {
                return Err(needs("constraints to draw noise from"));
            }
            Strategy::Mixed | Strategy::Noise => material.rows,
            Strategy::Natural => {
                let pool = material.pool.filter(|pool| pool.rows() > 0).unwrap_or(material.rows);
                let mut order: Vec<usize> = (0..pool.rows()).collect();
                random.shuffle(&mut order);
                pool.select(&order)
            }
        };
        Ok(Self {
            config,
            random,
            shape: RowShape::of(&source),
            constraints: material.constraints,
            source,
            asked: Vec::new(),
            answered: 0,
            labels: Vec::new(),
            scores: Vec::new(),
            columns: 0,
            open: 0,
            over: false,
        })
    }

    /// One column of the scores received so far, in the order asked.
    pub(super) fn received(&self, column: usize) -> Vec<f32> {
        let rows = self.scores.chunks_exact(self.columns.max(1));
        rows.filter_map(|row| row.get(column).copied()).take(self.answered).collect()
    }

    fn next(&mut self) -> Step {
        let limit = match self.config.strategy {
            Strategy::Natural => self.config.queries.min(self.source.rows()),
            Strategy::Mixed | Strategy::Noise => self.config.queries,
        };
        let count = self.config.batch.min(limit.saturating_sub(self.answered));
        if count == 0 {
            self.over = true;
            return Step::Done(self.outcome(None));
        }
        let mut data = Vec::with_capacity(count * self.shape.len());
        for place in self.answered..self.answered + count {
            data.extend(self.row(place));
        }
        self.open = count;
        self.asked.extend_from_slice(&data);
        let rows = self.shape.batch(data);
        Step::Ask(if self.config.scores { Ask::Scores(rows) } else { Ask::Labels(rows) })
    }

    fn row(&mut self, place: usize) -> Vec<f32> {
        match self.config.strategy {
            Strategy::Natural => self.source.row(place).to_vec(),
            Strategy::Noise => (0..self.shape.len())
                .map(|index| {
                    let bounds = self.constraints.at(index);
                    let value = self.random.between(bounds.lower, bounds.upper);
                    if bounds.integer { value.round().clamp(bounds.lower, bounds.upper) } else { value }
                })
                .collect(),
            Strategy::Mixed if place < self.source.rows() => self.source.row(place).to_vec(),
            Strategy::Mixed => self.mix(),
        }
    }

    /// Two seeds mixed, then shifted by up to one pixel (images) or jittered (tables).
    fn mix(&mut self) -> Vec<f32> {
        let seeds = self.source.rows();
        let (first, mut second) = (self.random.below(seeds), self.random.below(seeds));
        if self.random.unit() < self.config.across {
            for _ in 0..8 {
                if self.labels.get(first) != self.labels.get(second) {
                    break;
                }
                second = self.random.below(seeds);
            }
        }
        let share = self.random.unit();
        let base = self.source.row(first).to_vec();
        let other = self.source.row(second);
        let mut row: Vec<f32> = base.iter().zip(other).map(|(a, b)| share * a + (1.0 - share) * b).collect();
        if let Some((channels, height, width)) = self.shape.image() {
            let (down, right) = (self.random.below(3), self.random.below(3));
            row = shifted(&row, channels, height, width, down, right);
        } else {
            for (index, value) in row.iter_mut().enumerate() {
                *value += 0.02 * self.constraints.width(index) * self.random.normal();
            }
        }
        self.constraints.repair(&base, &mut row);
        row
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let len = self.shape.len();
        let rows = self.shape.batch(self.asked.get(..self.answered * len).unwrap_or(&[]).to_vec());
        let mut labels = self.labels.clone();
        let (mut probabilities, mut recognised) = (None, "labels".to_owned());
        if self.config.scores
            && self.columns > 0
            && let Ok(scores) = Tensor::new([self.answered, self.columns], self.scores.clone())
        {
            let kind = ScoreKind::recognise(&scores);
            recognised = match kind {
                ScoreKind::Logits => "logits, turned into probabilities",
                ScoreKind::Probabilities => "probabilities",
                ScoreKind::TopK => "the best few classes' probabilities; the rest shared equally",
                ScoreKind::TopOnly => "the best class's probability only; the rest shared equally",
            }
            .to_owned();
            labels = scores.argmax_rows();
            probabilities = Some(kind.probabilities(&scores));
        }
        let state = |row: usize| match stopped {
            _ if row < self.answered => State::Hit,
            Some(why) => why.state(),
            None => State::Undecided,
        };
        let wanted = if self.config.strategy == Strategy::Natural {
            self.config.queries.min(self.source.rows())
        } else {
            self.config.queries
        };
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: (0..wanted).map(|row| RowOutcome::without_result(row, state(row))).collect(),
            detail: Detail::Extraction { rows, labels, probabilities, values: Vec::new(), recognised },
        }
    }
}

/// The image moved by `down` - 1 and `right` - 1 pixels; what leaves on one side enters on the other.
fn shifted(row: &[f32], channels: usize, height: usize, width: usize, down: usize, right: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(row.len());
    for channel in 0..channels {
        for y in 0..height {
            for x in 0..width {
                let from = ((y + height + 1 - down) % height, (x + width + 1 - right) % width);
                out.push(row[(channel * height + from.0) * width + from.1]);
            }
        }
    }
    out
}

impl Attack for QueryCopy {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        if self.over {
            return Step::Done(self.outcome(None));
        }
        match answer {
            None if self.open == 0 => {}
            Some(Answer::Labels(labels)) if !self.config.scores && labels.len() == self.open => {
                self.labels.extend(labels);
                self.answered += self.open;
            }
            Some(Answer::Scores(scores))
                if self.config.scores
                    && scores.rows() == self.open
                    && scores.row_len() > 0
                    && (self.columns == 0 || self.columns == scores.row_len())
                    && scores.data().iter().all(|value| value.is_finite()) =>
            {
                self.columns = scores.row_len();
                self.labels.extend(scores.argmax_rows());
                self.scores.extend_from_slice(scores.data());
                self.answered += self.open;
            }
            _ => return Step::Done(self.outcome(Some(Stop::Failure))),
        }
        self.next()
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    /// None before the end: a few answers are no copy.
    fn hits(&self) -> usize {
        if self.over { self.answered } else { 0 }
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests;
