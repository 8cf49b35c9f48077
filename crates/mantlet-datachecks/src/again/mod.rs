//! What was delivered before and comes again: the same file, or the same rows in another one.

mod batch_file_again;
mod batch_rows_again;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

use crate::split::Shared;

/// A file of a batch whose bytes were delivered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameFile {
    /// Its name.
    pub file: String,
    /// The batch that held the same bytes.
    pub batch: String,
    /// Who delivered that.
    pub feed: String,
    /// Where that stands: `passed`, `rejected`.
    pub state: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Again<'a> {
    /// A file.
    File(&'a SameFile),
    /// Rows of a batch beside those of all that were let through before.
    Rows(&'a Shared),
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// What came again in, findings out.
    pub look: fn(Again<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &batch_file_again::ABOUT, look: batch_file_again::look },
        Room { about: &batch_rows_again::ABOUT, look: batch_rows_again::look },
    ]
}

/// What the rooms say.
#[must_use]
pub fn look(again: &[Again<'_>], place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for own in again {
        all().iter().for_each(|room| (room.look)(*own, place, &mut found));
    }
    Finding::sort(&mut found);
    found
}
