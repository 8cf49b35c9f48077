//! Rows to test with that were learned from: what is measured on them is memory.

mod shared_keys;
mod shared_rows;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use mantlet_vocab::{About, Finding, Place};

/// Pairs of rows shown.
const SHOWN: usize = 10;

/// How one table's rows stand in another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Rows to learn from.
    pub train: u64,
    /// Of them, those whose features no other of them has.
    pub once: u64,
    /// Rows to test with.
    pub test: u64,
    /// Of them, those with the features of a row to learn from, numbers cut to four digits, words without case and signs.
    pub near: u64,
    /// Of them, to the last letter.
    pub exact: u64,
    /// Of those, with another label.
    pub contrary: u64,
    /// The first of them: row to test with, row to learn from, both counted from 0.
    pub examples: Vec<(u64, u64)>,
}

/// Values of a column that name somebody, in both tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKeys {
    /// The column.
    pub column: String,
    /// Different values among the rows to test with.
    pub keys: u64,
    /// Of them, those that stand among the rows to learn from.
    pub shared: u64,
    /// Rows to test with that have one of those.
    pub rows: u64,
    /// Rows to test with.
    pub test: u64,
}

/// A row by its features, exactly and nearly, and its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// All features to the last letter.
    pub exact: u64,
    /// Numbers cut, words without case and signs.
    pub near: u64,
    /// The label; 0 where it is missing.
    pub label: u64,
}

/// What one table holds, to look up the rows of another.
#[derive(Debug, Clone, Default)]
pub struct Known {
    exact: HashMap<u64, (u64, u64)>,
    near: HashMap<u64, (u64, u32)>,
    rows: u64,
    most: usize,
    full: bool,
}

impl Known {
    /// Room for so many different rows.
    #[must_use]
    pub fn with_room(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Takes in a row to learn from.
    pub fn add(&mut self, row: Row) {
        let number = self.rows;
        self.rows += 1;
        if self.near.len() >= self.most && !self.near.contains_key(&row.near) {
            self.full = true;
            return;
        }
        self.near.entry(row.near).or_insert((number, 0)).1 += 1;
        if self.exact.len() < self.most || self.exact.contains_key(&row.exact) {
            self.exact.entry(row.exact).or_insert((number, row.label));
        }
    }

    /// Whether there was no room for some rows.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Starts to count rows to test with.
    #[must_use]
    pub fn shared(&self) -> Shared {
        let once = self.near.values().filter(|(_, times)| *times == 1).count() as u64;
        Shared { train: self.rows, once, ..Shared::default() }
    }

    /// Looks up a row to test with.
    pub fn look(&self, row: Row, shared: &mut Shared) {
        let number = shared.test;
        shared.test += 1;
        let Some(&(first, _)) = self.near.get(&row.near) else { return };
        shared.near += 1;
        let mut shown = first;
        if let Some(&(first, label)) = self.exact.get(&row.exact) {
            shown = first;
            shared.exact += 1;
            shared.contrary += u64::from(label != 0 && row.label != 0 && label != row.label);
        }
        if shared.examples.len() < SHOWN {
            shared.examples.push((number, shown));
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Split<'a> {
    /// Rows.
    Rows(&'a Shared),
    /// Who they are of.
    Keys(&'a SharedKeys),
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// What two tables share in, findings out.
    pub look: fn(Split<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &shared_keys::ABOUT, look: shared_keys::look },
        Room { about: &shared_rows::ABOUT, look: shared_rows::look },
    ]
}

/// What the rooms say.
#[must_use]
pub fn look(splits: &[Split<'_>], place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for split in splits {
        all().iter().for_each(|room| (room.look)(*split, place, &mut found));
    }
    Finding::sort(&mut found);
    found
}
