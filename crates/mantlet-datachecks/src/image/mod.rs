//! Marks planted into pictures: fixed, blended or moved, with a label that their content does not have, or with it.

mod among;
mod common_mark;
mod content;
mod grid;
mod mark;
mod moved_mark;
mod several;
mod shared_mark;
#[cfg(test)]
mod tests;
mod whiten;
mod window;

use mantlet_vocab::{About, Finding, Place};

pub use content::{Content, Neighbours};
pub use grid::{Grid, Picture, Rows};
pub use mark::{FEWEST, Mark};
pub use several::Shared;
pub use window::{Moved, Windows};

/// Deviations from which on a group of a label's pictures is looked at at all.
pub const APART: f64 = 5.0;

/// What was seen in pictures.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// One mark at one place.
    Mark(Mark),
    /// One mark that goes with several labels.
    Shared(Shared),
    /// One that stands anywhere.
    Moved(Moved),
}

/// Marks at one place: those of each label, furthest apart first, then those that go with several labels. What is
/// natural and what is planted is for the rooms to say.
#[must_use]
pub fn marks(rows: &Rows, content: &Content<'_>, labels: usize, least_apart: f64) -> Vec<Seen> {
    let Some(white) = whiten::White::new(rows, labels) else { return Vec::new() };
    let own = mark::marks(rows, content, &white, labels, least_apart).into_iter().map(Seen::Mark);
    own.chain(among::shared(rows, content, &white, labels, least_apart).into_iter().map(Seen::Shared))
        .collect()
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
        Room { about: &shared_mark::ABOUT, look: shared_mark::look },
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
            Self::Shared(shared) => &shared.rows,
            Self::Moved(moved) => &moved.rows,
        }
    }

    /// The places of its labels, rising.
    #[must_use]
    pub fn labels(&self) -> &[u16] {
        match self {
            Self::Mark(mark) => std::slice::from_ref(&mark.label),
            Self::Shared(shared) => &shared.labels,
            Self::Moved(moved) => std::slice::from_ref(&moved.label),
        }
    }
}

impl Marked<'_> {
    /// The words of its labels.
    fn words(&self) -> Vec<String> {
        let word = |&label: &u16| self.labels.get(usize::from(label)).map_or("", String::as_str);
        self.seen.labels().iter().map(|label| crate::datacheck::plain(word(label))).collect()
    }

    /// Its one label, or all of them.
    fn label(&self) -> String {
        self.words().join(", ")
    }

    fn finding(&self, about: &'static About, place: &Place, message: String) -> Finding {
        let rows = self.seen.rows();
        let names: Vec<String> =
            self.names.iter().take(20).map(|name| crate::datacheck::plain(name)).collect();
        let more = if rows.len() > names.len() { ", …" } else { "" };
        let part = if self.seen.labels().len() == 1 { "label" } else { "labels" };
        about
            .finding(place.part(format!("{part} {}", self.label())), message)
            .trace([format!("pictures {}{more}", names.join(", "))])
            .fact("pictures", rows.len())
            .fact("of", self.of)
            .fact("label", self.label())
    }
}
