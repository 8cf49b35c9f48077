//! Two versions of a table, or one feed beside the others: a column in another unit, a clock in another zone, words that
//! were only renamed. What merely drifted is told by `mantlet-drift`; here it has a name and a remedy.

mod hours;
mod names;
mod numbers;
mod renamed_words;
#[cfg(test)]
mod tests;
mod time_shift;
mod unit_change;

use mantlet_vocab::{About, Finding, Place};

pub use hours::{Hours, Shifted, shifted};
pub use names::{Company, Named, Renamed, pairs, renamed};
pub use numbers::{Scaled, Unit, scaled};

/// What changed, between whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The column.
    pub column: String,
    /// The rows it changed in: `feed=bank-3`; empty for all.
    pub who: String,
    /// What it is compared with: `the earlier version`, `all other feeds`.
    pub beside: String,
    /// How.
    pub how: How,
}

/// How something changed.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// Numbers are in another unit.
    Unit(Scaled),
    /// A clock is set otherwise.
    Clock(Shifted),
    /// Words are called otherwise.
    Names(Vec<Renamed>),
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A change in, findings out.
    pub look: fn(&Changed, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &renamed_words::ABOUT, look: renamed_words::look },
        Room { about: &time_shift::ABOUT, look: time_shift::look },
        Room { about: &unit_change::ABOUT, look: unit_change::look },
    ]
}

/// Every finding of every room, in report order.
#[must_use]
pub fn look(changes: &[Changed], place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for change in changes {
        for room in all() {
            (room.look)(change, place, &mut found);
        }
    }
    Finding::sort(&mut found);
    found
}

impl Changed {
    /// `column amount of feed=bank-3`.
    fn place(&self, place: &Place) -> Place {
        let column = crate::datacheck::plain(&self.column);
        let who = crate::datacheck::plain(&self.who);
        place.part(if who.is_empty() {
            format!("column {column}")
        } else {
            format!("column {column} of {who}")
        })
    }
}

/// The chance of a Kolmogorov-Smirnov distance of at least `d` between samples of `n` and `m` (asymptotic).
fn chance(d: f64, n: usize, m: usize) -> f64 {
    let (n, m) = (crate::feed::real(n as u64), crate::feed::real(m as u64));
    let root = (n * m / (n + m)).sqrt();
    let x = (root + 0.12 + 0.11 / root) * d;
    let mut sum = 0.0;
    for k in 1..=40_i32 {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sum += sign * (-2.0 * f64::from(k * k) * x * x).exp();
    }
    if x < 0.3 { 1.0 } else { (2.0 * sum).clamp(0.0, 1.0) }
}

/// The distance that chance exceeds once in a thousand.
fn noise(n: usize, m: usize) -> f64 {
    let (n, m) = (crate::feed::real(n as u64), crate::feed::real(m as u64));
    1.95 * ((n + m) / (n * m)).sqrt()
}
