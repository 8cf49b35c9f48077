//! What a column says of the label in one place and not in another: a relation of the feed, not of the world.

mod spurious;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

use crate::feed::real;

/// Rows of a place at least.
const FEWEST: u64 = 200;
/// How strongly a column goes with the label where it does (Cramér's V, from 0 to 1).
const STRONG: f64 = 0.35;
/// And at most where it does not.
const WEAK: f64 = 0.1;
/// The share of rows in places where it does not, at least.
const ELSEWHERE: f64 = 0.2;
/// The share of rows in places where it does, at least.
const THERE: f64 = 0.02;
/// The share of rows in places that are clearly one or the other, at least.
const CLEAR: f64 = 0.8;
/// Two relations point the other way when they agree by less than this (a cosine).
const AGAINST: f64 = -0.3;

/// A feed, batch or table, and how often each level of a column stands beside each label in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Somewhere {
    /// Its name: `bank-3`.
    pub name: String,
    /// By level, by label.
    pub counts: Vec<Vec<u64>>,
}

/// A relation that does not hold everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Uneven {
    /// The column.
    pub column: String,
    /// What divides the rows: `feed`.
    pub by: String,
    /// Where the column goes with the label, how strongly, strongest first.
    pub there: Vec<(String, f64)>,
    /// Rows there.
    pub rows: u64,
    /// All rows.
    pub of: u64,
    /// How strongly it does in all other places together.
    pub elsewhere: f64,
    /// Whether it goes with the label elsewhere too, and the other way round.
    pub reversed: bool,
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A relation in, findings out.
    pub look: fn(&Uneven, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[Room { about: &spurious::ABOUT, look: spurious::look }]
}

/// Every finding of every room, in report order.
#[must_use]
pub fn look(relations: &[Uneven], place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for relation in relations {
        all().iter().for_each(|room| (room.look)(relation, place, &mut found));
    }
    Finding::sort(&mut found);
    found
}

/// Whether a column goes with the label in some places and not in others.
#[must_use]
pub fn uneven(column: &str, by: &str, places: &[Somewhere]) -> Option<Uneven> {
    let rows = |place: &Somewhere| place.counts.iter().flatten().sum::<u64>();
    let of: u64 = places.iter().map(rows).sum();
    let large: Vec<&Somewhere> = places.iter().filter(|place| rows(place) >= FEWEST).collect();
    if large.len() < 2 {
        return None;
    }
    let sum = |of: &[&Somewhere]| {
        let mut sum: Vec<Vec<u64>> = Vec::new();
        for place in of {
            sum.resize(sum.len().max(place.counts.len()), Vec::new());
            for (sum, own) in sum.iter_mut().zip(&place.counts) {
                sum.resize(sum.len().max(own.len()), 0);
                sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
        sum
    };
    let share =
        |of_them: &[&Somewhere]| real(of_them.iter().map(|place| rows(place)).sum::<u64>()) / real(of.max(1));
    let strengths: Vec<f64> = large.iter().map(|place| strength(&place.counts)).collect();
    let pick = |is: &dyn Fn(f64) -> bool| -> Vec<&Somewhere> {
        large.iter().zip(&strengths).filter(|(_, own)| is(**own)).map(|(place, _)| *place).collect()
    };
    let strong = pick(&|own| own >= STRONG);
    let weak = pick(&|own| own <= WEAK);
    let mut there: Vec<(String, f64)> = large
        .iter()
        .zip(&strengths)
        .filter(|(_, own)| **own >= STRONG)
        .map(|(place, own)| (place.name.clone(), *own))
        .collect();
    there.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let told = |there: Vec<(String, f64)>, own: &[&Somewhere], elsewhere: f64, reversed: bool| Uneven {
        column: column.to_owned(),
        by: by.to_owned(),
        there,
        rows: own.iter().map(|place| rows(place)).sum(),
        of,
        elsewhere,
        reversed,
    };
    if share(&strong) >= THERE && share(&weak) >= ELSEWHERE && share(&strong) + share(&weak) >= CLEAR {
        let elsewhere = strength(&sum(&weak));
        // Places that are weak one by one may still say the same together.
        if elsewhere <= WEAK {
            return Some(told(there, &strong, elsewhere, false));
        }
    }
    // Strong everywhere, and in one place the other way round.
    if strong.len() >= 3 {
        for (at, place) in strong.iter().enumerate() {
            let others: Vec<&Somewhere> = strong
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, other)| *other)
                .collect();
            let rest = sum(&others);
            if agreement(&place.counts, &rest) <= AGAINST {
                let own = vec![(place.name.clone(), strength(&place.counts))];
                return Some(told(own, &[*place], strength(&rest), true));
            }
        }
    }
    None
}

/// What is beside what: rows, rows by level, rows by label.
fn margins(counts: &[Vec<u64>]) -> (f64, Vec<f64>, Vec<f64>) {
    let labels = counts.iter().map(Vec::len).max().unwrap_or(0);
    let by_level: Vec<f64> = counts.iter().map(|row| real(row.iter().sum())).collect();
    let by_label: Vec<f64> = (0..labels)
        .map(|label| counts.iter().map(|row| real(row.get(label).copied().unwrap_or(0))).sum())
        .collect();
    (by_level.iter().sum(), by_level, by_label)
}

/// Cramér's V, without what chance gives (Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", 2013).
#[must_use]
pub fn strength(counts: &[Vec<u64>]) -> f64 {
    let (all, by_level, by_label) = margins(counts);
    let levels = by_level.iter().filter(|&&rows| rows > 0.0).count();
    let labels = by_label.iter().filter(|&&rows| rows > 0.0).count();
    if levels < 2 || labels < 2 || all < 2.0 {
        return 0.0;
    }
    let mut chi = 0.0;
    for (row, level) in counts.iter().zip(&by_level) {
        for (label, of_label) in by_label.iter().enumerate() {
            let expected = level * of_label / all;
            if expected > 0.0 {
                chi += (real(row.get(label).copied().unwrap_or(0)) - expected).powi(2) / expected;
            }
        }
    }
    let (levels, labels) = (real(levels as u64), real(labels as u64));
    let phi = (chi / all - (levels - 1.0) * (labels - 1.0) / (all - 1.0)).max(0.0);
    let small = |many: f64| many - (many - 1.0).powi(2) / (all - 1.0);
    (phi / (small(levels).min(small(labels)) - 1.0).max(1e-9)).sqrt().min(1.0)
}

/// Whether two tables of counts go the same way: the cosine of what each says beyond its margins.
fn agreement(a: &[Vec<u64>], b: &[Vec<u64>]) -> f64 {
    let beyond = |counts: &[Vec<u64>]| -> Vec<Vec<f64>> {
        let (all, by_level, by_label) = margins(counts);
        let row = |(row, level): (&Vec<u64>, &f64)| {
            let cell = |(label, of_label): (usize, &f64)| {
                let expected = level * of_label / all.max(1.0);
                (real(row.get(label).copied().unwrap_or(0)) - expected) / all.max(1.0)
            };
            by_label.iter().enumerate().map(cell).collect()
        };
        counts.iter().zip(&by_level).map(row).collect()
    };
    let (a, b) = (beyond(a), beyond(b));
    let (mut along, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        along += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    if of_a > 0.0 && of_b > 0.0 { along / (of_a * of_b).sqrt() } else { 0.0 }
}
