//! Times of day that stand some hours from where they stood.

use crate::feed::real;

/// Quarters of an hour in a day.
pub(super) const QUARTERS: usize = 96;
/// Times of a side at least.
const FEWEST: u64 = 200;
/// The share of times that moved at least.
const SHARE: f64 = 0.1;
/// The share of times that stand elsewhere, before it is explained, at least.
const APART: f64 = 0.05;
/// And at least this much of what chance gives: it spreads by a tenth of itself over so many quarters.
const UNSURE: f64 = 0.4;
/// Of it, at most this much may be left beyond chance.
const LEFT: f64 = 0.25;

/// How many times fall into each quarter of an hour of the day, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours(pub [u64; 96]);

impl Default for Hours {
    fn default() -> Self {
        Self([0; QUARTERS])
    }
}

impl Hours {
    /// Takes in a time, in seconds since 1970 in UTC; what is no number is passed over.
    pub fn take(&mut self, seconds: f64) {
        if !seconds.is_finite() {
            return;
        }
        let of_day = seconds.rem_euclid(86_400.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 95")]
        let quarter = ((of_day / 900.0) as usize).min(QUARTERS - 1);
        self.0[quarter] += 1;
    }

    /// Times counted.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    fn shares(&self) -> [f64; QUARTERS] {
        let all = real(self.all()).max(1.0);
        self.0.map(|count| real(count) / all)
    }
}

/// A clock that is set otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shifted {
    /// By so many minutes; later when above 0.
    pub minutes: i32,
    /// The share of the later times that are shifted.
    pub share: f64,
    /// The share of times that stand elsewhere, before it is explained, from 0 to 1.
    pub difference: f64,
    /// And after.
    pub left: f64,
}

/// Whether some of the later times are the earlier ones, shifted by half hours.
#[must_use]
pub fn shifted(before: &Hours, now: &Hours) -> Option<Shifted> {
    if before.all() < FEWEST || now.all() < FEWEST {
        return None;
    }
    let (old, new) = (before.shares(), now.shares());
    let by_chance = by_chance(before, now);
    let difference = apart(&old, &new);
    // Chance moves some; its own spread over so many quarters is far smaller than itself.
    if difference - by_chance < APART.max(UNSURE * by_chance) {
        return None;
    }
    let mut best: Option<Shifted> = None;
    // Zones lie half hours apart; the few that do not are told as the nearest.
    for quarters in (2..QUARTERS).step_by(2) {
        let mut there = old;
        there.rotate_right(quarters);
        // Least squares of `new - old = share (there - old)`.
        let (mut along, mut own) = (0.0, 0.0);
        for ((old, there), new) in old.iter().zip(&there).zip(&new) {
            along += (new - old) * (there - old);
            own += (there - old).powi(2);
        }
        let share = if own > 0.0 { (along / own).clamp(0.0, 1.0) } else { 0.0 };
        let mut mixed = old;
        mixed.iter_mut().zip(&there).for_each(|(old, there)| *old += share * (there - *old));
        let left = apart(&mixed, &new);
        // From 12 hours before to 12 after; of the same fit the smaller shift.
        let steps = i32::try_from(quarters).unwrap_or(0);
        let steps = if steps > 48 { steps - 96 } else { steps };
        let better = best.is_none_or(|known| {
            left < known.left - 1e-9 || (left < known.left + 1e-9 && (steps * 15).abs() < known.minutes.abs())
        });
        if better {
            best = Some(Shifted { minutes: steps * 15, share, difference, left });
        }
    }
    best.filter(|fit| {
        let excess = difference - by_chance;
        let explained = fit.left - by_chance <= (LEFT * excess).max(0.15 * by_chance).min(0.5 * excess);
        fit.share >= SHARE && explained
    })
}

/// Half the sum of differences: the share of times that stand elsewhere.
fn apart(a: &[f64; QUARTERS], b: &[f64; QUARTERS]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

/// The same of two samples of one distribution: `E|p - q|` of each quarter in its normal approximation.
fn by_chance(a: &Hours, b: &Hours) -> f64 {
    let (of_a, of_b) = (real(a.all()), real(b.all()));
    let spread = 1.0 / of_a + 1.0 / of_b;
    let pooled = |(a, b): (&u64, &u64)| {
        let p = real(a + b) / (of_a + of_b);
        (2.0 / std::f64::consts::PI * p * (1.0 - p) * spread).sqrt()
    };
    0.5 * a.0.iter().zip(&b.0).map(pooled).sum::<f64>()
}
