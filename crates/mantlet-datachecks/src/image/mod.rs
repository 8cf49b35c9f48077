//! Marks planted into pictures: fixed, blended or moved, with a label that their content does not have, or with it.

mod common_mark;
mod content;
mod grid;
mod mark;
mod moved_mark;
#[cfg(test)]
mod tests;
mod whiten;
mod window;

use mantlet_vocab::{About, Finding, Place};

pub use content::{Content, Neighbours};
pub use grid::{Grid, Picture, Rows};
pub use mark::{FEWEST, Mark, marks};
pub use window::{Moved, Windows};

/// Deviations from which on a group of a label's pictures is looked at at all.
pub const APART: f64 = 5.0;

/// What was seen in pictures.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// One mark at one place.
    Mark(Mark),
    /// One that stands anywhere.
    Moved(Moved),
}

/// Something seen, with what puts it into words.
#[derive(Debug, Clone, Copy)]
pub struct Marked<'a> {
    /// What.
    pub seen: &'a Seen,
    /// The labels' words.
    pub labels: &'a [String],
    /// Names of its first pictures.
    pub names: &'a [String],
    /// All pictures.
    pub of: u64,
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Something seen in, findings out.
    pub look: fn(&Marked<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &common_mark::ABOUT, look: common_mark::look },
        Room { about: &moved_mark::ABOUT, look: moved_mark::look },
    ]
}

/// What the rooms say.
#[must_use]
pub fn look(marked: &Marked<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(marked, place, &mut found);
    }
    found
}

impl Seen {
    /// Its pictures, rising.
    #[must_use]
    pub fn rows(&self) -> &[u64] {
        match self {
            Self::Mark(mark) => &mark.rows,
            Self::Moved(moved) => &moved.rows,
        }
    }

    /// The place of its label.
    #[must_use]
    pub const fn label(&self) -> u16 {
        match self {
            Self::Mark(mark) => mark.label,
            Self::Moved(moved) => moved.label,
        }
    }
}

impl Marked<'_> {
    fn label(&self) -> String {
        let word = self.labels.get(usize::from(self.seen.label()));
        crate::datacheck::plain(word.map_or("", String::as_str))
    }

    fn finding(&self, about: &'static About, place: &Place, message: String) -> Finding {
        let rows = self.seen.rows();
        let names: Vec<String> =
            self.names.iter().take(20).map(|name| crate::datacheck::plain(name)).collect();
        let more = if rows.len() > names.len() { ", …" } else { "" };
        about
            .finding(place.part(format!("label {}", self.label())), message)
            .trace([format!("pictures {}{more}", names.join(", "))])
            .fact("pictures", rows.len())
            .fact("of", self.of)
            .fact("label", self.label())
    }
}
