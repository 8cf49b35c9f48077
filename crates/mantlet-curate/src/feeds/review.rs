//! The few hundred rows most worth looking at.
//!
//! Inside a cell that turned, a row that does not have the label although its features say it should is poisoned
//! with the chance `s p / (1 - p (1 - s))`, where `p` is the chance that models trained outside the cells give and `s`
//! the share that was turned in its batch (Bayes); for labels that were added it is `s (1 - p) / (p + s (1 - p))`.
//! Each cell that turned has an equal share of the room.

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

/// The likeliest rows so far, of each cell.
pub(super) struct Ranked {
    most: usize,
    cells: Vec<(bool, BinaryHeap<Held>)>,
}

impl Ranked {
    pub(super) fn new(most: usize) -> Self {
        Self { most, cells: Vec::new() }
    }

    /// Another cell; gives its place.
    fn cell(&mut self, is_lead: bool) -> usize {
        self.cells.push((is_lead, BinaryHeap::new()));
        self.cells.len() - 1
    }

    fn least(&self, cell: usize) -> f64 {
        let Some((_, heap)) = self.cells.get(cell) else { return f64::INFINITY };
        if heap.len() < self.most { 0.0 } else { heap.peek().map_or(f64::INFINITY, |held| held.0.chance) }
    }

    fn push(&mut self, cell: usize, suspect: Suspect) {
        let Some((_, heap)) = self.cells.get_mut(cell) else { return };
        heap.push(Held(suspect));
        if heap.len() > self.most {
            heap.pop();
        }
    }

    /// The rows, likeliest first. Each cell that turned has an equal share of the room, so that a loud one does not
    /// hide the others; rows of leads take part by their chance, and what is left goes to the likeliest of the rest.
    pub(super) fn finish(self) -> Vec<Suspect> {
        let turned = self.cells.iter().filter(|(is_lead, heap)| !is_lead && !heap.is_empty()).count();
        let each = self.most.div_ceil(turned.max(1));
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for (is_lead, heap) in self.cells {
            let mut own: Vec<Suspect> = heap.into_iter().map(|held| held.0).collect();
            own.sort_by(likeliest);
            let more = own.split_off(if is_lead { own.len() } else { each.min(own.len()) });
            first.extend(own);
            rest.extend(more);
        }
        first.sort_by(likeliest);
        first.truncate(self.most);
        rest.sort_by(likeliest);
        rest.truncate(self.most - first.len());
        first.extend(rest);
        first.sort_by(likeliest);
        first
    }
}

fn likeliest(a: &Suspect, b: &Suspect) -> Ordering {
    b.chance.total_cmp(&a.chance).then(a.row.cmp(&b.row))
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
    let places: Vec<usize> = named.iter().map(|alarm| ranked.cell(alarm.chance > alpha)).collect();
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
        if chance <= ranked.least(places[row.alarm]) {
            return;
        }
        let word = |code: u8| coded.labels.get(usize::from(code)).map(|(word, _)| word.clone());
        ranked.push(
            places[row.alarm],
            Suspect {
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
            },
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(row: u64, chance: f64) -> Suspect {
        let words = || String::new();
        Suspect { row, chance, label: words(), suggested: None, cell: words(), batch: words() }
    }

    #[test]
    fn a_loud_cell_leaves_room_and_a_lead_takes_what_it_is_worth() {
        let mut ranked = Ranked::new(10);
        let (loud, quiet, lead) = (ranked.cell(false), ranked.cell(false), ranked.cell(true));
        for at in 0..30 {
            ranked.push(loud, suspect(at, 0.9 - at as f64 / 100.0));
            ranked.push(quiet, suspect(100 + at, 0.4 - at as f64 / 100.0));
        }
        ranked.push(lead, suspect(200, 0.39));
        ranked.push(lead, suspect(201, 0.1));
        let rows: Vec<u64> = ranked.finish().into_iter().map(|suspect| suspect.row).collect();
        assert_eq!(rows, [0, 1, 2, 3, 4, 100, 101, 200, 102, 103]);
        let mut ranked = Ranked::new(10);
        let (few, many) = (ranked.cell(false), ranked.cell(false));
        ranked.push(few, suspect(1, 0.2));
        (10..40).for_each(|at| ranked.push(many, suspect(at, 0.5)));
        let rows: Vec<u64> = ranked.finish().into_iter().map(|suspect| suspect.row).collect();
        assert_eq!(rows, [10, 11, 12, 13, 14, 15, 16, 17, 18, 1]);
        assert!(Ranked::new(10).finish().is_empty());
    }
}
