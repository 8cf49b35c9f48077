//! Reconstructs, for each class, the smallest mask and pattern that send rows of other classes to it (after
//! Wang and others, Neural Cleanse, 2019), and calls a class backdoored when its trigger is far smaller than the
//! others' and still works, as a few overwritten values, on rows it was not made from.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::rows::{RowShape, classes_of};
use crate::told::Told;
use crate::{
    Answer, Ask, Attack, AttackError, Constraints, Detail, Loss, Material, Outcome, Random, RowOutcome,
    State, Step, Stop, Trigger,
};

mod decide;

use super::search::Search;
pub use decide::Rule;
pub(super) use decide::tries;

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-trigger",
    title: "a small pattern sends inputs of every kind to one class",
    severity: Severity::Malicious,
    impact: Impact::Critical,
    confidence: Confidence::High,
    atlas: &["AML.T0018.000", "AML.T0043.004", "AML.T0020"],
    owasp: &["ML10:2023", "ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "No small mark was found that sends inputs of every kind to one class".to_owned();
    }
    format!("A small mark turns inputs of every kind into {}", told.classes())
}

/// How it searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Steps of the search, all classes at once.
    pub steps: usize,
    /// Rows a class at each step.
    pub batch: usize,
    /// Rows a class on which the found trigger is tried.
    pub held_out: usize,
    /// Step length of the search.
    pub rate: f32,
    /// Share of a batch that must reach the class before the mask may shrink. Lower than a good backdoor's own
    /// success, else the mask grows to catch the rows on which the backdoor fails.
    pub success: f32,
    /// The decision.
    pub rule: Rule,
}

impl Default for Config {
    fn default() -> Self {
        Self { steps: 100, batch: 32, held_out: 64, rate: 0.3, success: 0.75, rule: Rule::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Fresh,
    Labelling,
    Searching,
    Trying,
    Over,
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TriggerSearch {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    classes: usize,
    constraints: Constraints,
    labels: Vec<Option<usize>>,
    /// Rows the search uses, and rows it is tried on.
    used: Vec<usize>,
    held_out: Vec<usize>,
    searches: Vec<Search>,
    phase: Phase,
    step: usize,
    /// Rows asked in the open question, a list a class.
    asked: Vec<Vec<usize>>,
    /// Numbers of overwritten values tried, the soft trigger (0) first.
    tries: Vec<usize>,
    queries: u64,
    /// Rows whose gradient was asked.
    gradients: u64,
    errors: usize,
}

impl TriggerSearch {
    /// Prepares the search over clean rows.
    ///
    /// # Errors
    /// When the configuration is out of range or there are too few rows or classes.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let wrong = |reason: &str| AttackError::Config { attack: ABOUT.name, reason: reason.to_owned() };
        if config.steps == 0 || config.batch == 0 || config.held_out == 0 {
            return Err(wrong("steps, batch and held_out must be at least 1"));
        }
        if !(config.rate > 0.0 && config.rate.is_finite() && (0.0..=1.0).contains(&config.success)) {
            return Err(wrong("rate must be positive and success between 0 and 1"));
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let needs = |needs: &str| AttackError::Material { attack: ABOUT.name, needs: needs.to_owned() };
        if material.classes < 2 || material.rows.rows() < 8 {
            return Err(needs("at least two classes and eight clean rows"));
        }
        let len = material.rows.row_len();
        let bounds = |place: usize| material.constraints.at(place);
        if (0..len).any(|place| !(bounds(place).upper - bounds(place).lower).is_finite()) {
            return Err(needs("bounds for each input value"));
        }
        let mut random = Random::new(seed);
        let mut order: Vec<usize> = (0..material.rows.rows()).collect();
        random.shuffle(&mut order);
        let held_out = order.split_off(order.len() / 2);
        let shape = RowShape::of(&material.rows);
        let places = shape.image().map_or(len, |(channels, _, _)| len / channels);
        let searches = (0..material.classes)
            .map(|class| Search::new(class, len, places, config.rate, &material.constraints, &mut random))
            .collect();
        let tries = decide::tries(places);
        Ok(Self {
            config,
            random,
            shape,
            rows: material.rows,
            classes: material.classes,
            constraints: material.constraints,
            labels: Vec::new(),
            used: order,
            held_out,
            searches,
            phase: Phase::Fresh,
            step: 0,
            asked: Vec::new(),
            tries,
            queries: 0,
            gradients: 0,
            errors: 0,
        })
    }

    /// Rows of other classes than `class` among these, at most `count` of them.
    fn others(&mut self, class: usize, trying: bool) -> Vec<usize> {
        let from = if trying { &self.held_out } else { &self.used };
        let mut rows: Vec<usize> = from
            .iter()
            .copied()
            .filter(|row| self.labels[*row].is_some_and(|label| label != class))
            .collect();
        if trying {
            rows.truncate(self.config.held_out);
        } else {
            self.random.shuffle(&mut rows);
            rows.truncate(self.config.batch);
        }
        rows
    }

    fn next(&mut self) -> Step {
        self.asked = (0..self.classes).map(|class| self.others(class, self.phase == Phase::Trying)).collect();
        let mut data = Vec::new();
        let mut labels = Vec::new();
        if self.phase == Phase::Searching {
            for (class, rows) in self.asked.iter().enumerate() {
                for &row in rows {
                    self.searches[class].stamp(self.rows.row(row), &mut data);
                    labels.push(class);
                }
            }
        } else {
            for (class, rows) in self.asked.iter().enumerate() {
                for &count in &self.tries {
                    for &row in rows {
                        let from = data.len();
                        self.searches[class].stamp_best(self.rows.row(row), count, &mut data);
                        self.constraints.repair_values(&mut data[from..]);
                    }
                }
            }
        }
        let rows = self.shape.batch(data);
        if rows.rows() == 0 {
            self.phase = Phase::Over;
            return Step::Done(self.outcome(None));
        }
        self.queries += rows.rows() as u64;
        Step::Ask(if self.phase == Phase::Searching {
            self.gradients += rows.rows() as u64;
            Ask::Gradient { rows, loss: Loss::CrossEntropy { labels } }
        } else {
            Ask::Labels(rows)
        })
    }

    fn searched(&mut self, scores: &Tensor, gradient: &Tensor) {
        let classes = classes_of(scores);
        let mut from = 0;
        for (class, rows) in std::mem::take(&mut self.asked).into_iter().enumerate() {
            let part = from..from + rows.len();
            from = part.end;
            let reached = classes[part.clone()].iter().filter(|label| **label == Some(class)).count();
            self.errors += classes[part.clone()].iter().filter(|label| label.is_none()).count();
            let originals: Vec<&[f32]> = rows.iter().map(|row| self.rows.row(*row)).collect();
            let slopes: Vec<&[f32]> = part.map(|row| gradient.row(row)).collect();
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let success = reached as f32 / rows.len().max(1) as f32;
            self.searches[class].learn(&originals, &slopes, success, self.config.success);
        }
        self.step += 1;
        if self.step >= self.config.steps {
            self.phase = Phase::Trying;
        }
    }

    fn tried(&mut self, labels: &[usize]) {
        let mut labels = labels.iter();
        for (class, rows) in std::mem::take(&mut self.asked).into_iter().enumerate() {
            let transfers = self
                .tries
                .iter()
                .map(|_| {
                    let reached = labels.by_ref().take(rows.len()).filter(|label| **label == class).count();
                    #[expect(clippy::cast_precision_loss, reason = "a share")]
                    let share = reached as f32 / rows.len().max(1) as f32;
                    share
                })
                .collect();
            self.searches[class].transfers = transfers;
        }
        self.phase = Phase::Over;
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let (triggers, decision) = if stopped.is_none() {
            let (triggers, words) = decide::decide(&self.config.rule, &self.searches, &self.tries);
            let (steps, rows) = (self.step, self.gradients);
            (triggers, format!("{words}; {steps} gradient steps for all classes at once, {rows} rows in all"))
        } else {
            let unflagged =
                |search: &Search| Trigger { flagged: false, ..decide::picture(search, &self.tries) };
            (
                self.searches.iter().map(unflagged).collect::<Vec<_>>(),
                "the search was stopped before a decision".to_owned(),
            )
        };
        let rows = triggers
            .iter()
            .map(|trigger: &Trigger| {
                let state = match stopped {
                    Some(why) => why.state(),
                    None if self.errors > 0 => State::Error,
                    None if trigger.flagged => State::Hit,
                    None if decide::undecided(&self.config.rule, &self.searches, trigger) => State::Undecided,
                    None => State::Miss,
                };
                RowOutcome {
                    after: Some(trigger.class),
                    queries: self.queries / self.classes.max(1) as u64,
                    ..RowOutcome::without_result(trigger.class, state)
                }
            })
            .collect();
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Triggers { triggers, shape: self.shape.0.clone(), decision },
        }
    }
}

impl Attack for TriggerSearch {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        let open: usize = self.asked.iter().map(Vec::len).sum();
        match (self.phase, answer) {
            (Phase::Fresh, _) => {
                self.phase = Phase::Labelling;
                self.queries += self.rows.rows() as u64;
                return Step::Ask(Ask::Labels(self.rows.clone()));
            }
            (Phase::Labelling, Some(Answer::Labels(labels))) if labels.len() == self.rows.rows() => {
                self.labels = labels.into_iter().map(Some).collect();
                self.phase = Phase::Searching;
            }
            (Phase::Searching, Some(Answer::Gradient { scores, gradient, .. }))
                if scores.rows() == open && gradient.data().len() == open * self.shape.len() =>
            {
                self.searched(&scores, &gradient);
            }
            (Phase::Trying, Some(Answer::Labels(labels))) if labels.len() == open * self.tries.len() => {
                self.tried(&labels);
            }
            (Phase::Over, _) => {}
            _ => return Step::Done(self.outcome(Some(Stop::Failure))),
        }
        if self.phase == Phase::Over {
            return Step::Done(self.outcome(None));
        }
        self.next()
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
mod tests;
