//! What the cells of a scan are held against: what the model says of them, how far honest cells stray from it, and how
//! much a cell drew the model to itself.

use super::control::{FEWEST, Test};
use super::grid::{Grid, Role, Sums, Tally};
use super::real;
use super::scan::Family;

/// Honest cells stray at least this much from the model.
const STRAY_LEAST: f64 = 0.01;
/// What is assumed of a family with too few cells to measure it.
const STRAY_UNKNOWN: f64 = 0.04;

/// What a cell's windows are held against.
pub(super) struct Held {
    pub(super) level: Vec<f64>,
    pub(super) honest: Honest,
    pub(super) base: usize,
}

/// How much a cell has drawn the model to itself: it was learned from, too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pull {
    /// The cell's part of what its segment, or its batch, was fitted on (its leverage).
    pub(super) part: f64,
    /// What the cell lacks over the whole table, as a share of what is expected of it.
    pub(super) lack: f64,
    /// What is expected of it over the whole table.
    pub(super) expected: f64,
}

impl Held {
    pub(super) fn sums(&self, tallies: &[Tally], (from, to): (usize, usize)) -> Sums {
        let mut sums = Sums::default();
        for batch in from..=to {
            if let (Some(tally), Some(&level)) = (tallies.get(batch), self.level.get(batch)) {
                sums.take(tally, level);
            }
        }
        sums
    }

    /// How much more often than the model says the label is expected from a batch on: honest cells stray from the
    /// model by a normal factor of the spread that was measured; the base batches before tell more about this one.
    pub(super) fn due(&self, tallies: &[Tally], from: usize, pull: Pull) -> Due {
        let (mut factor, mut unsure) = (self.honest.middle, self.honest.unsure + self.honest.stray.powi(2));
        if from >= self.base {
            let base = self.sums(tallies, (0, self.base - 1));
            if base.expected > 0.0 {
                let noise = base.variance / (base.expected * base.expected);
                let trust = unsure / (unsure + noise);
                factor += trust * (base.seen / base.expected - factor);
                unsure *= 1.0 - trust;
            }
        }
        // Without the cell the model would expect this much more, and be this much less sure: over the whole table
        // these are the deleted residual and its variance.
        let drawn = pull.part / (1.0 - pull.part);
        Due { factor: factor.max(0.01) * (1.0 + drawn * pull.lack), unsure, drawn, whole: pull.expected }
    }
}

/// What is expected of a cell from a batch on, beside what the model says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) factor: f64,
    pub(super) unsure: f64,
    pub(super) drawn: f64,
    /// What the model expects over the whole table.
    pub(super) whole: f64,
}

impl Due {
    /// What is expected in a window, and its variance.
    pub(super) fn expect(&self, sums: &Sums) -> (f64, f64) {
        let (expected, squares) = (sums.expected * self.factor, sums.expected * sums.expected);
        let wider = self.drawn * squares / self.whole.max(sums.expected).max(1e-9);
        let each = sums.variance / sums.expected.max(1e-9);
        (expected, (sums.variance + each * wider) * self.factor + self.unsure * squares)
    }

    /// A window whose batches weigh more and more, as a count with the same mean, variance and skewness: what was seen,
    /// what is expected, and its variance.
    pub(super) fn weigh(&self, batches: &[Sums], test: Test, sums: &Sums) -> (f64, f64, f64) {
        let (mut seen, mut expected, mut squares, mut cubes) = (0.0, 0.0, 0.0, 0.0);
        for (batch, own) in batches.iter().enumerate().take(test.to + 1).skip(test.from) {
            let weight = test.weight(batch);
            seen += weight * own.seen;
            expected += weight * own.expected;
            squares += weight * weight * own.variance;
            cubes += weight * weight * weight * own.variance;
        }
        let scale = (cubes / squares.max(1e-9)).max(1e-9);
        let each = (sums.variance / sums.expected.max(1e-9)).max(1e-9);
        let wider = each * self.drawn * expected * expected / self.whole.max(sums.expected).max(1e-9);
        let variance = (squares + wider) * self.factor + self.unsure * expected * expected;
        let like = squares * self.factor / (each * scale * scale);
        let seen = (like + (seen - expected * self.factor) / scale).max(0.0);
        (seen, like, variance / (scale * scale))
    }
}

/// What the model was fitted on: everything, and each level of each segment.
pub(super) struct Fitted {
    pub(super) whole: f64,
    levels: Vec<Vec<f64>>,
}

impl Fitted {
    pub(super) fn of(grid: &Grid, level: &[f64]) -> Self {
        let expected = |tallies: &[Tally]| {
            let mut sums = Sums::default();
            tallies.iter().zip(level).for_each(|(tally, &level)| sums.take(tally, level));
            sums.expected
        };
        let mut levels: Vec<Vec<f64>> =
            grid.axes.iter().map(|axis| vec![0.0; axis.levels.len() + 1]).collect();
        for (at, crossing) in grid.crossings().iter().enumerate() {
            let &[axis] = crossing.axes.as_slice() else { continue };
            for (own, tallies) in grid.cells(at) {
                if let Some(sum) = own.first().and_then(|&own| levels[axis].get_mut(usize::from(own))) {
                    *sum = expected(tallies);
                }
            }
        }
        Self { whole: expected(grid.whole()), levels }
    }

    pub(super) fn pull(
        &self,
        grid: &Grid,
        axes: &[usize],
        levels: &[u16],
        tallies: &[Tally],
        held: &Held,
    ) -> Pull {
        let sums = held.sums(tallies, (0, tallies.len().saturating_sub(1)));
        let segment = axes.iter().zip(levels).find(|(axis, _)| grid.axes[**axis].role == Role::Segment);
        let of = segment.and_then(|(&axis, &level)| self.levels[axis].get(usize::from(level)).copied());
        let of = of.unwrap_or(self.whole);
        if sums.expected <= 0.0 || of <= 0.0 {
            return Pull::default();
        }
        let lack = (1.0 - sums.seen / sums.expected).clamp(-1.0, 1.0);
        Pull { part: (sums.expected / of).clamp(0.0, 0.5), lack, expected: sums.expected }
    }
}

/// How honest cells of a family lie around the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Honest {
    /// What the middle cell has of what is expected: one that turned far moves the whole, not the middle.
    middle: f64,
    /// Its variance.
    pub(super) unsure: f64,
    /// How far cells stray from the middle beyond chance, as a share of what is expected.
    stray: f64,
}

impl Honest {
    /// Measured over all batches: the middle is the weighted median, the spread the value at which half of the
    /// cells lie within the middle half of a normal distribution.
    pub(super) fn of(family: &Family<'_>, level: &[f64]) -> Self {
        let mut cells: Vec<Sums> = Vec::new();
        for (_, tallies) in &family.cells {
            let mut sums = Sums::default();
            tallies.iter().zip(level).for_each(|(tally, &level)| sums.take(tally, level));
            if sums.expected >= 4.0 * FEWEST {
                cells.push(sums);
            }
        }
        if cells.len() < 6 {
            return Self { middle: 1.0, unsure: 0.0, stray: STRAY_UNKNOWN };
        }
        let middle = weighted_median(&cells).clamp(0.5, 2.0);
        // The variance of a median is pi / 2 that of a mean.
        let (expected, variance) =
            cells.iter().fold((0.0, 0.0), |(e, v), s| (e + s.expected, v + s.variance));
        let unsure = std::f64::consts::FRAC_PI_2 * variance / (expected * expected);
        let median = |stray: f64| {
            let mut away: Vec<f64> = cells
                .iter()
                .map(|sums| {
                    let expected = sums.expected * middle;
                    let variance = sums.variance * middle + stray * stray * expected * expected;
                    (sums.seen - expected).abs() / variance.max(1e-9).sqrt()
                })
                .collect();
            away.sort_unstable_by(f64::total_cmp);
            f64::midpoint(away[(away.len() - 1) / 2], away[away.len() / 2])
        };
        // The middle of a few cells is itself uncertain: only what lies beyond its own error is straying.
        let usual = 0.6745 * (1.0 + 1.0 / real(cells.len() as u64).sqrt());
        let (mut low, mut high) = (STRAY_LEAST, 0.5);
        if median(low) <= usual {
            return Self { middle, unsure, stray: low };
        }
        for _ in 0..30 {
            let between = f64::midpoint(low, high);
            if median(between) > usual { low = between } else { high = between }
        }
        Self { middle, unsure, stray: high }
    }
}

/// The ratio of seen to expected that half of what is expected lies below.
fn weighted_median(cells: &[Sums]) -> f64 {
    let mut ratios: Vec<(f64, f64)> =
        cells.iter().map(|sums| (sums.seen / sums.expected, sums.expected)).collect();
    ratios.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = ratios.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (ratio, weight) in ratios {
        below += weight;
        if below >= half {
            return ratio;
        }
    }
    1.0
}
