//! A set of labelled pictures as files: what is broken, unlike the others, or there more than once.

mod broken;
mod copied;
mod copies;
mod odd_shape;
#[cfg(test)]
mod tests;
mod two_labels;

use mantlet_vocab::{About, Finding, Place};

use crate::feed::real;

pub use copied::{Copies, Group};

/// What pictures have in common: pixels across and down, and channels.
pub type Shape = (usize, usize, usize);

/// A shape with the numbers and labels of its pictures.
pub type Shaped = (Shape, Vec<(u64, u16)>);

/// A finding with the numbers of its pictures.
pub type Told = (Finding, Vec<u64>);

/// Shapes told apart at most.
const SHAPES: usize = 4_096;

/// A set of pictures.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    /// The labels' words.
    pub labels: Vec<String>,
    /// All pictures, those that could not be decoded among them.
    pub pictures: u64,
    /// The numbers of those that could not be decoded.
    pub broken: Vec<u64>,
    /// Shapes, each with the numbers and labels of its pictures, but for the most frequent one, which has a count alone.
    pub odd: Vec<Shaped>,
    /// The most frequent shape.
    pub usual: Option<(Shape, u64)>,
    /// Pictures of each label.
    pub counts: Vec<u64>,
    /// Pictures that are there more than once, the largest group first.
    pub groups: Vec<Group>,
}

/// Counts shapes, picture after picture.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    seen: Vec<Shaped>,
}

impl Shapes {
    /// Takes a picture; more than 4,096 shapes are one.
    pub fn take(&mut self, shape: Shape, row: u64, label: u16) {
        let known = self.seen.iter().position(|(own, _)| *own == shape);
        let at = match known {
            Some(at) => at,
            None if self.seen.len() < SHAPES => {
                self.seen.push((shape, Vec::new()));
                self.seen.len() - 1
            }
            None => SHAPES - 1,
        };
        self.seen[at].1.push((row, label));
    }

    /// The most frequent shape with its count, and the others.
    #[must_use]
    pub fn parted(mut self) -> (Option<(Shape, u64)>, Vec<Shaped>) {
        self.seen.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
        if self.seen.is_empty() {
            return (None, Vec::new());
        }
        let (shape, rows) = self.seen.remove(0);
        (Some((shape, rows.len() as u64)), self.seen)
    }
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A set in, findings with their pictures out.
    pub look: fn(&Gallery, &Place, &mut Vec<Told>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &broken::ABOUT, look: broken::look },
        Room { about: &copies::ABOUT, look: copies::look },
        Room { about: &odd_shape::ABOUT, look: odd_shape::look },
        Room { about: &two_labels::ABOUT, look: two_labels::look },
    ]
}

/// What the rooms say, each finding with the numbers of its pictures.
#[must_use]
pub fn look(gallery: &Gallery, place: &Place) -> Vec<Told> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(gallery, place, &mut found);
    }
    found
}

impl Gallery {
    fn word(&self, label: u16) -> String {
        crate::datacheck::plain(self.labels.get(usize::from(label)).map_or("", String::as_str))
    }

    fn share(&self, rows: usize) -> f64 {
        real(rows as u64) / real(self.pictures.max(1))
    }
}

/// Numbers of pictures for a trace, from 1, up to twenty.
fn numbers(rows: &[u64]) -> String {
    let own: Vec<String> = rows.iter().take(20).map(|row| (row + 1).to_string()).collect();
    let more = if rows.len() > own.len() { ", …" } else { "" };
    format!("pictures {}{more}", own.join(", "))
}
