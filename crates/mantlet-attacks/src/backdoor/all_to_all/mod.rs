//! A trigger that moves each class to a class of its own (BadNets, Gu and others 2017, all-to-all): one small mark
//! is sought that makes rows leave their class together, then the one that takes each class where its rows went.
//!
//! Long because both searches share one state.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::search::Search;
use super::trigger::tries;
use crate::inquiry::{needs, wrong};
use crate::rows::{RowShape, classes_of};
use crate::told::Told;
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Loss, Material, Outcome, Random,
    RowOutcome, State, Stop, Trigger,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-all-to-all",
    title: "one small mark moves every class to another class of its own",
    severity: Severity::Malicious,
    impact: Impact::Critical,
    confidence: Confidence::Medium,
    atlas: &["AML.T0018.000", "AML.T0043.004", "AML.T0020"],
    owasp: &["ML10:2023", "ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "No small mark was found that moves classes to other classes of their own".to_owned();
    }
    format!("One and the same small mark turns {}", told.moves())
}

/// How it searches.
///
/// The shares were set on development seeds: on 10 digit networks without such a plant the best mark took 1 % of rows
/// where they should go, on 2 with it 75 and 86 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Steps that seek a mark under which rows leave their class, from each start.
    pub leaving: usize,
    /// Steps that then seek the mark that takes each class to the class its rows went to.
    pub steps: usize,
    /// Rows at each step of each start.
    pub batch: usize,
    /// Rows on which the mark is tried.
    pub held_out: usize,
    /// Random starts; one more assumes that each class becomes the next.
    pub starts: usize,
    /// Step length of the search.
    pub rate: f32,
    /// Share of a batch that must go where it should before the mask may shrink.
    pub success: f32,
    /// The mark may cover this share of the input, and one place at least.
    pub patch: f32,
    /// Share of held-out rows that such a mark must take to their class's own other class.
    pub transfer: f32,
    /// From this share on, a model that is not flagged is undecided.
    pub doubtful: f32,
    /// With fewer classes there is no telling this from a trigger with one target.
    pub classes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            leaving: 40,
            steps: 80,
            batch: 96,
            held_out: 200,
            starts: 2,
            rate: 0.3,
            success: 0.7,
            patch: 1.0 / 16.0,
            transfer: 0.5,
            doubtful: 0.4,
            classes: 4,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Labelling,
    Searching,
    Trying,
    Over,
}

/// One start: where each class is to go, once that is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Start {
    search: Search,
    goes: Option<Vec<usize>>,
    /// How often rows of a class were given which class while leaving, late steps only.
    seen: Vec<Vec<usize>>,
    /// For each try, how many held-out rows of each class went where they should.
    reached: Vec<Vec<usize>>,
}

/// The search in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moving {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    classes: usize,
    constraints: Constraints,
    labels: Vec<usize>,
    used: Vec<usize>,
    held_out: Vec<usize>,
    starts: Vec<Start>,
    tries: Vec<usize>,
    phase: Phase,
    step: usize,
    asked: Vec<usize>,
    queries: u64,
    errors: usize,
}

/// The room's attack.
pub type AllToAll = Inquired<Moving>;

/// What the tries of a start come to.
struct Found<'a> {
    start: &'a Start,
    goes: &'a [usize],
    /// Overwritten places of the best try.
    places: usize,
    /// Share of held-out rows that went where they should.
    share: f32,
    /// The same for each class.
    each: Vec<f32>,
}

impl Moving {
    fn leaving(&self) -> bool {
        self.step < self.config.leaving
    }

    /// The best start: the one whose small mark takes most rows where they should go, to many different classes.
    fn best(&self) -> Option<Found<'_>> {
        let mut counts = vec![0; self.classes];
        self.held_out.iter().filter(|row| self.labels.get(**row).is_some()).for_each(|row| {
            if let Some(count) = counts.get_mut(self.labels[*row]) {
                *count += 1;
            }
        });
        let most = self.small();
        let mut best: Option<Found<'_>> = None;
        for start in &self.starts {
            let Some(goes) = &start.goes else { continue };
            let mut targets = goes.clone();
            targets.sort_unstable();
            targets.dedup();
            if targets.len() < (self.classes / 2).max(2) {
                continue;
            }
            for (places, reached) in self.tries.iter().zip(&start.reached) {
                if *places == 0 || *places > most {
                    continue;
                }
                // With the rows of any one target left out the rest must still move: else it is one target's trigger.
                let without = |target: &usize| {
                    let classes = || (0..self.classes).filter(|class| goes[*class] != *target);
                    share(
                        classes().map(|class| reached[class]).sum(),
                        classes().map(|class| counts[class]).sum(),
                    )
                };
                let share = targets.iter().map(without).fold(1.0, f32::min);
                if best.as_ref().is_none_or(|best| share > best.share) {
                    let each = reached.iter().zip(&counts).map(|(reached, of)| self::share(*reached, *of));
                    best = Some(Found { start, goes, places: *places, share, each: each.collect() });
                }
            }
        }
        best
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a row's length"
    )]
    fn small(&self) -> usize {
        let places = self.starts.first().map_or(0, |start| start.search.places());
        (places as f32 * self.config.patch).max(1.0) as usize
    }
}

impl Inquiry for Moving {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.steps == 0 || config.leaving == 0 || config.batch == 0 || config.held_out == 0 {
            return Err(wrong(ABOUT.name, "leaving, steps, batch and held_out must be at least 1"));
        }
        let within = |value: f32| (0.0..=1.0).contains(&value);
        if !(config.rate > 0.0
            && config.rate.is_finite()
            && within(config.success)
            && within(config.transfer))
        {
            return Err(wrong(ABOUT.name, "rate must be positive, success and transfer between 0 and 1"));
        }
        if material.classes < config.classes.max(3) || material.rows.rows() < 8 {
            return Err(needs(ABOUT.name, "at least four classes and eight clean rows"));
        }
        let len = material.rows.row_len();
        let bounds = |place: usize| material.constraints.at(place);
        if (0..len).any(|place| !(bounds(place).upper - bounds(place).lower).is_finite()) {
            return Err(needs(ABOUT.name, "bounds for each input value"));
        }
        let mut random = Random::new(seed);
        let mut used: Vec<usize> = (0..material.rows.rows()).collect();
        random.shuffle(&mut used);
        let mut held_out = used.split_off(used.len() / 2);
        held_out.truncate(config.held_out);
        let shape = RowShape::of(&material.rows);
        let places = shape.image().map_or(len, |(channels, _, _)| len / channels);
        let classes = material.classes;
        let next: Vec<usize> = (0..classes).map(|class| (class + 1) % classes).collect();
        let starts = (0..=config.starts)
            .map(|start| Start {
                search: Search::new(start, len, places, config.rate, &material.constraints, &mut random),
                goes: (start == 0).then(|| next.clone()),
                seen: vec![vec![0; classes]; classes],
                reached: Vec::new(),
            })
            .collect();
        Ok(Self {
            config,
            random,
            shape,
            rows: material.rows,
            classes,
            constraints: material.constraints,
            labels: Vec::new(),
            used,
            held_out,
            starts,
            tries: tries(places),
            phase: Phase::Labelling,
            step: 0,
            asked: Vec::new(),
            queries: 0,
            errors: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        match self.phase {
            Phase::Over => return None,
            Phase::Labelling => return Some(Ask::Labels(self.rows.clone())),
            Phase::Searching => {
                let mut rows = self.used.clone();
                self.random.shuffle(&mut rows);
                rows.truncate(self.config.batch);
                self.asked = rows;
            }
            Phase::Trying => self.asked = self.held_out.clone(),
        }
        let (mut data, mut labels) = (Vec::new(), Vec::new());
        for start in &self.starts {
            let tries = if self.phase == Phase::Searching { &[0][..] } else { &self.tries };
            for &places in tries {
                for &row in &self.asked {
                    let from = data.len();
                    let own = self.labels[row];
                    if self.phase == Phase::Searching {
                        start.search.stamp(self.rows.row(row), &mut data);
                    } else {
                        start.search.stamp_best(self.rows.row(row), places, &mut data);
                        self.constraints.repair_values(&mut data[from..]);
                    }
                    labels.push(start.goes.as_ref().map_or(own, |goes| goes[own]));
                }
            }
        }
        let rows = self.shape.batch(data);
        self.queries += rows.rows() as u64;
        Some(match self.phase {
            Phase::Searching => Ask::Gradient { rows, loss: Loss::CrossEntropy { labels } },
            _ => Ask::Labels(rows),
        })
    }

    fn take(&mut self, answer: Answer) -> bool {
        let open = self.asked.len() * self.starts.len();
        match (self.phase, answer) {
            (Phase::Labelling, Answer::Labels(labels))
                if labels.len() == self.rows.rows() && labels.iter().all(|label| *label < self.classes) =>
            {
                self.labels = labels;
                self.phase = Phase::Searching;
            }
            (Phase::Searching, Answer::Gradient { scores, gradient, .. })
                if scores.rows() == open && gradient.data().len() == open * self.shape.len() =>
            {
                self.searched(&classes_of(&scores), &gradient);
            }
            (Phase::Trying, Answer::Labels(labels)) if labels.len() == open * self.tries.len() => {
                let mut labels = labels.iter();
                for start in &mut self.starts {
                    for _ in &self.tries {
                        let mut reached = vec![0; self.classes];
                        for (row, given) in self.asked.iter().zip(labels.by_ref()) {
                            let own = self.labels[*row];
                            let hit = start.goes.as_ref().is_some_and(|goes| goes[own] == *given);
                            reached[own] += usize::from(hit);
                        }
                        start.reached.push(reached);
                    }
                }
                self.phase = Phase::Over;
            }
            _ => return false,
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let best = if self.phase == Phase::Over { self.best() } else { None };
        let share = best.as_ref().map_or(0.0, |best| best.share);
        let flagged = stopped.is_none() && share >= self.config.transfer;
        let moved = |class: usize| {
            best.as_ref().and_then(|best| best.each.get(class)).copied().unwrap_or(0.0)
                >= self.config.transfer
        };
        let rows = (0..self.classes).map(|class| {
            let state = match stopped {
                Some(why) => why.state(),
                None if self.errors > 0 => State::Error,
                None if flagged && moved(class) => State::Hit,
                None if share >= self.config.doubtful && moved(class) => State::Undecided,
                None => State::Miss,
            };
            RowOutcome {
                before: Some(class),
                after: best.as_ref().and_then(|best| best.goes.get(class)).copied(),
                queries: self.queries / self.classes.max(1) as u64,
                ..RowOutcome::without_result(class, state)
            }
        });
        let triggers = best.iter().flat_map(|best| {
            let (mask, pattern) = best.start.search.best();
            (0..self.classes).map(move |class| Trigger {
                class,
                mask: best.start.search.spread(&mask),
                pattern: pattern.clone(),
                size: best.start.search.size(),
                transfer: best.each.get(class).copied().unwrap_or(0.0),
                hard: vec![(best.places, best.share)],
                #[expect(clippy::cast_precision_loss, reason = "a small count")]
                places: best.places as f32,
                anomaly: 0.0,
                ratio: 1.0,
                flagged: flagged && moved(class),
            })
        });
        let decision = format!(
            "classes are called moved when one mark on at most {} places takes at least {:.0} % of held-out rows of all \
             classes to one other class for each of them; the best mark took {:.0} %",
            self.small(),
            self.config.transfer * 100.0,
            share * 100.0
        );
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Triggers { triggers: triggers.collect(), shape: self.shape.0.clone(), decision },
        }
    }
}

impl Moving {
    fn searched(&mut self, given: &[Option<usize>], gradient: &Tensor) {
        self.errors += given.iter().filter(|class| class.is_none()).count();
        let count = self.asked.len();
        let late = self.step * 2 >= self.config.leaving;
        let last = self.step + 1 == self.config.leaving;
        for (index, start) in self.starts.iter_mut().enumerate() {
            let part = index * count..(index + 1) * count;
            let originals: Vec<&[f32]> = self.asked.iter().map(|row| self.rows.row(*row)).collect();
            let own = self.asked.iter().map(|row| self.labels[*row]);
            if let Some(goes) = &start.goes {
                let pairs = given[part.clone()].iter().zip(own);
                let reached = pairs.filter(|(given, own)| **given == Some(goes[*own])).count();
                let slopes: Vec<&[f32]> = part.map(|row| gradient.row(row)).collect();
                start.search.learn(&originals, &slopes, share(reached, count), self.config.success);
                continue;
            }
            let mut left = 0;
            for (given, own) in given[part.clone()].iter().zip(own) {
                let Some(given) = given.filter(|given| *given != own && *given < self.classes) else {
                    continue;
                };
                left += 1;
                if late {
                    start.seen[own][given] += 1;
                }
            }
            // The own class is to be left: uphill.
            let slopes: Vec<Vec<f32>> =
                part.map(|row| gradient.row(row).iter().map(|slope| -slope).collect()).collect();
            let slopes: Vec<&[f32]> = slopes.iter().map(Vec::as_slice).collect();
            start.search.learn(&originals, &slopes, share(left, count), self.config.success);
            if last {
                let most = |own: usize| {
                    let seen = &start.seen[own];
                    let other = (0..self.classes).filter(|other| *other != own);
                    other.max_by_key(|other| (seen[*other], std::cmp::Reverse(*other))).unwrap_or(own)
                };
                start.goes = Some((0..self.classes).map(most).collect());
                start.search.anew();
            }
        }
        self.step += 1;
        if self.step >= self.config.leaving + self.config.steps {
            self.phase = Phase::Trying;
        }
        debug_assert!(self.leaving() || self.starts.iter().all(|start| start.goes.is_some()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn share(count: usize, of: usize) -> f32 {
    count as f32 / of.max(1) as f32
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
