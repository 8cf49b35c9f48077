//! The worst segments: every crossing of up to three columns, by errors, by what moved only there, and by what
//! the guard saw.

mod loss;
mod residual;
mod search;
mod shift;
mod signal;
#[cfg(test)]
mod tests;
mod told;
mod way;

use mantlet_vocab::{About, Finding, Place};

pub use search::{Found, Literal, SegmentSettings, Segments};
pub use told::{Erring, REVIEW, Sheet, Stretch, Told, review};
pub use way::{Branch, Cause, Fork};

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A search's results in, findings out.
    pub look: fn(&Segments<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &loss::ABOUT, look: loss::look },
        Room { about: &shift::ABOUT, look: shift::look },
        Room { about: &signal::ABOUT, look: signal::look },
    ]
}

/// Every finding of every room: the worst segments first, as the search ranked them.
#[must_use]
pub fn look(segments: &Segments<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(segments, place, &mut found);
    }
    found
}
