//! The few hundred rows most worth looking at.
//!
//! Inside a cell that turned, a row that does not have the label although its features say it should is poisoned
//! with the chance `s p / (1 - p (1 - s))`, where `p` is the chance the features give and `s` the share that was
//! turned (Bayes); for labels that were added it is `s (1 - p) / (p + s (1 - p))`. Rows of all cells stand in one
//! order of that chance.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mantlet_datachecks::feed::{Additive, Alarm};

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

/// Ranks the rows of the cells that turned.
pub(super) fn rank(
    coded: &Coded<'_>,
    model: &Additive,
    code: u8,
    named: &[Alarm],
    ranked: &mut Ranked,
) -> Result<(), CurateError> {
    if named.is_empty() || ranked.most == 0 {
        return Ok(());
    }
    let grid = mantlet_datachecks::feed::Grid::new(coded.axis.clone(), Vec::new());
    coded.visit(|chunk| {
        for row in 0..chunk.rows() {
            let label = chunk.label[row];
            if label == NO_LABEL {
                continue;
            }
            for alarm in named {
                let batch = usize::from(chunk.batch[row]);
                let inside = (alarm.window.0..=alarm.window.1).contains(&batch)
                    && alarm.few == (label != code)
                    && super::within(std::slice::from_ref(alarm), |axis| chunk.levels[axis][row]);
                if !inside {
                    continue;
                }
                let p = model.chance(chunk.features.iter().map(|codes| codes[row]));
                let s = alarm.share();
                let chance = if alarm.few {
                    s * p / (1.0 - p * (1.0 - s))
                } else {
                    s * (1.0 - p) / (p + s * (1.0 - p))
                };
                if chance <= ranked.least() {
                    continue;
                }
                let word = |code: u8| coded.labels.get(usize::from(code)).map(|(word, _)| word.clone());
                let two = coded.labels.len() == 2;
                ranked.push(Suspect {
                    row: chunk.first + row as u64,
                    chance,
                    label: word(label).unwrap_or_default(),
                    suggested: if alarm.few {
                        word(code)
                    } else if two {
                        word(1 - code)
                    } else {
                        None
                    },
                    cell: grid.words(&alarm.axes, &alarm.levels),
                    batch: coded.batches.get(batch).cloned().unwrap_or_default(),
                });
                break;
            }
        }
    })
}
