//! Finds the poisoned rows from the backdoor they left in the model: the trigger is reconstructed first; then each
//! row of the commanded class is asked again with the trigger's places painted over. A row that owes its class to
//! those places alone is poisoned.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::trigger::{self, TriggerSearch};
use crate::rows::RowShape;
use crate::{
    Answer, Ask, Attack, AttackError, Detail, Material, Outcome, Random, RowOutcome, State, Step, Stop,
    Trigger,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-poisoned-rows",
    title: "training rows owe their label to a planted mark",
    severity: Severity::Malicious,
    impact: Impact::Critical,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The search for the trigger.
    pub search: trigger::Config,
    /// Places whose mask is at least this share of the strongest one's are painted over.
    pub strong: f32,
    /// How often each row is painted over, each time with another clean row's values.
    pub tries: usize,
    /// Share of painted rows that must leave the class, all for the same other one.
    pub leaves: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { search: trigger::Config::default(), strong: 0.3, tries: 10, leaves: 0.7 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Searching,
    Labelling,
    Painting,
    Over,
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PoisonedRows {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    labels: Vec<usize>,
    clean: Tensor,
    search: TriggerSearch,
    phase: Phase,
    triggers: Vec<Trigger>,
    decision: String,
    /// Rows labelled as a commanded class, and for each the places that are painted over.
    suspects: Vec<usize>,
    /// Of these, the ones the model gives that class.
    obedient: Vec<usize>,
    /// How many painted copies of each obedient row left the class for one and the same other.
    left: Vec<usize>,
}

impl PoisonedRows {
    /// Prepares the search: the training rows with their labels in `rows`, rows known to be clean in `pool`.
    ///
    /// # Errors
    /// When the configuration is out of range, or there are no labels or clean rows.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let share = |value: f32| value > 0.0 && value <= 1.0;
        if !share(config.strong) || !share(config.leaves) || config.tries == 0 {
            let reason = "strong and leaves must be above 0 and at most 1, tries at least 1".to_owned();
            return Err(AttackError::Config { attack: ABOUT.name, reason });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let needs = |needs: &str| AttackError::Material { attack: ABOUT.name, needs: needs.to_owned() };
        if material.labels.is_empty() {
            return Err(needs("the labels of the training rows"));
        }
        let Some(clean) = material.pool.filter(|pool| pool.rows() >= 8) else {
            return Err(needs("at least eight clean rows, in the pool"));
        };
        let of_clean =
            Material::new(clean.clone(), Vec::new(), material.classes).constraints(material.constraints);
        Ok(Self {
            search: TriggerSearch::new(config.search.clone(), seed, of_clean)?,
            config,
            random: Random::new(seed ^ 0x9e37_79b9),
            shape: RowShape::of(&material.rows),
            rows: material.rows,
            labels: material.labels,
            clean,
            phase: Phase::Searching,
            triggers: Vec::new(),
            decision: String::new(),
            suspects: Vec::new(),
            obedient: Vec::new(),
            left: Vec::new(),
        })
    }

    fn searching(&mut self, step: Step) -> Step {
        match step {
            Step::Ask(ask) => Step::Ask(ask),
            Step::Done(Outcome {
                stopped: None,
                detail: Detail::Triggers { triggers, decision, .. },
                ..
            }) => {
                let commanded =
                    |label: &usize| triggers.iter().any(|trigger| trigger.flagged && trigger.class == *label);
                self.suspects = (0..self.labels.len()).filter(|row| commanded(&self.labels[*row])).collect();
                self.triggers = triggers;
                self.decision = decision;
                if self.suspects.is_empty() {
                    self.phase = Phase::Over;
                    return Step::Done(self.outcome(None));
                }
                self.phase = Phase::Labelling;
                Step::Ask(Ask::Labels(self.rows.select(&self.suspects)))
            }
            Step::Done(_) => Step::Done(self.outcome(Some(Stop::Failure))),
        }
    }

    /// The places of a class's trigger, and in pictures the places beside them: a search finds as much of a mark as
    /// it needs, and the rest of the mark lies next to it.
    fn places(&self, class: usize) -> Vec<usize> {
        let Some(trigger) = self.triggers.iter().find(|trigger| trigger.class == class) else {
            return Vec::new();
        };
        let most = trigger.mask.iter().copied().fold(0.0, f32::max);
        let strong = |place: usize| trigger.mask[place] >= self.config.strong * most;
        let Some((_, height, width)) = self.shape.image() else {
            return (0..trigger.mask.len()).filter(|place| strong(*place)).collect();
        };
        (0..trigger.mask.len())
            .filter(|place| {
                let plane = place / (height * width) * (height * width);
                let (y, x) = (place % (height * width) / width, place % width);
                (y.saturating_sub(1)..(y + 2).min(height))
                    .any(|y| (x.saturating_sub(1)..(x + 2).min(width)).any(|x| strong(plane + y * width + x)))
            })
            .collect()
    }

    fn paint(&mut self) -> Step {
        self.phase = Phase::Painting;
        let mut data = Vec::with_capacity(self.obedient.len() * self.config.tries * self.shape.len());
        let mut known: Vec<(usize, Vec<usize>)> = Vec::new();
        for index in 0..self.obedient.len() {
            let row = self.obedient[index];
            let class = self.labels[row];
            if !known.iter().any(|(other, _)| *other == class) {
                let places = self.places(class);
                known.push((class, places));
            }
            let places = known.iter().find(|(other, _)| *other == class).map(|(_, places)| places.clone());
            for _ in 0..self.config.tries {
                let other = self.random.below(self.clean.rows());
                let mut painted = self.rows.row(row).to_vec();
                for &place in places.iter().flatten() {
                    painted[place] = self.clean.row(other)[place];
                }
                data.extend(painted);
            }
        }
        Step::Ask(Ask::Labels(self.shape.batch(data)))
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let poisoned = |row: usize| {
            self.obedient.iter().position(|other| *other == row).is_some_and(|index| {
                let left = self.left.get(index).copied().unwrap_or(0);
                left as f32 >= self.config.leaves * self.config.tries as f32
            })
        };
        let rows = (0..self.labels.len()).map(|row| {
            let state = match stopped {
                Some(why) => why.state(),
                None if poisoned(row) => State::Hit,
                None => State::Miss,
            };
            RowOutcome { before: Some(self.labels[row]), ..RowOutcome::without_result(row, state) }
        });
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Triggers {
                triggers: self.triggers.clone(),
                shape: self.shape.0.clone(),
                decision: if self.decision.is_empty() {
                    "the search was stopped before a decision".to_owned()
                } else {
                    format!(
                        "{}; a row of such a class is called poisoned when {:.0} % of its copies fall back \
                         to one other class once the trigger's places are painted over",
                        self.decision,
                        self.config.leaves * 100.0
                    )
                },
            },
        }
    }
}

/// How many copies left the class for one and the same other: a poisoned row falls back to what it shows.
fn agreed(given: &[usize], class: usize) -> usize {
    let same = |other: usize| given.iter().filter(|given| **given == other).count();
    given.iter().filter(|other| **other != class).map(|other| same(*other)).max().unwrap_or(0)
}

impl Attack for PoisonedRows {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        match (self.phase, answer) {
            (Phase::Searching, answer) => {
                let step = self.search.step(answer);
                self.searching(step)
            }
            (Phase::Labelling, Some(Answer::Labels(given))) if given.len() == self.suspects.len() => {
                let obeys = |(row, given): (&usize, &usize)| (self.labels[*row] == *given).then_some(*row);
                self.obedient = self.suspects.iter().zip(&given).filter_map(obeys).collect();
                if self.obedient.is_empty() {
                    self.phase = Phase::Over;
                    return Step::Done(self.outcome(None));
                }
                self.paint()
            }
            (Phase::Painting, Some(Answer::Labels(given)))
                if given.len() == self.obedient.len() * self.config.tries =>
            {
                self.left = given
                    .chunks(self.config.tries)
                    .zip(&self.obedient)
                    .map(|(given, row)| agreed(given, self.labels[*row]))
                    .collect();
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
