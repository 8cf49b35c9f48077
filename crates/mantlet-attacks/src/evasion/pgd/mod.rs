//! Projected gradient ascent inside a ball around each row.
//!
//! Long because it is a machine of its own beside `hunt`: the attack every battery runs, and the one whose time is counted.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::rows::{RowShape, classes_of};
pub(crate) use crate::told::turned as say;
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Material, Norm, Outcome, Random, RowOutcome,
    State, Step, Stop,
};

mod config;

use super::ball::{count, project, steepest};
use super::levels::Levels;
pub use config::{Climb, Config};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-pgd",
    title: "small changes computed from the model's own gradients change its decision",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043.000", "AML.T0015"],
    owasp: &["ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    index: usize,
    label: usize,
    state: Option<State>,
    after: Option<usize>,
    changed: Option<Vec<f32>>,
    /// The iterate as a change in units of each value's interval, before repair.
    shift: Vec<f32>,
    queries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Fresh,
    Labelling,
    Climbing,
    Checking,
    Over,
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pgd {
    config: Config,
    random: Random,
    shape: RowShape,
    originals: Tensor,
    labels: Vec<usize>,
    constraints: Constraints,
    /// Where a score is to move rather than a class to change.
    levels: Option<Levels>,
    rows: Vec<Row>,
    already_wrong: Vec<usize>,
    unlabelled: Vec<usize>,
    phase: Phase,
    restart: usize,
    step: usize,
    entropy_rows: u64,
    entropy_zero: u64,
    by_loss: Vec<(String, usize)>,
    asked: Vec<usize>,
}

impl Pgd {
    /// Prepares the attack.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let wrong = |reason: &str| AttackError::Config { attack: ABOUT.name, reason: reason.to_owned() };
        if !(config.epsilon.is_finite() && config.epsilon > 0.0) {
            return Err(wrong("epsilon must be a positive number"));
        }
        if config.steps == 0 || config.restarts == 0 || config.losses.is_empty() {
            return Err(wrong("steps, restarts and losses must not be empty"));
        }
        if config.norm == Norm::L0 {
            return Err(wrong("norm must be l1, l2 or linf: `evasion-saliency` changes few values"));
        }
        if config.step.is_some_and(|step| !(step.is_finite() && step > 0.0)) {
            return Err(wrong("step must be a positive number"));
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let levels = Levels::of(ABOUT.name, "evasion-bim", &material, true)?;
        Ok(Self {
            levels,
            config,
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            originals: material.rows,
            labels: if material.goal.column().is_some() { Vec::new() } else { material.labels },
            constraints: material.constraints,
            rows: Vec::new(),
            already_wrong: Vec::new(),
            unlabelled: Vec::new(),
            phase: Phase::Fresh,
            restart: 0,
            step: 0,
            entropy_rows: 0,
            entropy_zero: 0,
            by_loss: Vec::new(),
            asked: Vec::new(),
        })
    }

    fn climb(&self) -> Climb {
        self.config.losses[self.restart % self.config.losses.len()]
    }

    fn open(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| self.rows[row].state.is_none()).collect()
    }

    /// The row as it would be sent: shifted, then repaired.
    fn sent(&self, row: &Row) -> Vec<f32> {
        let original = self.originals.row(row.index);
        let mut changed: Vec<f32> = original
            .iter()
            .zip(&row.shift)
            .enumerate()
            .map(|(index, (value, shift))| value + shift * self.constraints.width(index))
            .collect();
        self.constraints.repair_inside(original, &mut changed, self.config.norm, self.config.epsilon);
        changed
    }

    fn next(&mut self) -> Step {
        let open = self.open();
        if open.is_empty() {
            return self.finish();
        }
        self.asked.clone_from(&open);
        let data: Vec<f32> = open.iter().flat_map(|&row| self.sent(&self.rows[row])).collect();
        for &row in &open {
            self.rows[row].queries += 1;
        }
        let rows = self.shape.batch(data);
        Step::Ask(if self.step < self.config.steps {
            self.phase = Phase::Climbing;
            let labels = open.iter().map(|&row| self.rows[row].label).collect();
            let loss = self.levels.as_ref().map_or_else(|| self.climb().loss(labels), Levels::loss);
            Ask::Gradient { rows, loss }
        } else {
            self.phase = Phase::Checking;
            self.decision(rows)
        })
    }

    /// What tells whether the goal is reached: labels, or scores where one is to move.
    const fn decision(&self, rows: Tensor) -> Ask {
        if self.levels.is_some() { Ask::Scores(rows) } else { Ask::Labels(rows) }
    }

    /// The class of each row asked last: the model's, or whether its score has moved.
    fn classes(&self, scores: &Tensor) -> Vec<Option<usize>> {
        let Some(levels) = &self.levels else { return classes_of(scores) };
        let asked = self.asked.iter().enumerate();
        asked.map(|(place, &row)| levels.class(self.rows[row].index, scores.row(place))).collect()
    }

    fn begin_restart(&mut self) {
        self.step = 0;
        let word = if self.levels.is_some() { "score" } else { self.climb().word() };
        self.by_loss.push((word.to_owned(), 0));
        let (norm, epsilon, len) = (self.config.norm, self.config.epsilon, self.shape.len());
        for row in self.open() {
            let mut shift = super::hunt::random_point(norm, epsilon, len, &mut self.random);
            self.keep_inside(row, &mut shift);
            self.rows[row].shift = shift;
        }
    }

    /// Projects onto the ball, then onto what inputs may be. The projection is no part of the model, so that a
    /// value at its bound still has a gradient.
    fn keep_inside(&self, row: usize, shift: &mut [f32]) {
        project(self.config.norm, self.config.epsilon, shift);
        let original = self.originals.row(self.rows[row].index);
        for (index, (value, shift)) in original.iter().zip(shift).enumerate() {
            let (constraint, width) = (self.constraints.at(index), self.constraints.width(index));
            if constraint.immutable {
                *shift = 0.0;
            } else if !self.constraints.is_empty() {
                let (low, high) = (constraint.lower.min(*value), constraint.upper.max(*value));
                *shift = shift.clamp((low - value) / width, (high - value) / width);
            }
        }
    }

    fn hit(&mut self, row: usize, after: usize) {
        let changed = self.sent(&self.rows[row]);
        if let Some((_, hits)) = self.by_loss.last_mut() {
            *hits += 1;
        }
        let row = &mut self.rows[row];
        row.state = Some(State::Hit);
        row.after = Some(after);
        row.changed = Some(changed);
        row.shift = Vec::new();
    }

    fn labelled(&mut self, classes: &[Option<usize>]) {
        for (index, class) in classes.iter().enumerate() {
            match (class, self.labels.get(index)) {
                (None, _) => self.unlabelled.push(index),
                (Some(class), Some(label)) if class != label => self.already_wrong.push(index),
                (Some(class), _) => self.rows.push(Row {
                    index,
                    label: *class,
                    state: None,
                    after: None,
                    changed: None,
                    shift: Vec::new(),
                    queries: 1,
                }),
            }
        }
        self.begin_restart();
    }

    fn climbed(&mut self, scores: &Tensor, gradient: &Tensor) {
        let classes = self.classes(scores);
        let asked = std::mem::take(&mut self.asked);
        let length_of_step = self
            .config
            .step
            .unwrap_or(2.5 * self.config.epsilon / count(self.config.steps))
            .min(2.0 * self.config.epsilon);
        for (place, &row) in asked.iter().enumerate() {
            let Some(class) = classes.get(place).copied().flatten() else {
                self.rows[row].state = Some(State::Error);
                continue;
            };
            if class != self.rows[row].label {
                self.hit(row, class);
                continue;
            }
            let slope = gradient.row(place);
            if slope.iter().any(|value| !value.is_finite()) {
                self.rows[row].state = Some(State::Error);
                continue;
            }
            let vanished = slope.iter().all(|value| value.abs() < 1e-20);
            if self.climb() == Climb::CrossEntropy {
                self.entropy_rows += 1;
                self.entropy_zero += u64::from(vanished);
            }
            if vanished {
                continue;
            }
            let mut shift = std::mem::take(&mut self.rows[row].shift);
            let mut slope: Vec<f32> = slope
                .iter()
                .enumerate()
                .map(|(index, value)| value * self.constraints.width(index))
                .collect();
            let original = self.originals.row(self.rows[row].index);
            let room = |at: usize, up: bool| {
                let (constraint, width) = (self.constraints.at(at), self.constraints.width(at));
                let moved = original[at] + shift[at] * width;
                let bound = if up { constraint.upper - moved } else { moved - constraint.lower };
                if constraint.immutable { 0.0 } else { bound / width }
            };
            steepest(self.config.norm, length_of_step, &mut slope, room);
            shift.iter_mut().zip(&slope).for_each(|(shift, slope)| *shift += slope);
            self.keep_inside(row, &mut shift);
            self.rows[row].shift = shift;
        }
        self.step += 1;
    }

    fn checked(&mut self, classes: &[Option<usize>]) {
        let asked = std::mem::take(&mut self.asked);
        for (place, &row) in asked.iter().enumerate() {
            match classes.get(place).copied().flatten() {
                None => self.rows[row].state = Some(State::Error),
                Some(class) if class != self.rows[row].label => self.hit(row, class),
                Some(_) => {}
            }
        }
        self.restart += 1;
        if self.restart < self.config.restarts {
            self.begin_restart();
        }
    }

    fn finish(&mut self) -> Step {
        self.phase = Phase::Over;
        Step::Done(self.outcome(None, State::Miss))
    }

    fn outcome(&self, stopped: Option<Stop>, rest: State) -> Outcome {
        let mut rows: Vec<RowOutcome> = self
            .rows
            .iter()
            .map(|row| RowOutcome {
                row: row.index,
                state: row.state.unwrap_or(rest),
                before: Some(row.label),
                after: row.after,
                distances: row
                    .changed
                    .as_ref()
                    .map(|changed| self.constraints.distances(self.originals.row(row.index), changed)),
                changed: row.changed.clone(),
                queries: row.queries,
            })
            .collect();
        let unlabelled: Vec<(usize, State)> = if self.phase == Phase::Fresh || self.phase == Phase::Labelling
        {
            (0..self.originals.rows()).map(|row| (row, rest)).collect()
        } else {
            self.unlabelled.iter().map(|row| (*row, State::Error)).collect()
        };
        rows.extend(unlabelled.into_iter().map(|(row, state)| RowOutcome::without_result(row, state)));
        rows.sort_by_key(|row| row.row);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let vanished = self.entropy_zero as f32 / self.entropy_rows.max(1) as f32;
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Evasion {
                gradients: true,
                norm: self.config.norm,
                radius: self.config.epsilon,
                already_wrong: self.already_wrong.clone(),
                vanished,
                by_loss: self.by_loss.clone(),
                bounds: Vec::new(),
            },
        }
    }
}

impl Attack for Pgd {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        let asked = if self.phase == Phase::Labelling { self.originals.rows() } else { self.asked.len() };
        match (self.phase, answer) {
            (Phase::Fresh, _) => {
                self.phase = Phase::Labelling;
                return Step::Ask(self.decision(self.originals.clone()));
            }
            (Phase::Labelling, Some(Answer::Scores(scores))) => {
                let classes = self.levels.as_mut().and_then(|levels| levels.begin(&scores, asked));
                let Some(classes) = classes else {
                    return Step::Done(self.outcome(Some(Stop::Failure), State::Error));
                };
                self.labelled(&classes);
            }
            (Phase::Labelling, Some(Answer::Labels(labels)))
                if labels.len() == asked && self.levels.is_none() =>
            {
                self.labelled(&labels.into_iter().map(Some).collect::<Vec<_>>());
            }
            (Phase::Climbing, Some(Answer::Gradient { scores, gradient, .. }))
                if scores.rows() == asked && gradient.data().len() == asked * self.shape.len() =>
            {
                self.climbed(&scores, &gradient);
            }
            (Phase::Checking, Some(Answer::Scores(scores)))
                if self.levels.is_some() && scores.rows() == asked =>
            {
                let classes = self.classes(&scores);
                self.checked(&classes);
                if self.restart >= self.config.restarts {
                    return self.finish();
                }
            }
            (Phase::Checking, Some(Answer::Labels(labels)))
                if labels.len() == asked && self.levels.is_none() =>
            {
                self.checked(&labels.into_iter().map(Some).collect::<Vec<_>>());
                if self.restart >= self.config.restarts {
                    return self.finish();
                }
            }
            (Phase::Over, _) => return Step::Done(self.outcome(None, State::Miss)),
            // An answer to another question: nothing more can be learnt.
            _ => return Step::Done(self.outcome(Some(Stop::Failure), State::Error)),
        }
        self.next()
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why), why.state())
    }

    fn hits(&self) -> usize {
        self.rows.iter().filter(|row| row.state == Some(State::Hit)).count()
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests;
