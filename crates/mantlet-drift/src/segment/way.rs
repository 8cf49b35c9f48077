//! The way from all rows down to a segment of errors, and what else moved in it.

use std::collections::HashMap;

use super::search::{Found, Literal, SegmentSettings};
use crate::cube::{Cell, Layout, RANK};
use crate::statistic::{normal_tails, real};

/// Branches of a level that are shown beside the one that is followed.
const BRANCHES: usize = 11;

/// A part of the rows, and how the model errs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// The level in words.
    pub name: String,
    /// Rows now whose error is known.
    pub rows: u64,
    /// The error rate in the reference.
    pub before: f64,
    /// The same now.
    pub now: f64,
    /// Whether the segment lies in it.
    pub followed: bool,
}

/// How the rows of the level above divide by one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// The dimension's place in the layout.
    pub dimension: usize,
    /// The parts: most rows first, those that are followed always.
    pub branches: Vec<Branch>,
}

/// A column that moved inside the segment and not elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The measure's place in the layout.
    pub measure: usize,
    /// The mean rank in the segment, in the reference and now, from 0 to 1.
    pub ranks: (f64, f64),
    /// The same over all rows.
    pub everywhere: (f64, f64),
    /// The chance, adjusted for the columns and segments that were asked.
    pub chance: f64,
}

/// Every segment that was counted, on both sides.
pub(super) type Cells<'a> = HashMap<&'a [Literal], (&'a Cell, &'a Cell)>;

fn rate(cell: &Cell) -> f64 {
    (real(cell.errors) + 0.5) / (real(cell.judged) + 1.0)
}

/// The counts of a segment whose levels of one dimension are alternatives.
pub(super) fn both(cells: &Cells<'_>, conditions: &[(usize, Vec<u8>)]) -> (Cell, Cell) {
    let mut choices: Vec<Vec<Literal>> = vec![Vec::new()];
    for (dimension, levels) in conditions {
        choices = choices
            .iter()
            .flat_map(|own| {
                levels.iter().map(|&level| {
                    let mut own = own.clone();
                    own.push(Literal { dimension: *dimension, level });
                    own
                })
            })
            .collect();
    }
    let (mut before, mut now) = (Cell::default(), Cell::default());
    for mut literals in choices {
        literals.sort_unstable();
        if let Some((old, new)) = cells.get(literals.as_slice()) {
            before.add(old);
            now.add(new);
        }
    }
    (before, now)
}

/// The forks from all rows to the segment: first the condition under which errors rose most.
pub(super) fn way(layout: &Layout, cells: &Cells<'_>, found: &Found) -> Vec<Fork> {
    let mut left = found.conditions.clone();
    let mut path: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut forks = Vec::new();
    while !left.is_empty() {
        let rise = |condition: &(usize, Vec<u8>)| {
            let mut own = path.clone();
            own.push(condition.clone());
            let (before, now) = both(cells, &own);
            rate(&now) - rate(&before)
        };
        let Some(best) = (0..left.len()).max_by(|&a, &b| rise(&left[a]).total_cmp(&rise(&left[b]))) else {
            break;
        };
        let (dimension, followed) = left.remove(best);
        let labels = layout.dimensions.get(dimension).map_or(0, |dimension| dimension.labels.len());
        let mut branches: Vec<Branch> = (0..labels)
            .filter_map(|level| {
                let level = u8::try_from(level).ok()?;
                let mut own = path.clone();
                own.push((dimension, vec![level]));
                let (before, now) = both(cells, &own);
                let name = layout.dimensions.get(dimension)?.labels.get(usize::from(level))?.clone();
                let (rows, followed) = (now.judged, followed.contains(&level));
                (rows > 0).then(|| Branch { name, rows, before: rate(&before), now: rate(&now), followed })
            })
            .collect();
        branches
            .sort_by(|a, b| b.followed.cmp(&a.followed).then(b.rows.cmp(&a.rows)).then(a.name.cmp(&b.name)));
        branches.truncate(BRANCHES + followed.len());
        branches.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.name.cmp(&b.name)));
        path.push((dimension, followed));
        forks.push(Fork { dimension, branches });
    }
    forks
}

/// Mean rank from 0 to 1, and its variance.
pub(super) fn moments([rows, sum, squares]: [u64; 3]) -> (f64, f64) {
    let n = real(rows).max(1.0);
    let mean = real(sum) / n / real(RANK);
    (mean, (real(squares) / n / real(RANK * RANK) - mean * mean).max(0.0))
}

/// The columns that moved in a segment beyond what happened everywhere, strongest first.
pub(super) fn causes(
    cells: &Cells<'_>,
    found: &Found,
    whole: (&Cell, &Cell),
    settings: SegmentSettings,
    asked: f64,
) -> Vec<Cause> {
    let (before, now) = both(cells, &found.conditions);
    let mut causes: Vec<(f64, Cause)> = Vec::new();
    for (measure, (&old, &new)) in before.measures.iter().zip(&now.measures).enumerate() {
        let (Some(&all_old), Some(&all_new)) = (whole.0.measures.get(measure), whole.1.measures.get(measure))
        else {
            continue;
        };
        if old[0] < settings.rows || new[0] < settings.rows {
            continue;
        }
        let ((was, spread_was), (is, spread_is)) = (moments(old), moments(new));
        let everywhere = (moments(all_old).0, moments(all_new).0);
        let size = is - was - (everywhere.1 - everywhere.0);
        let step = 1.0 / real(RANK * RANK);
        let spread = (spread_was.max(step) / real(old[0]) + spread_is.max(step) / real(new[0])).sqrt();
        let chance = (normal_tails((size / spread).abs()) * asked).min(1.0);
        if size.abs() >= settings.shift && chance <= settings.alpha {
            causes.push((size.abs(), Cause { measure, ranks: (was, is), everywhere, chance }));
        }
    }
    causes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.measure.cmp(&b.1.measure)));
    causes.into_iter().map(|(_, cause)| cause).collect()
}
