//! Decision-based evasion: walks along the decision boundary seeing labels only (Chen, Jordan and Wainwright
//! 2020), all rows in one batch, every adversarial answer counted for the best row so far.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::levels::Levels;
use crate::rows::RowShape;
pub(crate) use crate::told::turned as say;
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Material, Norm, Outcome, Random, RowOutcome,
    State, Step, Stop,
};

mod walk;

use walk::{Look, Walk};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-hop-skip-jump",
    title: "small changes found by watching decisions only change the decision",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043.001", "AML.T0015", "AML.T0040"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it walks. Distances are Euclidean, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// The distance within which a changed row counts as a success; a tenth of the interval for each value on
    /// average (0.1 times the root of the number of values) when absent.
    pub radius: Option<f32>,
    /// Whether a row is finished as soon as it is within the radius.
    pub stop_at_hit: bool,
    /// Random directions asked at the first step; they grow with the root of the step number.
    pub directions: usize,
    /// The most start rows tried.
    pub starts: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { queries: 1_800, radius: None, stop_at_hit: false, directions: 40, starts: 40 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HopSkipJump {
    config: Config,
    random: Random,
    shape: RowShape,
    originals: Tensor,
    labels: Vec<usize>,
    constraints: Constraints,
    /// Where a score is to move rather than a class to change.
    levels: Option<Levels>,
    pool: Option<Tensor>,
    pool_labels: Vec<usize>,
    walks: Vec<Walk>,
    already_wrong: Vec<usize>,
    labelled: bool,
    /// How many rows each walk asked in the open question: (walk, rows).
    asked: Vec<(usize, usize)>,
    over: bool,
}

impl HopSkipJump {
    /// Prepares the attack.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let wrong = |reason: &str| AttackError::Config { attack: ABOUT.name, reason: reason.to_owned() };
        if config.directions < 2 || config.starts == 0 || config.queries == 0 {
            return Err(wrong("queries and starts must be at least 1, directions at least 2"));
        }
        if config.radius.is_some_and(|radius| !(radius.is_finite() && radius > 0.0)) {
            return Err(wrong("radius must be a positive number"));
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let levels = Levels::of(ABOUT.name, "evasion-boundary", &material, false)?;
        let scored = levels.is_some();
        if material.constraints.is_empty() && material.pool.is_none() {
            let needs = "start rows in the pool, or constraints to draw noise from".to_owned();
            return Err(AttackError::Material { attack: ABOUT.name, needs });
        }
        Ok(Self {
            config,
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            originals: material.rows,
            labels: if scored { Vec::new() } else { material.labels },
            constraints: material.constraints,
            levels,
            pool: material.pool.filter(|pool| pool.rows() > 0),
            // Which of the pool's scores are far enough is found by asking.
            pool_labels: if scored { Vec::new() } else { material.pool_labels },
            walks: Vec::new(),
            already_wrong: Vec::new(),
            labelled: false,
            asked: Vec::new(),
            over: false,
        })
    }

    /// The distance within which a changed row counts.
    #[must_use]
    pub fn radius(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a row's length")]
        let len = self.shape.len() as f32;
        self.config.radius.unwrap_or(0.1 * len.sqrt())
    }

    fn begin(&mut self, labels: &[usize]) {
        for (index, label) in labels.iter().enumerate() {
            if self.labels.get(index).is_some_and(|truth| truth != label) {
                self.already_wrong.push(index);
            } else {
                let starts = self.starts(index, *label);
                self.walks.push(Walk::new(index, *label, starts));
            }
        }
    }

    /// Rows that may be on the other side: of the pool where its labels say so, in random order; else noise.
    fn starts(&mut self, index: usize, label: usize) -> Vec<Vec<f32>> {
        let original = self.originals.row(index);
        let mut starts: Vec<Vec<f32>> = if let Some(pool) = &self.pool {
            let mut order: Vec<usize> =
                (0..pool.rows()).filter(|row| self.pool_labels.get(*row) != Some(&label)).collect();
            self.random.shuffle(&mut order);
            order.truncate(self.config.starts);
            order.into_iter().map(|row| pool.row(row).to_vec()).collect()
        } else {
            (0..self.config.starts)
                .map(|_| {
                    (0..self.shape.len())
                        .map(|place| {
                            let bounds = self.constraints.at(place);
                            self.random.between(bounds.lower, bounds.upper)
                        })
                        .collect()
                })
                .collect()
        };
        for start in &mut starts {
            self.constraints.repair(original, start);
        }
        starts.reverse(); // Taken from the end.
        starts
    }

    fn next(&mut self) -> Step {
        let radius = self.radius();
        let mut data = Vec::new();
        self.asked.clear();
        for index in 0..self.walks.len() {
            let look = Look {
                original: self.originals.row(self.walks[index].row),
                constraints: &self.constraints,
                directions: self.config.directions,
            };
            let walk = &mut self.walks[index];
            let near =
                self.config.stop_at_hit && walk.best_distance().is_some_and(|distance| distance <= radius);
            if walk.done() || near {
                continue;
            }
            let left = self.config.queries.saturating_sub(walk.queries);
            let rows = walk.ask(&look, left, &mut self.random);
            if rows > 0 {
                self.asked.push((index, rows));
                data.extend(walk.pending());
            }
        }
        if self.asked.is_empty() {
            self.over = true;
            return Step::Done(self.outcome(None, State::Miss));
        }
        Step::Ask(self.decision(self.shape.batch(data)))
    }

    /// What tells whether the goal is reached: labels, or scores where one is to move.
    const fn decision(&self, rows: Tensor) -> Ask {
        if self.levels.is_some() { Ask::Scores(rows) } else { Ask::Labels(rows) }
    }

    /// Whether each row of scores is moved far enough, as classes; `None` when one of them is no number.
    fn reached(&self, scores: &Tensor) -> Option<Vec<usize>> {
        let levels = self.levels.as_ref()?;
        let rows =
            self.asked.iter().flat_map(|&(walk, rows)| std::iter::repeat_n(self.walks[walk].row, rows));
        rows.enumerate().map(|(place, row)| levels.class(row, scores.row(place))).collect()
    }

    fn take(&mut self, labels: &[usize]) {
        let mut from = 0;
        for (index, rows) in std::mem::take(&mut self.asked) {
            let part = labels.get(from..from + rows).unwrap_or(&[]);
            from += rows;
            let look = Look {
                original: self.originals.row(self.walks[index].row),
                constraints: &self.constraints,
                directions: self.config.directions,
            };
            self.walks[index].answer(&look, part);
        }
    }

    fn outcome(&self, stopped: Option<Stop>, rest: State) -> Outcome {
        let radius = self.radius();
        let mut rows: Vec<RowOutcome> = self
            .walks
            .iter()
            .map(|walk| RowOutcome {
                row: walk.row,
                state: match walk.best_distance() {
                    Some(distance) if distance <= radius => State::Hit,
                    _ if walk.broken() => State::Error,
                    _ => rest,
                },
                before: Some(walk.label),
                after: walk.best_class(),
                changed: walk.best().map(<[f32]>::to_vec),
                distances: walk
                    .best()
                    .map(|best| self.constraints.distances(self.originals.row(walk.row), best)),
                queries: walk.queries + 1,
            })
            .collect();
        if !self.labelled {
            rows.extend((0..self.originals.rows()).map(|row| RowOutcome::without_result(row, rest)));
        }
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Evasion {
                gradients: false,
                norm: Norm::L2,
                radius,
                already_wrong: self.already_wrong.clone(),
                vanished: 0.0,
                by_loss: Vec::new(),
                bounds: Vec::new(),
            },
        }
    }
}

impl Attack for HopSkipJump {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        if self.over {
            return Step::Done(self.outcome(None, State::Miss));
        }
        match answer {
            None if !self.labelled && self.asked.is_empty() => {
                return Step::Ask(self.decision(self.originals.clone()));
            }
            Some(Answer::Scores(scores)) if self.levels.is_some() && !self.labelled => {
                let rows = self.originals.rows();
                let classes = self.levels.as_mut().and_then(|levels| levels.begin(&scores, rows));
                let Some(classes) = classes.and_then(|all| all.into_iter().collect::<Option<Vec<_>>>())
                else {
                    return Step::Done(self.outcome(Some(Stop::Failure), State::Error));
                };
                self.labelled = true;
                self.begin(&classes);
            }
            Some(Answer::Scores(scores))
                if self.levels.is_some()
                    && scores.rows() == self.asked.iter().map(|(_, rows)| rows).sum::<usize>() =>
            {
                let Some(classes) = self.reached(&scores) else {
                    return Step::Done(self.outcome(Some(Stop::Failure), State::Error));
                };
                self.take(&classes);
            }
            Some(Answer::Labels(labels))
                if self.levels.is_none() && !self.labelled && labels.len() == self.originals.rows() =>
            {
                self.labelled = true;
                self.begin(&labels);
            }
            Some(Answer::Labels(labels))
                if self.labelled
                    && self.levels.is_none()
                    && labels.len() == self.asked.iter().map(|(_, rows)| rows).sum::<usize>() =>
            {
                self.take(&labels);
            }
            _ => return Step::Done(self.outcome(Some(Stop::Failure), State::Error)),
        }
        self.next()
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why), why.state())
    }

    fn hits(&self) -> usize {
        let radius = self.radius();
        self.walks
            .iter()
            .filter(|walk| walk.best_distance().is_some_and(|distance| distance <= radius))
            .count()
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests;
