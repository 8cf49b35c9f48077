//! The few hundred rows most worth looking at.
//!
//! Inside a cell that turned, a row that does not have the label although its features say it should is poisoned
//! with the chance `s p / (1 - p (1 - s))`, where `p` is the chance that models trained outside the cells give and `s`
//! the share that was turned in its batch (Bayes); for labels that were added it is `s (1 - p) / (p + s (1 - p))`.
//! Rows of all cells stand in one order of that chance, so that each cell has the room its hits are worth.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mantlet_datachecks::feed::{Additive, Alarm, Grid};

use super::course::{Counted, course};
use super::expect::Expect;
use crate::CurateError;
use crate::coding::{Coded, NO_LABEL};

/// A row to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// Its number in the whole table, from 0, files in order.
    pub row: u64,
    /// The chance that its label was turned.
    pub chance: f64,
    /// The label it has.
    pub label: String,
    /// The label it should have; nothing when several could be meant.
    pub suggested: Option<String>,
    /// The cell it lies in, in words.
    pub cell: String,
    /// Its batch.
    pub batch: String,
}

/// Least likely first, so that the heap's top is the one to give up.
struct Held(Suspect);

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.chance.total_cmp(&self.0.chance).then(self.0.row.cmp(&other.0.row))
    }
}

/// The likeliest rows so far.
pub(super) struct Ranked {
    most: usize,
    heap: BinaryHeap<Held>,
}

impl Ranked {
    pub(super) fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::new() }
    }

    fn least(&self) -> f64 {
        if self.heap.len() < self.most {
            0.0
        } else {
            self.heap.peek().map_or(f64::INFINITY, |held| held.0.chance)
        }
    }

    fn push(&mut self, suspect: Suspect) {
        self.heap.push(Held(suspect));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    pub(super) fn finish(self) -> Vec<Suspect> {
        let mut rows: Vec<Suspect> = self.heap.into_iter().map(|held| held.0).collect();
        rows.sort_by(|a, b| b.chance.total_cmp(&a.chance).then(a.row.cmp(&b.row)));
        rows
    }
}

/// The chance that a cell with such a chance of arising honestly turned, if as many turn as do not: no prior makes it
/// greater (Sellke, Bayarri and Berger, "Calibration of p values", The American Statistician 55, 2001).
fn turned(chance: f64) -> f64 {
    let honest = if chance < (-1.0_f64).exp() { -std::f64::consts::E * chance * chance.ln() } else { 1.0 };
    1.0 / (1.0 + honest.max(0.0))
}

/// Ranks the rows of the cells that turned. `aside` are all cells of which nothing was learned; those that are no
/// alarm at `alpha` count as far as they may have turned.
pub(super) fn rank(
    coded: &Coded<'_>,
    model: &Additive,
    code: u8,
    (named, aside, alpha): (&[Alarm], &[Alarm], f64),
    ranked: &mut Ranked,
) -> Result<(), CurateError> {
    if named.is_empty() || ranked.most == 0 {
        return Ok(());
    }
    let expect = Expect::learn(coded, model, code, aside)?;
    let level = level(coded, model, code, aside)?;
    let mut counted = vec![vec![Counted::default(); coded.batches.len()]; named.len()];
    inside(coded, &expect, &level, named, |row| {
        let Some(own) = counted[row.alarm].get_mut(row.batch) else { return };
        own.rows += 1.0;
        own.seen += f64::from(u8::from(row.label == code));
        own.expected += row.chance;
    })?;
    let courses: Vec<Vec<f64>> =
        named.iter().zip(&counted).map(|(alarm, own)| course(own, alarm.few, alarm.window)).collect();
    let grid = Grid::new(coded.axis.clone(), Vec::new());
    let two = coded.labels.len() == 2;
    inside(coded, &expect, &level, named, |row| {
        let alarm = &named[row.alarm];
        if alarm.few != (row.label != code) {
            return;
        }
        let (p, s) = (row.chance, courses[row.alarm].get(row.batch).copied().unwrap_or(0.0));
        let chance =
            if alarm.few { s * p / (1.0 - p * (1.0 - s)) } else { s * (1.0 - p) / (p + s * (1.0 - p)) };
        let is_lead = alarm.chance > alpha;
        let chance = if is_lead { chance * turned(alarm.chance) } else { chance };
        if chance <= ranked.least() {
            return;
        }
        let word = |code: u8| coded.labels.get(usize::from(code)).map(|(word, _)| word.clone());
        ranked.push(Suspect {
            row: row.number,
            chance,
            label: word(row.label).unwrap_or_default(),
            suggested: if alarm.few {
                word(code)
            } else if two {
                word(1 - code)
            } else {
                None
            },
            cell: grid.words(&alarm.axes, &alarm.levels) + if is_lead { " (may be chance)" } else { "" },
            batch: coded.batches.get(row.batch).cloned().unwrap_or_default(),
        });
    })
}

/// A row of a cell that turned.
struct Inside {
    number: u64,
    alarm: usize,
    batch: usize,
    label: u8,
    chance: f64,
}

/// Visits the rows of the cells, each in the first cell it lies in, with the chance that it has the label.
fn inside(
    coded: &Coded<'_>,
    expect: &Expect<'_>,
    level: &[f64],
    named: &[Alarm],
    mut each: impl FnMut(Inside),
) -> Result<(), CurateError> {
    coded.visit(|chunk| {
        let (mut rows, mut alarms) = (Vec::new(), Vec::new());
        for row in (0..chunk.rows()).filter(|&row| chunk.label[row] != NO_LABEL) {
            let lies = |alarm| super::within(std::slice::from_ref(alarm), |axis| chunk.levels[axis][row]);
            if let Some(alarm) = named.iter().position(lies) {
                rows.push(row);
                alarms.push(alarm);
            }
        }
        let chances = expect.chances(chunk, &rows);
        for ((&row, &alarm), chance) in rows.iter().zip(&alarms).zip(chances) {
            let batch = usize::from(chunk.batch[row]);
            let chance = (chance * level.get(batch).copied().unwrap_or(1.0)).min(0.999);
            each(Inside { number: chunk.first + row as u64, alarm, batch, label: chunk.label[row], chance });
        }
    })
}

/// How much more often than the model says the rows outside the cells have the label, by batch.
fn level(coded: &Coded<'_>, model: &Additive, code: u8, named: &[Alarm]) -> Result<Vec<f64>, CurateError> {
    let mut sums = vec![(0.0, 0.0); coded.batches.len()];
    coded.visit(|chunk| {
        for row in 0..chunk.rows() {
            if chunk.label[row] == NO_LABEL || super::within(named, |axis| chunk.levels[axis][row]) {
                continue;
            }
            let Some((seen, expected)) = sums.get_mut(usize::from(chunk.batch[row])) else { continue };
            *seen += f64::from(u8::from(chunk.label[row] == code));
            *expected += model.chance(chunk.features.iter().map(|codes| codes[row]));
        }
    })?;
    Ok(sums.into_iter().map(|(seen, expected)| (seen + 10.0) / (expected + 10.0)).collect())
}
