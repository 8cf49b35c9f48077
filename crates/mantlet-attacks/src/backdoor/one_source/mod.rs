//! A mark that works on one class only and sends it to one other (Gu and others 2017, single target; Tang and others
//! 2021, source-specific). Honest classes that look alike are parted by marks as small, so no search for the smallest
//! mark tells them; the training rows do. Windows of each row are painted over: where rows bear a planted mark, far more
//! of the training rows labelled as the target fall back to the source, at one place, than of rows the model was not
//! trained on, and what stood there sends other rows of the source to the target. Beside it the rows are compared: far
//! more of the training rows labelled as the target look like the source, and a mark of their own explains it.
//!
//! Long because the questions and the decision share one state.

use std::collections::BTreeMap;

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::stats::{excess, middle};
use crate::told::Told;
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Material, Outcome, Random, RowOutcome,
    State, Stop, Trigger,
};

mod neighbours;

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-one-source",
    title: "a small mark sends inputs of one class to one other class",
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
        return "No small mark was found that sends inputs of one class to one other".to_owned();
    }
    format!("A small mark, planted by training rows, turns inputs of {}", told.moves())
}

/// How it searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The side of a window, as a share of the picture's; of other rows its length is a sixteenth of theirs. Windows
    /// overlap by half.
    pub window: f32,
    /// Training rows that are painted over at most, and rows the model was not trained on.
    pub trained: usize,
    /// The latter.
    pub others: usize,
    /// Rows of the source on which a mark is tried.
    pub held_out: usize,
    /// How improbable it may be, over all pairs of classes and windows, that so many more training rows than others
    /// fall back by chance.
    pub chance: f64,
    /// Up to this improbability a pair that is not flagged is undecided.
    pub doubtful: f64,
    /// By how much the share of training rows that fall back must exceed that of the others.
    pub excess: f32,
    /// How many times as many rows must fall back in the window as in the middle one of all windows: a label that is
    /// merely wrong gives way wherever a row is painted over.
    pub local: f32,
    /// Share of the source's rows that what stood in the window must send to the target.
    pub transfer: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: 0.25,
            trained: 2_400,
            others: 600,
            held_out: 48,
            chance: 5e-3,
            doubtful: 5e-2,
            excess: 0.05,
            local: 3.0,
            transfer: 0.6,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Labelling,
    Recalling,
    Painting,
    Trying,
    Over,
}

/// A pair of classes of which more training rows fell back than chance would have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Suspect {
    source: usize,
    target: usize,
    window: usize,
    /// How improbable it is, over all pairs and windows.
    chance: f64,
    /// Rows that fell back, and of how many: training rows, and others.
    trained: (usize, usize),
    others: (usize, usize),
    /// What stands in the window of the training rows that fell back: the middle of each value.
    pattern: Vec<f32>,
    /// What stands there in rows of the target that look like it; empty where that is not compared.
    usual: Vec<f32>,
    /// Share of rows of the source that the one and the other send to the target.
    transfer: f32,
    usually: f32,
}

/// The search in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Painting {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    labels: Vec<usize>,
    classes: usize,
    constraints: Constraints,
    trained: Tensor,
    trained_labels: Vec<usize>,
    /// Values of each window.
    windows: Vec<Vec<usize>>,
    /// Rows that are painted over: whether of the training rows, which, and the clean row whose values are laid over it.
    painted: Vec<(bool, usize, usize)>,
    /// Window and row that are asked next, counted through, and how many are asked at the moment.
    next: usize,
    asked: usize,
    /// Window, row and class of those that left their class.
    fell: Vec<(usize, usize, usize)>,
    suspects: Vec<Suspect>,
    phase: Phase,
    queries: u64,
}

/// The room's attack.
pub type OneSource = Inquired<Painting>;

/// Rows and values of one question.
const ASKED: usize = 4_096;
const VALUES: usize = 1 << 24;
/// Training rows that must fall back at least.
const LEAST: usize = 4;
/// Suspect pairs whose marks are tried.
const CLOSELY: usize = 12;

/// The windows of a row.
fn windows(shape: &RowShape, share: f32) -> Vec<Vec<usize>> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sides of a picture"
    )]
    let side = |whole: usize| ((whole as f32 * share).ceil() as usize).max(3).min(whole);
    let starts = |whole: usize, side: usize| (0..=whole - side).step_by((side / 2).max(1));
    let Some((channels, height, width)) = shape.image() else {
        let long = (shape.len() / 16).max(2).min(shape.len());
        return starts(shape.len(), long).map(|from| (from..from + long).collect()).collect();
    };
    let (tall, wide) = (side(height), side(width));
    let mut windows = Vec::new();
    for top in starts(height, tall) {
        for left in starts(width, wide) {
            let place = |channel: usize, row: usize| (channel * height + row) * width;
            let lines =
                (0..channels).flat_map(|channel| (top..top + tall).map(move |row| place(channel, row)));
            windows.push(lines.flat_map(|line| line + left..line + left + wide).collect());
        }
    }
    windows
}

impl Painting {
    /// Chooses the rows that are painted over: training rows that the model reads as they are labelled, and others.
    fn choose(&mut self, recalled: &[usize]) {
        let of = |class: usize| -> Vec<usize> {
            (0..self.rows.rows()).filter(|row| self.labels[*row] == class).collect()
        };
        let known: Vec<bool> = (0..self.classes).map(|class| !of(class).is_empty()).collect();
        let mut trained: Vec<usize> = (0..self.trained.rows())
            .filter(|row| {
                let label = self.trained_labels[*row];
                recalled[*row] == label && known.get(label) == Some(&true)
            })
            .collect();
        let mut others: Vec<usize> = (0..self.rows.rows()).collect();
        for (rows, most) in [(&mut trained, self.config.trained), (&mut others, self.config.others)] {
            self.random.shuffle(rows);
            rows.truncate(most);
            rows.sort_unstable();
        }
        let count = self.rows.rows();
        let rows =
            trained.into_iter().map(|row| (true, row)).chain(others.into_iter().map(|row| (false, row)));
        for (of_training, row) in rows {
            let over = self.random.below(count);
            self.painted.push((of_training, row, over));
        }
    }

    fn class(&self, (of_training, row, _): (bool, usize, usize)) -> usize {
        if of_training { self.trained_labels[row] } else { self.labels[row] }
    }

    /// The pairs and windows with an improbable excess, the best window of each pair. Where half of all classes have one
    /// towards the same target, the mark is no one class's: that is the trigger's own room's matter.
    fn suspect(&mut self) {
        let mut totals = vec![(0, 0); self.classes];
        for row in &self.painted {
            let total = &mut totals[self.class(*row)];
            *(if row.0 { &mut total.0 } else { &mut total.1 }) += 1;
        }
        // By target and source, for each window: rows that fell back, of the training rows and of the others.
        let mut counts: BTreeMap<(usize, usize), Vec<(usize, usize)>> = BTreeMap::new();
        for &(window, row, given) in &self.fell {
            let key = (self.class(self.painted[row]), given);
            let own = counts.entry(key).or_insert_with(|| vec![(0, 0); self.windows.len()]);
            *(if self.painted[row].0 { &mut own[window].0 } else { &mut own[window].1 }) += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts")]
        let tests = (self.windows.len() * self.classes * (self.classes - 1)) as f64;
        let mut suspects: Vec<Suspect> = Vec::new();
        for (&(target, source), windows) in &counts {
            #[expect(clippy::cast_precision_loss, reason = "counts")]
            let mut hits: Vec<f32> = windows.iter().map(|count| count.0 as f32).collect();
            hits.sort_by(f32::total_cmp);
            let usual = middle(&hits).max(1.0);
            let total = totals[target];
            let judged = windows.iter().enumerate().filter_map(|(window, count)| {
                let (trained, others) = ((count.0, total.0), (count.1, total.1));
                #[expect(clippy::cast_precision_loss, reason = "counts")]
                let local = count.0 as f32 >= self.config.local * usual;
                let more = share(trained.0, trained.1) - share(others.0, others.1) >= self.config.excess;
                let chance = (excess(trained, others) * tests).min(1.0);
                (count.0 >= LEAST && local && more && chance <= self.config.doubtful)
                    .then_some((window, chance, trained, others))
            });
            if let Some((window, chance, trained, others)) = judged.min_by(|a, b| a.1.total_cmp(&b.1)) {
                suspects.push(Suspect {
                    source,
                    target,
                    window,
                    chance,
                    trained,
                    others,
                    pattern: self.pattern(window, target, source),
                    usual: Vec::new(),
                    transfer: 0.0,
                    usually: 0.0,
                });
            }
        }
        let towards = |target: usize| suspects.iter().filter(|one| one.target == target).count();
        let many: Vec<bool> = (0..self.classes).map(|target| towards(target) * 2 >= self.classes).collect();
        suspects.retain(|one| !many[one.target]);
        suspects.sort_by(|a, b| a.chance.total_cmp(&b.chance));
        suspects.truncate(CLOSELY);
        suspects.extend(self.doubted());
        self.suspects = suspects;
    }

    /// The middle of each value of a window over the training rows that fell back there.
    fn pattern(&self, window: usize, target: usize, source: usize) -> Vec<f32> {
        let rows: Vec<usize> = self
            .fell
            .iter()
            .filter(|(at, row, given)| {
                *at == window
                    && *given == source
                    && self.painted[*row].0
                    && self.class(self.painted[*row]) == target
            })
            .map(|(_, row, _)| self.painted[*row].1)
            .collect();
        self.standing(window, &rows)
    }

    /// Rows of a class on which a mark is tried.
    fn tried(&self, class: usize) -> Vec<usize> {
        let own = (0..self.rows.rows()).filter(|row| self.labels[*row] == class);
        own.take(self.config.held_out).collect()
    }
}

impl Inquiry for Painting {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.trained == 0 || config.others == 0 || config.held_out == 0 {
            return Err(wrong(ABOUT.name, "trained, others and held_out must be at least 1"));
        }
        let within = |value: f32| (0.0..=1.0).contains(&value);
        if !(config.window > 0.0 && within(config.window) && within(config.excess) && within(config.transfer))
        {
            return Err(wrong(ABOUT.name, "window, excess and transfer must be between 0 and 1"));
        }
        if material.classes < 3 || material.rows.rows() < 8 || material.rows.row_len() < 4 {
            return Err(needs(ABOUT.name, "at least three classes, eight clean rows and four values a row"));
        }
        let Some(trained) = material.pool.filter(|pool| pool.rows() == material.pool_labels.len()) else {
            return Err(needs(ABOUT.name, "the training rows with their labels"));
        };
        if trained.row_len() != material.rows.row_len()
            || material.pool_labels.iter().any(|label| *label >= material.classes)
        {
            return Err(needs(ABOUT.name, "training rows of the same form and classes"));
        }
        let shape = RowShape::of(&material.rows);
        Ok(Self {
            windows: windows(&shape, config.window),
            config,
            random: Random::new(seed),
            shape,
            rows: material.rows,
            labels: Vec::new(),
            classes: material.classes,
            constraints: material.constraints,
            trained,
            trained_labels: material.pool_labels,
            painted: Vec::new(),
            next: 0,
            asked: 0,
            fell: Vec::new(),
            suspects: Vec::new(),
            phase: Phase::Labelling,
            queries: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let rows = match self.phase {
            Phase::Over => return None,
            Phase::Labelling => self.rows.clone(),
            Phase::Recalling => self.trained.clone(),
            Phase::Painting => {
                let all = self.windows.len() * self.painted.len();
                let most = (VALUES / self.shape.len().max(1)).clamp(1, ASKED);
                self.asked = most.min(all - self.next);
                let mut data = Vec::with_capacity(self.asked * self.shape.len());
                for at in self.next..self.next + self.asked {
                    let (window, row) = (at / self.painted.len(), at % self.painted.len());
                    let (of_training, row, over) = self.painted[row];
                    let start = data.len();
                    let from = if of_training { &self.trained } else { &self.rows };
                    data.extend_from_slice(from.row(row));
                    let over = self.rows.row(over);
                    self.windows[window].iter().for_each(|place| data[start + place] = over[*place]);
                    self.constraints.repair_values(&mut data[start..]);
                }
                self.shape.batch(data)
            }
            Phase::Trying => {
                let mut data = Vec::new();
                for suspect in &self.suspects {
                    for row in self.tried(suspect.source) {
                        let start = data.len();
                        data.extend_from_slice(self.rows.row(row));
                        for (place, value) in self.windows[suspect.window].iter().zip(&suspect.pattern) {
                            data[start + place] = *value;
                        }
                        self.constraints.repair_values(&mut data[start..]);
                    }
                    for row in self.tried(suspect.source).into_iter().filter(|_| !suspect.usual.is_empty()) {
                        let start = data.len();
                        data.extend_from_slice(self.rows.row(row));
                        for (place, value) in self.windows[suspect.window].iter().zip(&suspect.usual) {
                            data[start + place] = *value;
                        }
                        self.constraints.repair_values(&mut data[start..]);
                    }
                }
                self.shape.batch(data)
            }
        };
        if rows.rows() == 0 {
            self.phase = Phase::Over;
            return None;
        }
        self.queries += rows.rows() as u64;
        Some(Ask::Labels(rows))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(labels) = answer else { return false };
        match self.phase {
            Phase::Labelling
                if labels.len() == self.rows.rows() && labels.iter().all(|label| *label < self.classes) =>
            {
                self.labels = labels;
                self.phase = Phase::Recalling;
            }
            Phase::Recalling if labels.len() == self.trained.rows() => {
                self.choose(&labels);
                self.phase = Phase::Painting;
            }
            Phase::Painting if labels.len() == self.asked && labels.iter().all(|l| *l < self.classes) => {
                for (at, given) in (self.next..).zip(labels) {
                    let (window, row) = (at / self.painted.len(), at % self.painted.len());
                    if given != self.class(self.painted[row]) {
                        self.fell.push((window, row, given));
                    }
                }
                self.next += self.asked;
                if self.next == self.windows.len() * self.painted.len() {
                    self.suspect();
                    self.phase = if self.suspects.is_empty() { Phase::Over } else { Phase::Trying };
                }
            }
            Phase::Trying => {
                let counts: Vec<(usize, usize)> = self
                    .suspects
                    .iter()
                    .map(|suspect| (self.tried(suspect.source).len(), usize::from(!suspect.usual.is_empty())))
                    .collect();
                if labels.len() != counts.iter().map(|(count, twice)| count * (1 + twice)).sum::<usize>() {
                    return false;
                }
                let mut labels = labels.into_iter();
                for (suspect, (count, twice)) in self.suspects.iter_mut().zip(counts) {
                    let mut sent = |count: usize| {
                        let hits = labels.by_ref().take(count).filter(|given| *given == suspect.target);
                        share(hits.count(), count)
                    };
                    suspect.transfer = sent(count);
                    suspect.usually = sent(count * twice);
                }
                self.phase = Phase::Over;
            }
            _ => return false,
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let over = self.phase == Phase::Over && stopped.is_none();
        let mut triggers = Vec::new();
        let rows = (0..self.classes).map(|source| {
            let state = stopped.map_or(State::Miss, Stop::state);
            let own = self.suspects.iter().filter(|suspect| suspect.source == source);
            let works = |suspect: &Suspect| {
                suspect.transfer >= self.config.transfer
                    && suspect.transfer - suspect.usually >= 0.5 * self.config.transfer
            };
            // The one that says most; of equals the first.
            let says =
                |suspect: &Suspect| (works(suspect), suspect.chance <= self.config.chance, suspect.transfer);
            let best = own.reduce(|best, other| {
                let (a, b) = (says(best), says(other));
                if (b.0, b.1).cmp(&(a.0, a.1)).then(b.2.total_cmp(&a.2)).is_gt() { other } else { best }
            });
            let Some(suspect) = best.filter(|_| over) else {
                return RowOutcome::without_result(source, state);
            };
            let state = match (works(suspect), suspect.chance <= self.config.chance) {
                (true, true) => State::Hit,
                (true, false) => State::Undecided,
                (false, _) => State::Miss,
            };
            let mut mask = vec![0.0; self.shape.len()];
            let mut pattern = mask.clone();
            for (place, value) in self.windows[suspect.window].iter().zip(&suspect.pattern) {
                (mask[*place], pattern[*place]) = (1.0, *value);
            }
            let channels = self.shape.image().map_or(1, |(channels, _, _)| channels);
            let places = self.windows[suspect.window].len() / channels.max(1);
            #[expect(clippy::cast_precision_loss, reason = "a small count")]
            let size = places as f32;
            triggers.push(Trigger {
                class: suspect.target,
                mask,
                pattern,
                size,
                transfer: suspect.transfer,
                hard: vec![(places, suspect.transfer)],
                places: size,
                #[expect(clippy::cast_possible_truncation, reason = "shown, not summed")]
                anomaly: -(suspect.chance.max(1e-30).log10() as f32),
                ratio: share(suspect.trained.0, suspect.trained.1)
                    / share(suspect.others.0, suspect.others.1).max(0.01),
                flagged: state == State::Hit,
            });
            RowOutcome {
                before: Some(source),
                after: Some(suspect.target),
                queries: self.queries / self.classes.max(1) as u64,
                ..RowOutcome::without_result(source, state)
            }
        });
        let rows = rows.collect();
        let decision = format!(
            "a class is called backdoored towards another when, with one of {} windows painted over, at least {:.0} % \
             more of the training rows labelled as the other than of rows the model was not trained on fall back to the \
             class, which chance does in at most {} of all such searches, at least {:.0} times as many as in the middle \
             one of all windows, and what stood there sends at least {:.0} % of the class's other rows to the other; or \
             when as improbably many of the training rows labelled as the other look like the class, judged by their \
             neighbours, and what stands in a window of them sends as many of the class's other rows to the other, and \
             half as many more than what stands there in other rows of the other",
            self.windows.len(),
            self.config.excess * 100.0,
            self.config.chance,
            self.config.local,
            self.config.transfer * 100.0,
        );
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows,
            detail: Detail::Triggers { triggers, shape: self.shape.0.clone(), decision },
        }
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
