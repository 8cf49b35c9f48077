//! Feedback that a model learns from (clicks, ratings, reports), and accounts that give it together.

mod acts;
mod coordinated;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

pub use acts::{ACTS, Act, Acts, Ring, Steered, rings};

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A ring of accounts in, findings out.
    pub look: fn(&Ring, &Acts, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[Room { about: &coordinated::ABOUT, look: coordinated::look }]
}

/// What the rooms say of a ring.
#[must_use]
pub fn look(ring: &Ring, acts: &Acts, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(ring, acts, place, &mut found);
    }
    found
}
