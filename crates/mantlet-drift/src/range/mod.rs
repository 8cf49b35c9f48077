//! Safe ranges: shares of a decision, means of a score and rates of a segment that people have declared, held against
//! what was decided. Nothing here is learned; what nobody declared is not judged.

mod crossed;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};
use serde::{Deserialize, Serialize};

use crate::drift::plain;
use crate::statistic::{binomial_tail, normal_tails, real};

/// Parts of a unit by which numbers are added up, so that sums do not depend on the order of the rows.
const UNIT: f64 = 1_048_576.0;
/// Numbers beyond are counted as this.
const LARGEST: f64 = 1e9;

/// A range that people have declared safe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// What it is called.
    pub name: String,
    /// The column that is held.
    pub column: String,
    /// The word or number whose share of the rows is held; without it, the mean of the column is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// A column each of whose words is held by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The least that is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The most that is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// Rows below which nothing is said.
    #[serde(default = "hundred")]
    pub rows: u64,
}

const fn hundred() -> u64 {
    100
}

impl Range {
    /// What is wrong with it; nothing when it can be held.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let name = &self.name;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Some("a range needs a name without control characters".into());
        }
        let bounds = [self.least, self.most];
        if bounds == [None, None] {
            return Some(format!("range `{name}` has neither `least` nor `most`"));
        }
        if bounds.iter().flatten().any(|bound| !bound.is_finite()) {
            return Some(format!("range `{name}` has a bound that is no number"));
        }
        if let (Some(least), Some(most)) = (self.least, self.most)
            && least >= most
        {
            return Some(format!("range `{name}` is empty: `least` is {least}, `most` {most}"));
        }
        if self.word.is_some() && bounds.iter().flatten().any(|bound| !(0.0..=1.0).contains(bound)) {
            return Some(format!("range `{name}` holds a share, whose bounds lie between 0 and 1"));
        }
        (self.rows == 0).then(|| format!("range `{name}` is held from 1 row on, not from 0"))
    }

    /// What is held, in words.
    #[must_use]
    pub fn what(&self) -> String {
        match &self.word {
            Some(word) => format!("the share of {}={}", plain(&self.column), plain(word)),
            None => format!("the mean of {}", plain(&self.column)),
        }
    }

    /// A number as it is said of this range.
    fn said(&self, value: f64) -> String {
        if self.word.is_some() { crate::drift::percent(value) } else { format!("{value:.4}") }
    }

    /// The bounds in words.
    fn bounds(&self) -> String {
        match (self.least, self.most) {
            (Some(least), Some(most)) => format!("between {} and {}", self.said(least), self.said(most)),
            (Some(least), None) => format!("at least {}", self.said(least)),
            (None, Some(most)) => format!("at most {}", self.said(most)),
            (None, None) => "anything".into(),
        }
    }
}

/// What rows came to; sums of whole numbers, the same in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Rows with a value.
    pub rows: u64,
    /// Those with the word.
    pub hits: u64,
    sum: i128,
    squares: i128,
}

impl Sums {
    /// A row of which is known whether it has the word.
    pub const fn hit(&mut self, has: bool) {
        self.rows = self.rows.saturating_add(1);
        if has {
            self.hits = self.hits.saturating_add(1);
        }
    }

    /// A row with a number; missing ones are none.
    #[expect(clippy::cast_possible_truncation, reason = "bounded, and whole")]
    pub fn number(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        let whole = (value.clamp(-LARGEST, LARGEST) * UNIT).round() as i128;
        self.rows = self.rows.saturating_add(1);
        self.sum = self.sum.saturating_add(whole);
        self.squares = self.squares.saturating_add(whole.saturating_mul(whole));
    }

    /// Takes in what other rows came to.
    pub const fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.hits = self.hits.saturating_add(other.hits);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
    }

    #[expect(clippy::cast_precision_loss, reason = "the error is far below what is said")]
    fn mean(&self) -> f64 {
        self.sum as f64 / UNIT / real(self.rows.max(1))
    }

    #[expect(clippy::cast_precision_loss, reason = "the error is far below what is said")]
    fn variance(&self) -> f64 {
        let mean = self.mean();
        (self.squares as f64 / UNIT / UNIT / real(self.rows.max(1)) - mean * mean).max(0.0)
    }

    /// What is held against the bounds.
    fn value(&self, range: &Range) -> f64 {
        if range.word.is_some() { real(self.hits) / real(self.rows.max(1)) } else { self.mean() }
    }

    /// The chance of a value this far beyond a bound, when the truth is the bound.
    fn chance(&self, range: &Range, bound: f64, below: bool) -> f64 {
        if range.word.is_some() {
            let (hits, bound) = if below { (self.rows - self.hits, 1.0 - bound) } else { (self.hits, bound) };
            return binomial_tail(hits, self.rows, bound);
        }
        let spread = (self.variance() / real(self.rows.max(1))).sqrt().max(1.0 / UNIT);
        normal_tails((self.mean() - bound) / spread) / 2.0
    }
}

/// How a range stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Within its bounds.
    Within,
    /// Beyond one, and chance does not explain it.
    Crossed,
    /// Beyond one, and so few rows that chance may explain it.
    Undecided,
    /// Fewer rows than are judged.
    Few,
}

/// A range held against rows: all of them, or those with one word of its segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Held<'a> {
    /// The range.
    pub range: &'a Range,
    /// The word of the segment.
    pub segment: Option<String>,
    /// Its rows.
    pub sums: Sums,
    /// The share or the mean.
    pub value: f64,
    /// The bound that it lies beyond.
    pub bound: Option<f64>,
    /// The chance of that, adjusted for all that was held.
    pub chance: f64,
    /// How it stands.
    pub stands: Stands,
}

impl Held<'_> {
    /// Whose rows they are, in words.
    #[must_use]
    pub fn whose(&self) -> String {
        match (&self.range.segment, &self.segment) {
            (Some(column), Some(word)) => format!("rows with {}={}", plain(column), plain(word)),
            _ => "all rows".into(),
        }
    }

    /// What is not decided, in words; nothing where something is.
    #[must_use]
    pub fn gap(&self) -> Option<String> {
        let (name, whose, rows) = (plain(&self.range.name), self.whose(), self.sums.rows);
        match self.stands {
            Stands::Within | Stands::Crossed => None,
            Stands::Few => Some(format!(
                "range `{name}` is not held against {whose}: {rows} of {} rows",
                self.range.rows
            )),
            Stands::Undecided => Some(format!(
                "range `{name}`: {} among {whose} is {}, outside of {}, which {rows} rows may be by chance",
                self.range.what(),
                self.range.said(self.value),
                self.range.bounds()
            )),
        }
    }
}

/// Holds ranges against what rows came to. `alpha` is the chance of any false alarm over all of them.
#[must_use]
pub fn hold<'a>(
    counted: impl IntoIterator<Item = (&'a Range, Option<String>, Sums)>,
    alpha: f64,
) -> Vec<Held<'a>> {
    let mut all: Vec<Held<'a>> = counted
        .into_iter()
        .map(|(range, segment, sums)| {
            let value = sums.value(range);
            let below = range.least.filter(|least| value < *least).map(|least| (least, true));
            let beyond = below.or_else(|| range.most.filter(|most| value > *most).map(|most| (most, false)));
            let few = sums.rows < range.rows;
            let chance = beyond.map_or(1.0, |(bound, below)| sums.chance(range, bound, below));
            let stands = match beyond {
                _ if few => Stands::Few,
                None => Stands::Within,
                Some(_) => Stands::Undecided,
            };
            Held { range, segment, sums, value, bound: beyond.map(|(bound, _)| bound), chance, stands }
        })
        .collect();
    let tests = real(all.iter().filter(|held| held.stands != Stands::Few).count().max(1) as u64);
    for held in &mut all {
        held.chance = (held.chance * tests).min(1.0);
        if held.stands == Stands::Undecided && held.chance <= alpha {
            held.stands = Stands::Crossed;
        }
    }
    all
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Ranges as they stand and the command that shows the rows in, findings out.
    pub look: fn(&[Held<'_>], &str, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[Room { about: &crossed::ABOUT, look: crossed::look }]
}

/// Every finding of every room.
#[must_use]
pub fn look(held: &[Held<'_>], command: &str, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(held, command, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}
