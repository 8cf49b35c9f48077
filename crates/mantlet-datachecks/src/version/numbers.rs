//! Numbers in another unit: a share of the later values are the earlier ones, multiplied.
//!
//! With `F` the distribution of the earlier values, the later ones are compared with `(1 - p) F(x) + p F(x / k)` for every
//! factor `k` between units that people mix up and the share `p` that fits best. A unit has changed when the difference
//! to `F` alone is beyond chance and nearly all of it goes away. What merely grew is explained by no such factor.

use super::{chance, noise};
use crate::feed::real;

/// Values of a side at least.
const FEWEST: usize = 200;
/// Values at which two distributions are compared.
const POINTS: usize = 512;
/// The share of values in another unit at least.
const SHARE: f64 = 0.02;
/// Of the difference, at most this much may be left.
const LEFT: f64 = 0.15;
/// The difference in multiples of what chance gives, at least.
const CLEAR: f64 = 2.5;
/// Factors beyond this (in logarithms) move a value out of what growth gives.
const FAR: f64 = 1.6;
/// The chance of a false alarm over all columns, divided over them by whoever asks.
const ALPHA: f64 = 1e-6;

/// How one unit becomes another: `value * times + plus`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// The factor.
    pub times: f64,
    /// What is added.
    pub plus: f64,
    /// In words; empty for a factor between no units that are known here.
    pub words: &'static str,
}

const fn unit(times: f64, words: &'static str) -> Unit {
    Unit { times, plus: 0.0, words }
}

/// Units that people mix up, each one way; the other way is asked as well.
const UNITS: [Unit; 14] = [
    unit(100.0, "euros and cents, or shares and percent"),
    unit(1000.0, "units and thousands, or seconds and milliseconds"),
    unit(1e6, "units and millions, or seconds and microseconds"),
    unit(1e9, "seconds and nanoseconds"),
    unit(10.0, "centimetres and millimetres"),
    unit(60.0, "minutes and seconds, or hours and minutes"),
    unit(3600.0, "hours and seconds"),
    unit(24.0, "days and hours"),
    unit(86_400.0, "days and seconds"),
    unit(2.54, "inches and centimetres"),
    unit(3.280_84, "metres and feet"),
    unit(1.609_344, "miles and kilometres"),
    unit(2.204_623, "kilograms and pounds"),
    Unit { times: 1.8, plus: 32.0, words: "degrees Celsius and Fahrenheit" },
];

/// A change of unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaled {
    /// What the earlier values became.
    pub unit: Unit,
    /// The share of the later values that did.
    pub share: f64,
    /// The greatest difference of the distributions before it is explained, from 0 to 1.
    pub difference: f64,
    /// And after.
    pub left: f64,
}

/// Whether some of the later values are the earlier ones in another unit. Both are samples in order of size; `looks` is
/// how many such questions are asked together.
#[must_use]
pub fn scaled(before: &[f64], now: &[f64], looks: usize) -> Option<Scaled> {
    if before.len() < FEWEST || now.len() < FEWEST {
        return None;
    }
    let grid = points(before, now);
    let (old, new) = (at(before, &grid), at(now, &grid));
    let difference = apart(&old, &new);
    let usual = noise(before.len(), now.len());
    if difference < CLEAR * usual
        || chance(difference, before.len(), now.len()) * real(looks.max(1) as u64) > ALPHA
    {
        return None;
    }
    // A column of a few values is no measure, and hardly any other unit would give the same values.
    let different = now.windows(2).filter(|pair| pair[0] < pair[1]).count();
    if different < 30 {
        return None;
    }
    let both = |unit: &Unit| {
        let back = Unit { times: 1.0 / unit.times, plus: -unit.plus / unit.times, words: unit.words };
        [*unit, back]
    };
    let mut best: Option<Scaled> = None;
    for unit in UNITS.iter().flat_map(both) {
        let fit = fitted(before, now, &unit, difference);
        if best.is_none_or(|known| fit.left < known.left) {
            best = Some(fit);
        }
    }
    let enough = |fit: &Scaled| {
        // A part of the values times two or three is what any growth looks like: such a unit is told of all or none.
        let far = fit.unit.times.ln().abs() > FAR && fit.unit.plus == 0.0;
        let explained = far || fit.share > 0.97 && fit.left <= usual;
        if !explained {
            return false;
        }
        fit.share >= SHARE && fit.left <= (LEFT * difference).max(0.7 * usual).min(0.5 * difference)
    };
    if let Some(fit) = best.filter(enough) {
        return Some(fit);
    }
    // All values times one number that belongs to no units known here: another currency, another scale.
    let middle = |sorted: &[f64]| sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let times = middle(now) / middle(before);
    if !(times.is_finite() && times > 0.0 && times.ln().abs() > 0.2) {
        return None;
    }
    let free = fitted(before, now, &unit(times, ""), difference);
    (free.share > 0.97 && difference > 0.15 && free.left <= usual).then_some(free)
}

/// The share of values in another unit that explains the later ones best.
fn fitted(before: &[f64], now: &[f64], unit: &Unit, difference: f64) -> Scaled {
    // The points have to lie where any of the three has values.
    let moved: Vec<f64> = before.iter().map(|value| value * unit.times + unit.plus).collect();
    let mut grid = points(before, now);
    grid.extend(points(&moved, now));
    grid.sort_unstable_by(f64::total_cmp);
    let (old, there, new) = (at(before, &grid), at(&moved, &grid), at(now, &grid));
    let left = |share: f64| {
        let mixed = old.iter().zip(&there).map(|(old, there)| old + share * (there - old));
        mixed.zip(&new).map(|(mixed, new)| (mixed - new).abs()).fold(0.0, f64::max)
    };
    // The greatest of straight lines is convex: halving finds its least.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..40 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if left(a) <= left(b) {
            high = b;
        } else {
            low = a;
        }
    }
    let share = f64::midpoint(low, high);
    let share = if left(1.0) <= left(share) + 1e-12 { 1.0 } else { share };
    Scaled { unit: *unit, share, difference, left: left(share) }
}

/// Values at even ranks of both sides together.
fn points(a: &[f64], b: &[f64]) -> Vec<f64> {
    let of = |sorted: &[f64]| -> Vec<f64> {
        let step = (sorted.len() / POINTS).max(1);
        sorted.iter().step_by(step).chain(sorted.last()).copied().collect()
    };
    let mut all = of(a);
    all.extend(of(b));
    all.sort_unstable_by(f64::total_cmp);
    all
}

/// The share of values at or below each point.
fn at(sorted: &[f64], grid: &[f64]) -> Vec<f64> {
    let all = real(sorted.len() as u64);
    grid.iter().map(|point| real(sorted.partition_point(|value| value <= point) as u64) / all).collect()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
