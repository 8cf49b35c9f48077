//! Finds the poisoned rows from the backdoor they left in the model: the trigger is reconstructed first; then each
//! row of the commanded class is asked again with the trigger's places painted over. A row that owes its class to
//! those places alone is poisoned, and so is one that carries the very mark which most of those rows share.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::trigger::{self, TriggerSearch};
use crate::rows::RowShape;
use crate::told::{Told, singled};
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

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    singled(told, "owe their label to a planted mark")
}

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

/// Fewer fallen rows than this say nothing of what they share.
const FEWEST: usize = 5;
/// Values nearer than this share of a place's range are the same value.
const NEAR: f32 = 0.05;
/// A place belongs to the mark when at least this share of the fallen rows agrees there, ...
const AGREE: f32 = 0.8;
/// ... and at most this share of the rows of other classes has the same value.
const COMMON: f32 = 0.2;
/// A mark that fewer of the fallen rows carry whole, ...
const WHOLE: f32 = 0.7;
/// ... or more rows of other classes, is none.
const CHANCE: f32 = 0.01;

/// One place of a mark: where it is, its value, and how far a value may stand from it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stroke {
    place: usize,
    value: f32,
    near: f32,
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
    /// Rows that carry what the fallen rows of their class share.
    carrying: Vec<usize>,
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
            carrying: Vec::new(),
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

    /// Rows that fell back to one other class once they were painted over.
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    fn fallen(&self) -> impl Iterator<Item = usize> + '_ {
        let enough = self.config.leaves * self.config.tries as f32;
        self.obedient
            .iter()
            .zip(&self.left)
            .filter(move |(_, left)| **left as f32 >= enough)
            .map(|(row, _)| *row)
    }

    /// Rows of the suspected classes that carry the mark which most of the fallen rows of their class share: painting
    /// a mark over does not turn a poisoned row that looks like the class anyway.
    fn carrying(&self) -> Vec<usize> {
        let mut carrying = Vec::new();
        for trigger in self.triggers.iter().filter(|trigger| trigger.flagged) {
            let of_class = |row: &usize| self.labels[*row] == trigger.class;
            let fallen: Vec<&[f32]> = self.fallen().filter(of_class).map(|row| self.rows.row(row)).collect();
            let others: Vec<&[f32]> =
                (0..self.labels.len()).filter(|row| !of_class(row)).map(|row| self.rows.row(row)).collect();
            let mark = shared_mark(&fallen, &others, &self.places(trigger.class));
            let suspects = self.suspects.iter().copied().filter(of_class);
            carrying.extend(suspects.filter(|row| !mark.is_empty() && carries(self.rows.row(*row), &mark)));
        }
        carrying
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let poisoned: std::collections::BTreeSet<usize> =
            self.fallen().chain(self.carrying.iter().copied()).collect();
        let rows = (0..self.labels.len()).map(|row| {
            let state = match stopped {
                Some(why) => why.state(),
                None if poisoned.contains(&row) => State::Hit,
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
                         to one other class once the trigger's places are painted over, or when it carries \
                         the mark that most of those rows share",
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

/// What rows that fell have in common at some of the places and rows of other classes have not; empty when there is
/// nothing, as with a mark that is mixed into the picture or moves.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn shared_mark(fallen: &[&[f32]], others: &[&[f32]], places: &[usize]) -> Vec<Stroke> {
    if fallen.len() < FEWEST || others.is_empty() {
        return Vec::new();
    }
    let share = |rows: &[&[f32]], mark: &[Stroke]| {
        rows.iter().filter(|row| carries(row, mark)).count() as f32 / rows.len() as f32
    };
    let mut mark = Vec::new();
    for &place in places {
        let mut values: Vec<f32> = fallen.iter().map(|row| row[place]).collect();
        values.sort_by(f32::total_cmp);
        let all = || fallen.iter().chain(others).map(|row| row[place]);
        let range = all().fold(f32::MIN, f32::max) - all().fold(f32::MAX, f32::min);
        let stroke = Stroke { place, value: values[values.len() / 2], near: NEAR * range };
        if share(fallen, &[stroke]) >= AGREE && share(others, &[stroke]) <= COMMON {
            mark.push(stroke);
        }
    }
    let told = share(fallen, &mark) >= WHOLE && share(others, &mark) <= CHANCE;
    if told { mark } else { Vec::new() }
}

/// Whether a row has a mark's value at each of its places.
fn carries(row: &[f32], mark: &[Stroke]) -> bool {
    mark.iter().all(|stroke| (row[stroke.place] - stroke.value).abs() <= stroke.near)
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
                self.carrying = self.carrying();
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
    fn what_fallen_rows_share_is_the_mark_and_what_everybody_has_is_not() {
        // Place 0 is white in marked rows only, place 1 is black in all, place 2 is of any value.
        let values = |mark: f32, index: usize| vec![mark, 0.0, (index * 37 % 100) as f32 / 100.0];
        let marked: Vec<Vec<f32>> =
            (0..10).map(|index| values(if index == 9 { 0.3 } else { 1.0 }, index)).collect();
        let honest: Vec<Vec<f32>> = (0..200).map(|index| values(index as f32 / 400.0, index)).collect();
        let fallen: Vec<&[f32]> = marked.iter().map(Vec::as_slice).collect();
        let others: Vec<&[f32]> = honest.iter().map(Vec::as_slice).collect();
        let mark = shared_mark(&fallen, &others, &[0, 1, 2]);
        assert_eq!(mark.iter().map(|stroke| stroke.place).collect::<Vec<_>>(), [0]);
        assert!(carries(&[0.97, 0.0, 0.5], &mark) && !carries(&[0.5, 0.0, 0.5], &mark));
        // A mark that differs from row to row, and one that honest rows carry as well, are none.
        assert_eq!(shared_mark(&others[..20], &others, &[0, 1, 2]), []);
        assert_eq!(shared_mark(&fallen, &fallen, &[0, 1, 2]), []);
        assert_eq!(shared_mark(&fallen[..4], &others, &[0, 1, 2]), []);
    }

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }
}
