//! What single values do to the score around a row that turned, learned by asking, and rows put together from them.
//!
//! Of each column a few values are asked alone, each in the place of what stands in the row. As if effects added up,
//! for each price of a unit of score the value of every column is taken that is worth most (a Lagrangian of the cheapest
//! row that still turns), and the rows that promise to be nearer are asked. Trees are steps in each column, and what two
//! columns do together is learned in the next round, around the row that came of this one.

use serde::{Deserialize, Serialize};

use crate::Norm;
use crate::evasion::hunt::Base;

/// Shares of a changed value's change that are asked.
const SHARES: [f32; 4] = [0.0, 0.3, 0.55, 0.8];
/// Steps of an unchanged value, in shares of the distance, in both directions.
const REACH: [f32; 2] = [0.18, 0.45];
/// Steps from the original, in shares of the distance, in both directions.
const WIDE: [f32; 4] = [0.2, 0.45, 0.7, 0.95];
/// Prices tried in each sweep, and sweeps with effects that are trusted a little more or less.
const PRICES: usize = 24;
const SWEEPS: usize = 4;
/// Rows asked of what the sweeps put together.
const ASKED: usize = 16;

/// Single changes that are asked, or were.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Around {
    /// The change of the row they are made in, in widths.
    shift: Vec<f32>,
    /// Column and its change, in widths.
    moves: Vec<(usize, f32)>,
}

impl Around {
    /// Around the nearest success of a row; `None` without one.
    pub(super) fn of(base: &mut Base, row: usize) -> Option<Self> {
        let values = base.rows[row].best.as_ref()?.values.clone();
        let shift = base.shift_of(row, &values);
        let far = shift.iter().map(|value| value * value).sum::<f32>().sqrt();
        let mut moves = Vec::new();
        for (at, own) in shift.iter().enumerate() {
            if base.constraints.at(at).immutable {
                continue;
            }
            let spread = base.random.between(0.75, 1.25);
            if *own == 0.0 {
                for step in REACH {
                    moves.extend([(at, step * far * spread), (at, -step * far * spread)]);
                }
            } else {
                moves.extend(SHARES.map(|share| (at, (share * spread).min(0.97) * own)));
                moves.push((at, own * (1.0 + 0.25 * spread)));
            }
        }
        Some(Self { shift, moves })
    }

    /// Around the original, as far out as the nearest success: another way out may be shorter than the one that was
    /// taken. `None` without a success.
    pub(super) fn wide(base: &mut Base, row: usize) -> Option<Self> {
        let far = base.rows[row].best.as_ref()?.distance;
        let mut moves = Vec::new();
        for at in (0..base.len()).filter(|at| !base.constraints.at(*at).immutable) {
            let spread = base.random.between(0.85, 1.15);
            for step in WIDE.map(|step| (step * spread).min(0.99) * far) {
                moves.extend([(at, step), (at, -step)]);
            }
        }
        Some(Self { shift: vec![0.0; base.len()], moves })
    }

    /// The rows to ask: the row itself, then each change in it.
    pub(super) fn rows(&self, base: &Base, row: usize) -> Vec<Vec<f32>> {
        let changed = |&(at, to): &(usize, f32)| {
            let mut shift = self.shift.clone();
            shift[at] = to;
            base.shifted(row, &shift)
        };
        std::iter::once(base.shifted(row, &self.shift)).chain(self.moves.iter().map(changed)).collect()
    }

    /// Rows nearer than the nearest success that the learned effects promise to turn. `margins` are those of
    /// [`Around::rows`], as many as were answered.
    pub(super) fn combined(&self, base: &mut Base, row: usize, margins: &[f32]) -> Vec<Vec<f32>> {
        let Some((own, singles)) = margins.split_first() else { return Vec::new() };
        let norm = base.norm;
        let mut columns: Vec<Vec<(f32, f32)>> = self.shift.iter().map(|stay| vec![(*stay, 0.0)]).collect();
        for (&(at, to), margin) in self.moves.iter().zip(singles) {
            if margin.is_finite() {
                columns[at].push((to, margin - own));
            }
        }
        let biggest = columns.iter().flatten().map(|(_, gain)| gain.abs()).fold(0.0, f32::max);
        if !(own.is_finite() && biggest > 0.0) {
            return Vec::new();
        }
        let best = base.best_distance(row);
        let mut found: Vec<(f32, Vec<f32>)> = Vec::new();
        for sweep in 0..SWEEPS {
            let trust: Vec<f32> = (0..columns.len())
                .map(|_| if sweep == 0 { 1.0 } else { base.random.between(0.6, 1.4) })
                .collect();
            // How much of the margin may be used up: effects do not quite add up.
            let keep = [0.0, 0.1, 0.0, -0.1][sweep % 4] * biggest;
            let mut price = cost(norm, 0.02) / biggest;
            for _ in 0..PRICES {
                let (mut shift, mut margin) = (Vec::with_capacity(columns.len()), *own);
                for (column, trust) in columns.iter().zip(&trust) {
                    let worth = |&(to, gain): &(f32, f32)| price * trust * gain - cost(norm, to);
                    let taken = column.iter().copied().max_by(|a, b| worth(a).total_cmp(&worth(b)));
                    let (to, gain) = taken.unwrap_or_default();
                    shift.push(to);
                    margin += trust * gain;
                }
                price *= 1.35;
                if margin <= keep {
                    continue;
                }
                let values = base.shifted(row, &shift);
                let far = base.constraints.distances(base.original(row), &values).of(norm);
                if far < best * 0.999 && found.iter().all(|(_, known)| *known != values) {
                    found.push((far, values));
                }
                break;
            }
        }
        self.lighter(base, row, &columns, *own, best, &mut found);
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(ASKED);
        found.into_iter().map(|(_, values)| values).collect()
    }

    /// Pairs of changes, one that brings the row nearer and one that pays for it.
    fn lighter(
        &self,
        base: &Base,
        row: usize,
        columns: &[Vec<(f32, f32)>],
        own: f32,
        best: f32,
        found: &mut Vec<(f32, Vec<f32>)>,
    ) {
        let norm = base.norm;
        let mut pairs: Vec<(f32, Step, Step)> = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let stands = cost(norm, self.shift[at]);
            for &(back, loss) in column.iter().filter(|(to, _)| cost(norm, *to) < stands) {
                for (other, pays) in columns.iter().enumerate().filter(|(other, _)| *other != at) {
                    for &(forth, gain) in pays {
                        let saved =
                            stands - cost(norm, back) + cost(norm, self.shift[other]) - cost(norm, forth);
                        if own + loss + gain > 0.0 && saved > 0.0 {
                            pairs.push((saved, (at, back), (other, forth)));
                        }
                    }
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, back, forth) in pairs.into_iter().take(ASKED) {
            let mut shift = self.shift.clone();
            (shift[back.0], shift[forth.0]) = (back.1, forth.1);
            let values = base.shifted(row, &shift);
            let far = base.constraints.distances(base.original(row), &values).of(norm);
            if far < best * 0.999 && found.iter().all(|(_, known)| *known != values) {
                found.push((far, values));
            }
        }
    }
}

/// A column and how far its value stands from the original.
type Step = (usize, f32);

/// What a change of one value adds to the distance, to its square for the Euclidean.
fn cost(norm: Norm, change: f32) -> f32 {
    match norm {
        Norm::L0 => f32::from(u8::from(change != 0.0)),
        Norm::L1 => change.abs(),
        Norm::L2 | Norm::Linf => change * change,
    }
}
