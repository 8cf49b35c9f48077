//! A reference and what came later, every test made once and adjusted for all of them together.

use crate::profile::{Buckets, LEVELS, MISSING, NEW, Profile};
use crate::statistic::{
    association, holm, homogeneity, jensen_shannon, kolmogorov_smirnov, kolmogorov_smirnov_tail, proportions,
    psi, rank_wasserstein, real, total_variation,
};
use crate::{Counts, DriftError, pairs};

/// When a change is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The chance of any false alarm in a comparison without change, over all columns, tests and pairs.
    pub alpha: f64,
    /// The least Kolmogorov-Smirnov distance of a numeric column, or share of rows that moved between the words of
    /// a column, that is worth telling.
    pub shape: f64,
    /// The least change of the share of missing values that is worth telling.
    pub missing: f64,
    /// The least share of words that the reference has not.
    pub new: f64,
    /// The least share of rows whose pair of levels the reference's association does not explain.
    pub joint: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpha: 0.01, shape: 0.02, missing: 0.005, new: 0.001, joint: 0.02 }
    }
}

/// One test: how large the change is and how likely so large a one is by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The size, as its setting is stated.
    pub size: f64,
    /// The chance, adjusted for all tests of the comparison.
    pub chance: f64,
    /// Whether it is worth telling: likely and large.
    pub told: bool,
}

/// What changed in a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnChange {
    /// Its place in the profile.
    pub column: usize,
    /// The distribution of the values that are there.
    pub shape: Change,
    /// The share of missing values.
    pub missing: Change,
    /// Words the reference has not; nothing for numbers.
    pub new: Option<Change>,
    /// Population stability index over at most 20 buckets.
    pub psi: f64,
    /// Jensen-Shannon distance over the same buckets.
    pub jensen_shannon: f64,
    /// Wasserstein distance in ranks, for numbers.
    pub wasserstein: Option<f64>,
}

/// What changed between two columns.
#[derive(Debug, Clone, PartialEq)]
pub struct PairChange {
    /// The columns' places in the profile.
    pub columns: (usize, usize),
    /// How the two hang together, whatever their margins.
    pub joint: Change,
}

/// A reference and what came later.
#[derive(Debug, Clone)]
pub struct Comparison<'a> {
    /// The reference.
    pub profile: &'a Profile,
    /// What came later.
    pub current: &'a Counts,
    /// When a change is told.
    pub settings: Settings,
    /// By column, in the profile's order; identifiers are left out.
    pub columns: Vec<ColumnChange>,
    /// By pair.
    pub pairs: Vec<PairChange>,
    /// Tests made.
    pub tests: usize,
}

impl<'a> Comparison<'a> {
    /// Makes every test.
    ///
    /// # Errors
    /// When the counts are not of this profile.
    pub fn new(profile: &'a Profile, current: &'a Counts, settings: Settings) -> Result<Self, DriftError> {
        if !current.fits(&profile.columns) {
            return Err(DriftError::Counts);
        }
        let mut columns = Vec::new();
        let mut chances = Vec::new();
        for (at, column) in profile.columns.iter().enumerate() {
            if matches!(column.buckets, Buckets::Identifier) {
                continue;
            }
            let (reference, now) = (&profile.counts.columns[at], &current.columns[at]);
            let change = look(at, &column.buckets, reference, now, &mut chances);
            columns.push(change);
        }
        let mut crossings = Vec::new();
        let tables = profile.counts.pairs.iter().zip(&current.pairs);
        for (columns, (reference, now)) in pairs(&profile.columns).into_iter().zip(tables) {
            if let Some((chance, size)) = association(reference, now, LEVELS) {
                chances.push(chance);
                crossings.push(PairChange { columns, joint: Change { size, chance, told: false } });
            }
        }
        let mut adjusted = holm(&chances).into_iter();
        let mut settle = |change: &mut Change, least: f64| {
            change.chance = adjusted.next().unwrap_or(1.0);
            change.told = change.chance <= settings.alpha && change.size >= least;
        };
        for column in &mut columns {
            settle(&mut column.shape, settings.shape);
            settle(&mut column.missing, settings.missing);
            if let Some(new) = &mut column.new {
                settle(new, settings.new);
            }
        }
        for pair in &mut crossings {
            settle(&mut pair.joint, settings.joint);
        }
        Ok(Self { profile, current, settings, columns, pairs: crossings, tests: chances.len() })
    }

    /// Whether anything is worth telling.
    #[must_use]
    pub fn drifted(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.shape.told || column.missing.told || column.new.is_some_and(|new| new.told))
            || self.pairs.iter().any(|pair| pair.joint.told)
    }
}

/// One column. Pushes one chance per test, in the order in which they are settled.
fn look(
    at: usize,
    buckets: &Buckets,
    reference: &[u64],
    now: &[u64],
    chances: &mut Vec<f64>,
) -> ColumnChange {
    let missing = usize::from(MISSING);
    let rows = |counts: &[u64]| counts.iter().sum::<u64>();
    let (all_before, all_now) = (rows(reference), rows(now));
    let share = |count: u64, all: u64| if all == 0 { 0.0 } else { real(count) / real(all) };
    let untold = |size: f64, chance: f64| Change { size, chance, told: false };
    let (shape, new, wasserstein) = match buckets {
        Buckets::Numbers { .. } => {
            let (before, after) = (&reference[missing + 1..], &now[missing + 1..]);
            let distance = kolmogorov_smirnov(before, after);
            let by_distance = kolmogorov_smirnov_tail(distance, rows(before), rows(after));
            let (coarse_before, coarse_after) = coarse(before, after);
            // Two looks at one question: the smaller chance counts twice.
            let by_shape = homogeneity(&coarse_before, &coarse_after);
            let chance = (2.0 * by_distance.min(by_shape)).min(1.0);
            (untold(distance, chance), None, Some(rank_wasserstein(before, after)))
        }
        Buckets::Words { .. } | Buckets::Identifier => {
            let once = if let Buckets::Words { once, .. } = buckets { *once } else { 0 };
            let new = usize::from(NEW);
            let (before, after) = (&reference[new + 1..], &now[new + 1..]);
            let moved = (total_variation(before, after) - by_chance(before, after)).max(0.0);
            let seen = (now[new], all_now - now[missing]);
            let there = all_before - reference[missing];
            let none = ((reference[new] + once).min(there), there);
            let size = share(seen.0, seen.1) - share(none.0, none.1);
            let chance = proportions(none.0, none.1, seen.0, seen.1);
            (untold(moved, homogeneity(before, after)), Some(untold(size, chance)), None)
        }
    };
    let gone = (share(now[missing], all_now) - share(reference[missing], all_before)).abs();
    let missing_chance = proportions(reference[missing], all_before, now[missing], all_now);
    chances.extend([shape.chance, missing_chance]);
    chances.extend(new.map(|new| new.chance));
    let (before, after) = coarse(&reference[missing + 1..], &now[missing + 1..]);
    ColumnChange {
        column: at,
        shape,
        missing: untold(gone, missing_chance),
        new,
        psi: psi(&before, &after),
        jensen_shannon: jensen_shannon(&before, &after),
        wasserstein,
    }
}

/// Neighbouring buckets joined until each holds a twentieth of the reference.
fn coarse(reference: &[u64], now: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let goal = reference.iter().sum::<u64>().div_ceil(20).max(1);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut a, mut b) = (0, 0);
    for (&reference, &now) in reference.iter().zip(now) {
        (a, b) = (a + reference, b + now);
        if a >= goal {
            before.push(a);
            after.push(b);
            (a, b) = (0, 0);
        }
    }
    if a + b > 0 {
        before.push(a);
        after.push(b);
    }
    (before, after)
}

/// The total variation between two samples of one distribution, by chance alone: `E|p - q|` of each bucket under
/// the pooled shares, in its normal approximation.
fn by_chance(a: &[u64], b: &[u64]) -> f64 {
    let (of_a, of_b) = (a.iter().sum::<u64>(), b.iter().sum::<u64>());
    if of_a == 0 || of_b == 0 {
        return 0.0;
    }
    let spread = 1.0 / real(of_a) + 1.0 / real(of_b);
    let pooled = |a: u64, b: u64| real(a + b) / real(of_a + of_b);
    let deviation = |p: f64| (2.0 / std::f64::consts::PI * p * (1.0 - p) * spread).sqrt();
    0.5 * a.iter().zip(b).map(|(&a, &b)| deviation(pooled(a, b))).sum::<f64>()
}
