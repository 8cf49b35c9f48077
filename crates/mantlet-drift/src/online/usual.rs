//! What a stream usually is: its share by the phase of the day or week, how well that is known, and how much more it
//! scatters than coins do.

use serde::{Deserialize, Serialize};

use super::watch::Bin;
use crate::statistic::real;

/// Bins a reference has at least, and as many of each phase as this says.
pub const LEAST_BINS: u64 = 8;
/// Rows that the whole stream's share counts for in a phase: phases of few rows lean on it.
const LEAN: f64 = 20.0;

/// What a stream usually is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usual {
    /// By phase: the share, and its deviation.
    phases: Vec<(f64, f64)>,
    /// The variance of bins beyond that of independent rows, at least 1.
    pub scatter: f64,
    /// Rows of the reference.
    pub rows: u64,
}

impl Usual {
    /// Learns from a reference's bins: number, and counts. Nothing when there are too few to say how much they scatter.
    #[must_use]
    pub fn learn(bins: &[(i64, Bin)], phases: usize) -> Option<Self> {
        let phases = phases.max(1);
        let filled = bins.iter().filter(|(_, bin)| bin.rows > 0).count() as u64;
        if filled < LEAST_BINS {
            return None;
        }
        let mut sums = vec![Bin::default(); phases];
        for (number, bin) in bins {
            sums[phase(*number, phases)].add(*bin);
        }
        let all = sums.iter().fold(Bin::default(), |mut all, bin| {
            all.add(*bin);
            all
        });
        // A share of exactly 0 or 1 would make the first other row an impossibility.
        let share = (real(all.hits) + 0.5) / (real(all.rows) + 1.0);
        let own: Vec<f64> =
            sums.iter().map(|bin| (real(bin.hits) + LEAN * share) / (real(bin.rows) + LEAN)).collect();
        let (mut squares, mut count) = (0.0, 0.0);
        for (number, bin) in bins.iter().filter(|(_, bin)| bin.rows > 0) {
            let share = own[phase(*number, phases)];
            let variance = real(bin.rows) * share * (1.0 - share);
            squares += (real(bin.hits) - real(bin.rows) * share).powi(2) / (variance + 0.25);
            count += 1.0;
        }
        let used = sums.iter().filter(|bin| bin.rows > 0).count() as f64;
        // With as many phases as bins nothing is left to see the scatter by.
        let free = count - used;
        let scatter = if free >= real(LEAST_BINS) / 2.0 { (squares / free).max(1.0) } else { return None };
        let known = |(share, bin): (f64, &Bin)| {
            (share, (share * (1.0 - share) * scatter / (real(bin.rows) + LEAN)).sqrt())
        };
        Some(Self { phases: own.into_iter().zip(&sums).map(known).collect(), scatter, rows: all.rows })
    }

    /// The usual share in a bin.
    #[must_use]
    pub fn share(&self, bin: i64) -> f64 {
        self.phases.get(phase(bin, self.phases.len())).map_or(0.5, |own| own.0)
    }

    /// The greatest and least share that is still usual: the share, two deviations of what is known of it, and a
    /// tolerance of that part of it.
    #[must_use]
    pub fn bounds(&self, bin: i64, tolerance: f64) -> (f64, f64) {
        let (share, deviation) =
            self.phases.get(phase(bin, self.phases.len())).copied().unwrap_or((0.5, 0.5));
        let room = 2.0 * deviation + tolerance * share.min(1.0 - share);
        ((share - room).max(1e-6), (share + room).min(1.0 - 1e-6))
    }

    /// Whether its numbers are ones that [`Usual::learn`] gives.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.phases.is_empty()
            && self.phases.len() <= 1024
            && self.scatter.is_finite()
            && self.scatter >= 1.0
            && self.phases.iter().all(|(share, deviation)| {
                (0.0..=1.0).contains(share) && deviation.is_finite() && *deviation >= 0.0
            })
    }
}

/// The phase of a bin.
fn phase(bin: i64, phases: usize) -> usize {
    let many = i64::try_from(phases.max(1)).unwrap_or(1);
    usize::try_from(bin.rem_euclid(many)).unwrap_or(0)
}
