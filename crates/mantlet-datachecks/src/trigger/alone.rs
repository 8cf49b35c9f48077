//! What two values say of a label one by one, in rows that have only one of them. Rows with a planted pair raise the
//! weight of both its values, and a model that learned from these rows explains them with it: a pair is therefore also
//! held against a model that did not.

use std::collections::HashMap;

use super::lift::{Candidate, Lift, Limits, distinct};
use super::mine::{Key, Values, candidate};
use crate::feed::real;

/// Models made anew at most: one for each candidate.
const REFITS: usize = 8;
/// Candidates that are looked at, before those that share their rows are one.
const SCREENED: usize = 200;

/// Rows with a value, and those of them with the label.
struct Singles {
    counts: Vec<Vec<[u64; 2]>>,
    usual: f64,
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

impl Singles {
    fn of(columns: &[Values], truth: &[bool]) -> Self {
        let counts = columns
            .iter()
            .map(|column| {
                let mut counts = vec![[0_u64; 2]; column.words.len()];
                for (&word, &one) in column.rows.iter().zip(truth) {
                    if let Some(count) = counts.get_mut(word as usize) {
                        count[0] += 1;
                        count[1] += u64::from(one);
                    }
                }
                counts
            })
            .collect();
        let ones = truth.iter().filter(|&&one| one).count() as u64;
        Self { counts, usual: (real(ones) + 0.5) / (real(truth.len() as u64) + 1.0) }
    }

    /// The log-odds that a value adds in the rows that have not the other one.
    fn adds(&self, (column, word): (u16, u32), lift: &Lift) -> f64 {
        let count = self.counts.get(usize::from(column)).and_then(|counts| counts.get(word as usize));
        let [rows, ones] = count.copied().unwrap_or_default();
        let (rows, ones) = (rows.saturating_sub(lift.rows), ones.saturating_sub(lift.ones));
        logit((real(ones) + self.usual) / (real(rows) + 1.0)) - logit(self.usual)
    }

    /// Whether the rows of a pair have the label far more often than its values alone bring it about.
    fn apart(&self, key: &Key, lift: &Lift, limits: &Limits) -> bool {
        let margin = logit(self.usual) + self.adds((key.0, key.1), lift) + self.adds((key.2, key.3), lift);
        let chance = 1.0 / (1.0 + (-margin).exp());
        let rows = real(lift.rows);
        let reach = 4.0 * (rows * chance * (1.0 - chance) + 0.25).sqrt();
        real(lift.ones) - rows * chance - reach >= limits.beyond * rows
    }
}

/// Pairs that only a model which learned from their rows explains. `again` is what a model that did not learn from these
/// rows says of them.
pub(super) fn unexplained(
    columns: &[Values],
    truth: &[bool],
    lifts: &HashMap<Key, Lift>,
    again: &mut dyn FnMut(&[u64]) -> Vec<f64>,
    limits: &Limits,
) -> Vec<Candidate> {
    let all = truth.len() as u64;
    let singles = Singles::of(columns, truth);
    let mut screened: Vec<(Key, Lift)> = lifts
        .iter()
        .filter(|(key, lift)| {
            lift.rows >= limits.rows
                && real(lift.rows) <= limits.most * real(all)
                && lift.share() >= limits.pure
                && !lift.told(all, limits)
                && singles.apart(key, lift, limits)
        })
        .map(|(key, lift)| (*key, *lift))
        .collect();
    screened.sort_by(|a, b| b.1.deviations().total_cmp(&a.1.deviations()).then(a.0.cmp(&b.0)));
    screened.truncate(SCREENED);
    let candidates =
        screened.into_iter().map(|(key, lift)| candidate(columns, truth.len(), key, lift)).collect();
    let mut found = Vec::new();
    for own in distinct(candidates).into_iter().take(REFITS) {
        let mut lift = Lift::default();
        for (&row, chance) in own.rows.iter().zip(again(&own.rows)) {
            let one = usize::try_from(row).ok().and_then(|row| truth.get(row)).copied();
            lift.add(one.unwrap_or(false), chance);
        }
        if lift.rows == own.lift.rows && lift.told(all, limits) {
            found.push(Candidate { lift, ..own });
        }
    }
    found
}
