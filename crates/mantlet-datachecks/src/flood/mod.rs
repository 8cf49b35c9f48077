//! Floods: many nearly equal texts or rows, and whether they come from one place.

mod boilerplate;
mod count;
mod near_copies;
mod sketch;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

use crate::feed::{binomial_tail, real};

pub use count::{From, Group, Groups, KeyCounts};
pub use sketch::{BANDS, Tokens, alike};

/// What a table's rows come from, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rows by feed, with its word.
    pub feeds: Vec<(String, u64)>,
    /// Rows by batch, with its name, in order of time.
    pub batches: Vec<(String, u64)>,
    /// The labels' words.
    pub labels: Vec<String>,
    /// All rows.
    pub rows: u64,
}

/// Rows from which on a group is told, in a table of so many.
#[must_use]
pub fn fewest(rows: u64) -> u64 {
    (rows / 50_000).clamp(20, 200)
}

/// Rows from which on a shared key is worth following.
#[must_use]
pub fn fewest_of_key(rows: u64) -> u8 {
    u8::try_from(fewest(rows) / 4).unwrap_or(50)
}

/// A large group of nearly equal rows.
#[derive(Debug, Clone)]
pub struct Flood<'a> {
    /// The group.
    pub group: &'a Group,
    /// What all rows are.
    pub totals: &'a Totals,
    /// Its first row, in words.
    pub example: String,
    /// What has copies: `texts` or `rows`.
    pub what: &'static str,
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A group in, findings out.
    pub look: fn(&Flood<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &boilerplate::ABOUT, look: boilerplate::look },
        Room { about: &near_copies::ABOUT, look: near_copies::look },
    ]
}

/// What the rooms say of a group; exactly one speaks.
#[must_use]
pub fn look(flood: &Flood<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(flood, place, &mut found);
    }
    found
}

/// Where most of a group comes from.
#[derive(Debug, Clone, PartialEq)]
struct Concentrated {
    /// `feed F5` or `batch 7`.
    what: &'static str,
    word: String,
    rows: u64,
}

/// That much of a group in one place, at least that many times the place's share of all rows, is concentrated.
const MOST: f64 = 0.6;
const TIMES: f64 = 1.5;

impl Flood<'_> {
    /// The feed, or else the batch, that sent most of the group when its size alone does not explain it.
    fn concentrated(&self) -> Option<Concentrated> {
        let sum = |of: fn(&(u32, u32)) -> u32| {
            let mut sums = std::collections::BTreeMap::new();
            self.group.rows.iter().for_each(|(at, count)| *sums.entry(of(at)).or_insert(0_u64) += count);
            sums.into_iter().max_by_key(|&(at, count)| (count, std::cmp::Reverse(at)))
        };
        let beyond = |(at, rows): (u32, u64), totals: &[(String, u64)], what| {
            let (word, of) = totals.get(at as usize)?;
            let usual = real(*of) / real(self.totals.rows.max(1));
            let share = real(rows) / real(self.group.total.max(1));
            let many = binomial_tail(rows, self.group.total, usual) < 1e-6;
            (totals.len() > 1 && share >= MOST && share >= TIMES * usual && many).then(|| Concentrated {
                what,
                word: word.clone(),
                rows,
            })
        };
        let feed = sum(|at| at.0).and_then(|most| beyond(most, &self.totals.feeds, "feed"));
        feed.or_else(|| sum(|at| at.1).and_then(|most| beyond(most, &self.totals.batches, "batch")))
    }

    /// The first and last batch of the group.
    fn time(&self) -> Option<(&str, &str)> {
        let batches = self.group.rows.keys().map(|at| at.1 as usize);
        let name = |at: usize| self.totals.batches.get(at).map(|(name, _)| name.as_str());
        (self.totals.batches.len() > 1)
            .then(|| Some((name(batches.clone().min()?)?, name(batches.max()?)?)))?
    }

    /// The label most rows of the group have, and its share.
    fn label(&self) -> Option<(&str, f64)> {
        let (&label, &count) =
            self.group.labels.iter().max_by_key(|&(label, count)| (*count, std::cmp::Reverse(*label)))?;
        let word = self.totals.labels.get(label as usize)?;
        Some((word, real(count) / real(self.group.total.max(1))))
    }

    fn finding(&self, about: &'static About, place: &Place, mut message: String) -> Finding {
        if let Some((from, to)) = self.time() {
            message.push_str(&format!(
                "; batches {} to {}",
                crate::datacheck::plain(from),
                crate::datacheck::plain(to)
            ));
        }
        if let Some((label, share)) = self.label() {
            message.push_str(&format!(
                "; {:.0} % labelled `{}`",
                share * 100.0,
                crate::datacheck::plain(label)
            ));
        }
        about
            .finding(place.part(format!("row {}", self.group.row + 1)), message)
            .trace([format!("the first of them: {}", self.example.chars().take(200).collect::<String>())])
            .fact("rows", self.group.total)
            .fact("of", self.totals.rows)
    }
}
