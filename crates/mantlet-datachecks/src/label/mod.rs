//! Labels that out-of-sample predictions contradict: single rows, directions, and whose they are.

mod confident;
mod error;
mod flip;
mod source;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

pub use confident::{Confident, Mislabelled, confident};

/// Who delivered or labelled each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The column.
    pub name: String,
    /// Its words.
    pub words: Vec<String>,
    /// The word of each row, by place; a place beyond the words is a missing one.
    pub rows: Vec<u32>,
}

/// A table's labels and what was found about them.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// What confident learning says.
    pub confident: &'a Confident,
    /// The classes' words.
    pub classes: &'a [String],
    /// Rows of each class, as given.
    pub counts: &'a [u64],
    /// The class of each row, by place; a place beyond the classes is no row.
    pub given: &'a [u32],
    /// Where rows come from, each column by itself.
    pub origins: &'a [Origin],
    /// What each flagged row is called, in their order; without names rows are called by their number.
    pub names: &'a [String],
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Labels in, findings out.
    pub look: fn(&Labelled<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &error::ABOUT, look: error::look },
        Room { about: &flip::ABOUT, look: flip::look },
        Room { about: &source::ABOUT, look: source::look },
    ]
}

/// Every finding of every room, in report order.
#[must_use]
pub fn look(labelled: &Labelled<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(labelled, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

impl Labelled<'_> {
    fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A class in words fit for a message.
    fn word(&self, class: usize) -> String {
        self.classes.get(class).map(|word| crate::datacheck::plain(word)).unwrap_or_default()
    }

    /// What a flagged row is called.
    fn called(&self, row: usize) -> String {
        let at = self.confident.rows.binary_search_by_key(&row, |own| own.row);
        match at.ok().and_then(|at| self.names.get(at)) {
            Some(name) => crate::datacheck::plain(name),
            None => format!("row {}", row + 1),
        }
    }

    /// `cat -> dog`: what it truly is, and what it is called.
    fn way(&self, (meant, given): (usize, usize)) -> String {
        format!("{} -> {}", self.word(meant), self.word(given))
    }

    /// Flagged rows by direction (what it is, what it is called), most first.
    fn directions<'a>(&self, rows: impl Iterator<Item = &'a Mislabelled>) -> Vec<((usize, usize), u64)> {
        let mut counts = std::collections::BTreeMap::new();
        rows.for_each(|row| *counts.entry((row.meant, row.given)).or_insert(0_u64) += 1);
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(way, count)| (std::cmp::Reverse(*count), *way));
        counts
    }
}
