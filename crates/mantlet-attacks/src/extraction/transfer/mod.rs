//! Evades the model through a stolen copy: labels of made-up rows train a copy with gradients, changes are made
//! offline on the copy, and only the finished rows are tried on the original.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::evasion::levels::Levels;
use crate::extraction::{active, score_copy};
use crate::rows::RowShape;
use crate::told::{Told, rows, within};
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Lesson, Loss, Material, Norm, Outcome, Purpose,
    RowOutcome, State, Step, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "extraction-transfer",
    title: "changes made on a stolen copy deceive the original",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002", "AML.T0043.002", "AML.T0043.003"],
    owasp: &["ML05:2023", "ML01:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let (hits, all) = (told.hits(), told.all());
    match (hits, &told.outcome.detail) {
        (0, _) if told.goal.column().is_some() => {
            format!("None of {} changed on a stolen copy {} by the original", rows(all), told.done())
        }
        (_, Detail::Evasion { norm, radius, .. }) if told.goal.column().is_some() => format!(
            "{hits} of {} changed on a stolen copy {} by the original,{}",
            rows(all),
            told.done(),
            within(*norm, *radius)
        ),
        (0, _) => format!("None of {} changed on a stolen copy deceives the original", rows(all)),
        (_, Detail::Evasion { norm, radius, .. }) => {
            format!(
                "{hits} of {} changed on a stolen copy deceive the original,{}",
                rows(all),
                within(*norm, *radius)
            )
        }
        _ => format!("{hits} of {} changed on a stolen copy deceive the original", rows(all)),
    }
}

/// How it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Rows asked to train the copy.
    pub queries: usize,
    /// Largest change of a value, as a share of its interval.
    pub epsilon: f32,
    /// Steps on the copy.
    pub steps: usize,
    /// How much of the direction of earlier steps is kept, which makes changes depend less on the copy's own quirks.
    pub momentum: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { queries: 250, epsilon: 0.1, steps: 20, momentum: 1.0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Fresh,
    Labelling,
    Copying,
    Climbing,
    Trying,
    Over,
}

/// Who gathers what the copy is trained on.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Thief {
    Labels(Box<active::Active>),
    Scores(Box<score_copy::ScoreCopy>),
}

impl Thief {
    fn step(&mut self, answer: Option<Answer>) -> Step {
        match self {
            Self::Labels(thief) => thief.step(answer),
            Self::Scores(thief) => thief.step(answer),
        }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transfer {
    config: Config,
    seed: u64,
    shape: RowShape,
    classes: usize,
    constraints: Constraints,
    rows: Tensor,
    true_labels: Vec<usize>,
    thief: Thief,
    /// Where a score is to move rather than a class to change.
    levels: Option<Levels>,
    /// The scores gathered, where the model gives a score.
    values: Vec<f32>,
    phase: Phase,
    /// Classes of the rows before; those the model is wrong about are left out.
    before: Vec<usize>,
    attacked: Vec<usize>,
    gathered: Vec<f32>,
    labels: Vec<usize>,
    changed: Vec<f32>,
    velocity: Vec<f32>,
    step: usize,
    after: Vec<usize>,
}

impl Transfer {
    /// Prepares the attack on `rows`; the thief's seeds are the pool, or the rows themselves.
    ///
    /// # Errors
    /// When the configuration is out of range or there are no rows, classes or bounds.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let sound =
            config.epsilon > 0.0 && config.epsilon.is_finite() && (0.0..=2.0).contains(&config.momentum);
        if config.queries == 0 || config.steps == 0 || !sound {
            let reason = "queries and steps must be at least 1, epsilon positive, momentum between 0 and 2";
            return Err(AttackError::Config { attack: ABOUT.name, reason: reason.to_owned() });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let seeds =
            material.pool.clone().filter(|pool| pool.rows() > 0).unwrap_or_else(|| material.rows.clone());
        let thief_material =
            Material::new(seeds, Vec::new(), material.classes).constraints(material.constraints.clone());
        // What kind of goal is taken depends on the copy, which gives one score whatever the model gives.
        let levels = Levels::of(ABOUT.name, "evasion-square", &material, false)?;
        let thief = if let Some(column) = material.goal.column() {
            let gather =
                score_copy::Config { queries: config.queries, column, ..score_copy::Config::default() };
            Thief::Scores(Box::new(score_copy::ScoreCopy::new(gather, seed, thief_material)?))
        } else {
            let gather = active::Config { queries: config.queries, ..active::Config::default() };
            Thief::Labels(Box::new(active::Active::new(gather, seed, thief_material)?))
        };
        Ok(Self {
            thief,
            levels,
            values: Vec::new(),
            config,
            seed,
            shape: RowShape::of(&material.rows),
            classes: material.classes,
            constraints: material.constraints,
            rows: material.rows,
            true_labels: if material.goal.column().is_some() { Vec::new() } else { material.labels },
            phase: Phase::Fresh,
            before: Vec::new(),
            attacked: Vec::new(),
            gathered: Vec::new(),
            labels: Vec::new(),
            changed: Vec::new(),
            velocity: Vec::new(),
            step: 0,
            after: Vec::new(),
        })
    }

    fn climb(&mut self) -> Step {
        self.phase = Phase::Climbing;
        let gathered = self.shape.batch(self.gathered.clone());
        let (lesson, loss) = match &self.levels {
            Some(levels) => (
                Lesson::of_values(&gathered, &self.values, Purpose::SmoothCopy, self.seed),
                // The copy has the one score that was gathered.
                match levels.loss() {
                    Loss::Column { falls, .. } => Loss::Column { column: 0, falls },
                    other => other,
                },
            ),
            None => {
                let labels = self.attacked.iter().map(|row| self.before[*row]).collect();
                let purpose = Purpose::SmoothCopy;
                (
                    Lesson::new(gathered, self.labels.clone(), self.classes, purpose, self.seed),
                    Loss::Margin { labels },
                )
            }
        };
        let rows = self.shape.batch(self.changed.clone());
        Step::Ask(Ask::Learned { lesson: Box::new(lesson), rows, loss: Some(loss) })
    }

    /// What tells whether the goal is reached: labels, or scores where one is to move.
    const fn decision(&self, rows: Tensor) -> Ask {
        if self.levels.is_some() { Ask::Scores(rows) } else { Ask::Labels(rows) }
    }

    /// One step of each row along the sign of the gathered direction, within the bound.
    fn advance(&mut self, gradient: &Tensor) {
        let len = self.shape.len();
        #[expect(clippy::cast_precision_loss, reason = "a few steps")]
        let stride = 2.0 * self.config.epsilon / self.config.steps as f32;
        for (index, &row) in self.attacked.iter().enumerate() {
            let original = self.rows.row(row);
            let slope = gradient.row(index);
            let size: f32 = slope.iter().map(|value| value.abs()).sum::<f32>().max(1e-12);
            let part = index * len..(index + 1) * len;
            let changed = &mut self.changed[part.clone()];
            for (place, (value, velocity)) in changed.iter_mut().zip(&mut self.velocity[part]).enumerate() {
                let slope = if slope[place].is_finite() { slope[place] } else { 0.0 };
                *velocity = self.config.momentum * *velocity + slope / size;
                let width = self.constraints.width(place);
                let bound = self.config.epsilon * width;
                if *velocity != 0.0 {
                    *value += stride * width * velocity.signum();
                }
                *value = value.clamp(original[place] - bound, original[place] + bound);
            }
            // Whole numbers are rounded at the end only, or no small step would ever move one.
            if self.step + 1 >= self.config.steps {
                self.constraints.repair(original, changed);
            }
        }
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let len = self.shape.len();
        let mut by_row: Vec<RowOutcome> = Vec::new();
        let listed: Vec<usize> =
            if self.before.is_empty() { (0..self.rows.rows()).collect() } else { self.attacked.clone() };
        for (index, &row) in listed.iter().enumerate() {
            let before = self.before.get(row).copied();
            let mut outcome = match (self.after.get(index), stopped) {
                (Some(after), _) if Some(*after) != before => RowOutcome::without_result(row, State::Hit),
                (Some(_), _) => RowOutcome::without_result(row, State::Miss),
                (None, why) => RowOutcome::without_result(row, why.map_or(State::Undecided, Stop::state)),
            };
            outcome.before = before;
            outcome.after = self.after.get(index).copied();
            outcome.queries = u64::from(before.is_some()) + u64::from(outcome.after.is_some());
            if outcome.state == State::Hit {
                let changed = self.changed[index * len..(index + 1) * len].to_vec();
                outcome.distances = Some(self.constraints.distances(self.rows.row(row), &changed));
                outcome.changed = Some(changed);
            }
            by_row.push(outcome);
        }
        let hits = by_row.iter().filter(|row| row.state == State::Hit).count();
        let already_wrong = (0..self.before.len()).filter(|row| !self.attacked.contains(row)).collect();
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: by_row,
            detail: Detail::Evasion {
                gradients: false,
                norm: Norm::Linf,
                radius: self.config.epsilon,
                already_wrong,
                vanished: 0.0,
                by_loss: vec![(format!("copy of {} answers", self.labels.len()), hits)],
                bounds: Vec::new(),
            },
        }
    }

    fn begin_copying(&mut self) -> Step {
        self.phase = Phase::Copying;
        let step = self.thief.step(None);
        self.copying(step)
    }

    fn copying(&mut self, step: Step) -> Step {
        match step {
            Step::Ask(ask) => Step::Ask(ask),
            Step::Done(Outcome {
                stopped: None,
                detail: Detail::Extraction { rows, labels, values, .. },
                ..
            }) => {
                self.gathered = rows.into_data();
                self.labels = labels;
                self.values = values;
                self.changed = self.attacked.iter().flat_map(|row| self.rows.row(*row).to_vec()).collect();
                self.velocity = vec![0.0; self.changed.len()];
                self.climb()
            }
            Step::Done(_) => Step::Done(self.outcome(Some(Stop::Failure))),
        }
    }
}

impl Attack for Transfer {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match (self.phase, answer) {
            (Phase::Fresh, _) => {
                self.phase = Phase::Labelling;
                Step::Ask(self.decision(self.rows.clone()))
            }
            (Phase::Labelling, Some(Answer::Scores(scores))) => {
                let rows = self.rows.rows();
                let classes = self.levels.as_mut().and_then(|levels| levels.begin(&scores, rows));
                let Some(classes) = classes.and_then(|all| all.into_iter().collect::<Option<Vec<_>>>())
                else {
                    return Step::Done(self.outcome(Some(Stop::Failure)));
                };
                self.attacked = (0..rows).collect();
                self.before = classes;
                self.begin_copying()
            }
            (Phase::Labelling, Some(Answer::Labels(labels)))
                if self.levels.is_none()
                    && labels.len() == self.rows.rows()
                    && labels.iter().all(|label| *label < self.classes) =>
            {
                self.attacked = (0..labels.len())
                    .filter(|row| self.true_labels.get(*row).is_none_or(|label| *label == labels[*row]))
                    .collect();
                self.before = labels;
                if self.attacked.is_empty() {
                    self.phase = Phase::Over;
                    return Step::Done(self.outcome(None));
                }
                self.begin_copying()
            }
            (Phase::Copying, Some(answer)) => {
                let step = self.thief.step(Some(answer));
                self.copying(step)
            }
            (Phase::Climbing, Some(Answer::Gradient { gradient, .. }))
                if gradient.data().len() == self.changed.len() && gradient.rows() == self.attacked.len() =>
            {
                self.advance(&gradient);
                self.step += 1;
                if self.step < self.config.steps {
                    return self.climb();
                }
                self.phase = Phase::Trying;
                Step::Ask(self.decision(self.shape.batch(self.changed.clone())))
            }
            (Phase::Trying, Some(Answer::Scores(scores))) if scores.rows() == self.attacked.len() => {
                let reached = |row: usize| self.levels.as_ref()?.class(row, scores.row(row));
                let Some(reached) = (0..scores.rows()).map(reached).collect::<Option<Vec<_>>>() else {
                    return Step::Done(self.outcome(Some(Stop::Failure)));
                };
                self.after = reached;
                self.phase = Phase::Over;
                Step::Done(self.outcome(None))
            }
            (Phase::Trying, Some(Answer::Labels(labels)))
                if self.levels.is_none() && labels.len() == self.attacked.len() =>
            {
                self.after = labels;
                self.phase = Phase::Over;
                Step::Done(self.outcome(None))
            }
            (Phase::Over, _) => Step::Done(self.outcome(None)),
            _ => Step::Done(self.outcome(Some(Stop::Failure))),
        }
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    fn hits(&self) -> usize {
        if self.phase == Phase::Over { self.outcome(None).count(State::Hit) } else { 0 }
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
