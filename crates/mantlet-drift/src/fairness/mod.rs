//! How a group is decided about beside all others, then and now: a bias that was planted, or learned, is a gap that
//! grew.

mod gap_grew;
mod gap_stands;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mantlet_vocab::{About, Finding, Place};
use serde::{Deserialize, Serialize};

use crate::statistic::{holm, normal_tails, real};

/// What is compared between a group and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// Positive decisions among all.
    Decided,
    /// Positives by their label that were decided negative.
    Missed,
    /// Negatives by their label that were decided positive.
    FalseAlarms,
}

impl Rate {
    /// The rates, in order.
    pub const ALL: [Self; 3] = [Self::Decided, Self::Missed, Self::FalseAlarms];

    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Decided => "positive decisions",
            Self::Missed => "missed positives",
            Self::FalseAlarms => "false alarms",
        }
    }
}

/// Counts of decisions, and of their labels where these have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Decisions {
    /// All, and positive ones.
    pub decided: (u64, u64),
    /// Positives by their label, and missed ones.
    pub positive: (u64, u64),
    /// Negatives by their label, and false alarms.
    pub negative: (u64, u64),
}

impl Decisions {
    /// Takes a decision.
    pub fn take(&mut self, said: bool, label: Option<bool>) {
        self.decided = (self.decided.0 + 1, self.decided.1 + u64::from(said));
        match label {
            Some(true) => self.positive = (self.positive.0 + 1, self.positive.1 + u64::from(!said)),
            Some(false) => self.negative = (self.negative.0 + 1, self.negative.1 + u64::from(said)),
            None => {}
        }
    }

    /// Adds the counts of other decisions.
    pub fn merge(&mut self, other: &Self) {
        let add = |(rows, hits): &mut (u64, u64), other: (u64, u64)| {
            (*rows, *hits) = (rows.saturating_add(other.0), hits.saturating_add(other.1));
        };
        add(&mut self.decided, other.decided);
        add(&mut self.positive, other.positive);
        add(&mut self.negative, other.negative);
    }

    const fn of(&self, rate: Rate) -> (u64, u64) {
        match rate {
            Rate::Decided => self.decided,
            Rate::Missed => self.positive,
            Rate::FalseAlarms => self.negative,
        }
    }
}

/// The counts of a table by group, and by stratum: rows that are alike in what may honestly decide.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouped {
    /// By column and word, and by stratum.
    pub groups: BTreeMap<(String, String), BTreeMap<String, Decisions>>,
    /// All rows by stratum.
    pub all: BTreeMap<String, Decisions>,
}

/// When a gap is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FairnessSettings {
    /// The chance of any false alarm over all groups and rates.
    pub alpha: f64,
    /// The least change of a gap that is told.
    pub least: f64,
    /// The least ratio of two shares that is not told as a standing gap: four fifths.
    pub ratio: f64,
}

impl Default for FairnessSettings {
    fn default() -> Self {
        Self { alpha: 0.01, least: 0.02, ratio: 0.8 }
    }
}

/// Rows that a group has in a stratum, on each side, at least.
const FEWEST: u64 = 30;

/// A group's gap in one rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// The column and word of the group.
    pub group: (String, String),
    /// The rate.
    pub rate: Rate,
    /// The share in the group and among all others, before.
    pub before: (f64, f64),
    /// The same, now.
    pub now: (f64, f64),
    /// Rows of the group now that the rate is taken of.
    pub rows: u64,
    /// The chance of so large a change of the gap, adjusted for all tests.
    pub changed: f64,
    /// The chance of so large a gap now, adjusted for all tests.
    pub standing: f64,
    /// What settings say.
    pub settings: FairnessSettings,
}

impl Gap {
    /// By how much the gap grew; negative when it shrank.
    #[must_use]
    pub fn grew(&self) -> f64 {
        let (before, now) = (self.before.0 - self.before.1, self.now.0 - self.now.1);
        // A gap that turned around has grown by the whole way.
        if before * now < 0.0 && now.abs() >= before.abs() {
            (now - before).abs()
        } else {
            now.abs() - before.abs()
        }
    }
}

/// Two shares and the variance of their difference, over the strata in which both sides have enough rows, weighted by
/// the group's rows now.
fn shares(
    own: &BTreeMap<String, Decisions>,
    all: &BTreeMap<String, Decisions>,
    weights: &BTreeMap<&String, f64>,
    rate: Rate,
) -> Option<((f64, f64), f64)> {
    let (mut shares, mut variance, mut total) = ((0.0, 0.0), 0.0, 0.0);
    for (stratum, weight) in weights {
        let ((rows, hits), (all_rows, all_hits)) = (own.get(*stratum)?.of(rate), all.get(*stratum)?.of(rate));
        let (others, other_hits) = (all_rows - rows, all_hits - hits);
        let share = |hits: u64, rows: u64| real(hits) / real(rows.max(1));
        let (one, other) = (share(hits, rows), share(other_hits, others));
        // Half a row more of each kind, so that a share of nothing is not known for sure.
        let scatter = |hits: u64, rows: u64| {
            let share = (real(hits) + 0.5) / (real(rows) + 1.0);
            share * (1.0 - share) / real(rows.max(1))
        };
        shares = (shares.0 + weight * one, shares.1 + weight * other);
        variance += weight * weight * (scatter(hits, rows) + scatter(other_hits, others));
        total += weight;
    }
    (total > 0.0).then(|| ((shares.0 / total, shares.1 / total), variance / (total * total)))
}

/// Every group's gaps, before and now, adjusted together.
#[must_use]
pub fn gaps(before: &Grouped, now: &Grouped, settings: FairnessSettings) -> Vec<Gap> {
    let mut found: Vec<(Gap, [f64; 2])> = Vec::new();
    let rows = |own: &BTreeMap<String, Decisions>| own.values().map(|own| own.decided.0).sum::<u64>();
    // Of two words each is all others of the other: the rarer one is told.
    let is_mirror = |group: &(String, String), own: &BTreeMap<String, Decisions>| {
        let mut others =
            now.groups.iter().filter(|((column, word), _)| *column == group.0 && *word != group.1);
        match (others.next(), others.next()) {
            (Some((other, decisions)), None) => (rows(decisions), &other.1) < (rows(own), &group.1),
            _ => false,
        }
    };
    for (group, own) in now.groups.iter().filter(|(group, own)| !is_mirror(group, own)) {
        let Some(old) = before.groups.get(group) else { continue };
        for rate in Rate::ALL {
            let enough =
                |own: &BTreeMap<String, Decisions>, all: &BTreeMap<String, Decisions>, stratum: &String| {
                    let rows = own.get(stratum).map_or(0, |own| own.of(rate).0);
                    let others = all.get(stratum).map_or(0, |all| all.of(rate).0).saturating_sub(rows);
                    rows >= FEWEST && others >= FEWEST
                };
            let weights: BTreeMap<&String, f64> = own
                .iter()
                .filter(|(stratum, _)| enough(own, &now.all, stratum) && enough(old, &before.all, stratum))
                .map(|(stratum, decisions)| (stratum, real(decisions.of(rate).0)))
                .collect();
            let then = shares(old, &before.all, &weights, rate);
            let after = shares(own, &now.all, &weights, rate);
            let (Some((then, then_variance)), Some((after, variance))) = (then, after) else { continue };
            let change = (after.0 - after.1) - (then.0 - then.1);
            let chances = [
                normal_tails(change / (variance + then_variance).sqrt().max(1e-12)),
                normal_tails((after.0 - after.1) / variance.sqrt().max(1e-12)),
            ];
            let rows = own.values().map(|decisions| decisions.of(rate).0).sum();
            let gap = Gap {
                group: group.clone(),
                rate,
                before: then,
                now: after,
                rows,
                changed: 1.0,
                standing: 1.0,
                settings,
            };
            found.push((gap, chances));
        }
    }
    for side in 0..2 {
        let adjusted = holm(&found.iter().map(|(_, chances)| chances[side]).collect::<Vec<_>>());
        for ((gap, _), chance) in found.iter_mut().zip(adjusted) {
            *(if side == 0 { &mut gap.changed } else { &mut gap.standing }) = chance;
        }
    }
    found.into_iter().map(|(gap, _)| gap).collect()
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Gaps in, findings out.
    pub look: fn(&[Gap], &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &gap_grew::ABOUT, look: gap_grew::look },
        Room { about: &gap_stands::ABOUT, look: gap_stands::look },
    ]
}

/// Every finding of every room.
#[must_use]
pub fn look(gaps: &[Gap], place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(gaps, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

/// A finding with the figures of a gap.
fn told(about: &'static About, gap: &Gap, place: &Place, message: String) -> Finding {
    let (column, word) = &gap.group;
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    about
        .finding(place.part(format!("{} {}, {}", plain(column), plain(word), gap.rate.word())), message)
        .fact("group", format!("{column}={word}"))
        .fact("rate", gap.rate.word())
        .fact("rows", gap.rows)
        .fact("before", vec![gap.before.0, gap.before.1])
        .fact("now", vec![gap.now.0, gap.now.1])
        .fact(
            "picture",
            serde_json::json!({
                "kind": "then-now",
                "names": [plain(word), "all others".to_owned()],
                "then": [gap.before.0, gap.before.1],
                "now": [gap.now.0, gap.now.1],
            }),
        )
}
