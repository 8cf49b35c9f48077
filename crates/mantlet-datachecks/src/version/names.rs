//! Words that went while others came in their place: the same things under other names.
//!
//! Two words are one when the new one stands in as many rows as the old one did and in the same company: what the other
//! columns say beside it. Where the other columns say nothing of the word, number alone is weak; a spelling that differs
//! in case, spaces or signs only is strong.

use std::collections::BTreeMap;

use crate::feed::real;

/// Rows with a word at least.
const FEWEST: u64 = 30;
/// Of what would be expected, at most this much of the old word may be left.
const REST: f64 = 0.02;
/// How far the number of rows may be from what is expected, as a factor.
const AS_MANY: f64 = 1.35;
/// Candidates on either side.
const MOST: usize = 64;
/// The greatest part of the company that may differ, beyond chance and beyond what changed everywhere.
const OTHER_COMPANY: f64 = 0.08;
/// Company that differs by less between words says nothing.
const SAYS_NOTHING: f64 = 0.04;

/// A word and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The word.
    pub word: String,
    /// Rows with it.
    pub rows: u64,
}

/// The words that went and those that came, as candidates: by rows, most first. `before` and `now` are the words of a
/// column with their rows; `rows` the rows of both versions.
#[must_use]
pub fn pairs(
    before: &BTreeMap<String, u64>,
    now: &BTreeMap<String, u64>,
    rows: [u64; 2],
) -> Option<(Vec<Named>, Vec<Named>)> {
    let ratio = real(rows[1]) / real(rows[0].max(1));
    let gone = |(word, &count): (&String, &u64)| {
        let expected = real(count) * ratio;
        let left = now.get(word).copied().unwrap_or(0);
        let is = count >= FEWEST && expected >= real(FEWEST) && real(left) <= REST * expected;
        is.then(|| Named { word: word.clone(), rows: count })
    };
    let came = |(word, &count): (&String, &u64)| {
        let before = before.get(word).copied().unwrap_or(0);
        let is = count >= FEWEST && real(before) * ratio <= REST * real(count);
        is.then(|| Named { word: word.clone(), rows: count })
    };
    let most = |mut words: Vec<Named>| {
        words.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.word.cmp(&b.word)));
        words.truncate(MOST);
        words
    };
    let gone = most(before.iter().filter_map(gone).collect());
    let came = most(now.iter().filter_map(came).collect());
    (!gone.is_empty() && !came.is_empty()).then_some((gone, came))
}

/// How often each level of each other column stands beside something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Company {
    /// Rows.
    pub rows: u64,
    /// By other column, by level.
    pub levels: Vec<Vec<u64>>,
}

impl Company {
    /// Company of nothing yet.
    #[must_use]
    pub fn new(columns: usize, levels: usize) -> Self {
        Self { rows: 0, levels: vec![vec![0; levels]; columns] }
    }

    /// The mean over the columns of the share of rows that stand elsewhere, beyond chance.
    fn apart(&self, other: &Self) -> f64 {
        let column = |(a, b): (&Vec<u64>, &Vec<u64>)| {
            let (of_a, of_b) = (real(self.rows.max(1)), real(other.rows.max(1)));
            let spread = 1.0 / of_a + 1.0 / of_b;
            let mut sum = 0.0;
            for (&a, &b) in a.iter().zip(b) {
                let pooled = real(a + b) / (of_a + of_b);
                let chance = (2.0 / std::f64::consts::PI * pooled * (1.0 - pooled) * spread).sqrt();
                sum += (real(a) / of_a - real(b) / of_b).abs() - chance;
            }
            (0.5 * sum).max(0.0)
        };
        // The column that differs most decides: words often differ in one thing only.
        self.levels.iter().zip(&other.levels).map(column).fold(0.0, f64::max)
    }
}

/// A word that got another name.
#[derive(Debug, Clone, PartialEq)]
pub struct Renamed {
    /// What it was called.
    pub was: Named,
    /// What it is called.
    pub is: Named,
    /// How far its company differs beyond chance and beyond what changed everywhere, from 0 to 1.
    pub company: f64,
    /// Whether the two are one word but for case, spaces and signs.
    pub alike: bool,
    /// Whether its company tells this word from others: number alone is weak.
    pub told: bool,
}

/// The words that were renamed: each old word with the new one that fits best, both ways. `old` and `new` are the
/// companies of the candidates, in their order; `all` those of all rows before and now.
#[must_use]
pub fn renamed(
    gone: &[Named],
    came: &[Named],
    old: &[Company],
    new: &[Company],
    all: [&Company; 2],
) -> Vec<Renamed> {
    let ratio = real(all[1].rows) / real(all[0].rows.max(1));
    let everywhere = all[0].apart(all[1]);
    // How well the pair fits; the less the better. A pair that cannot be one has none.
    let fit = |one: usize, other: usize| -> Option<(f64, bool)> {
        let expected = real(gone[one].rows) * ratio;
        let times = real(came[other].rows) / expected.max(1.0);
        let alike = plain(&gone[one].word) == plain(&came[other].word) && !plain(&gone[one].word).is_empty();
        let spread = 1.0 + 3.0 * (1.0 / expected.max(1.0) + 1.0 / real(came[other].rows.max(1))).sqrt();
        let many = AS_MANY.max(spread);
        if !(times < many && times > 1.0 / many) {
            return None;
        }
        let company = (old.get(one)?.apart(new.get(other)?) - everywhere).max(0.0);
        (alike || company <= OTHER_COMPANY).then_some((company, alike))
    };
    let score = |one: usize, other: usize| {
        fit(one, other).map(|(company, alike)| {
            let expected = real(gone[one].rows) * ratio;
            let number = (real(came[other].rows) / expected.max(1.0)).ln().abs();
            if alike { -1.0 } else { company + number }
        })
    };
    let mut taken = vec![false; came.len()];
    let mut found = Vec::new();
    for (one, was) in gone.iter().enumerate() {
        let best = (0..came.len())
            .filter(|&other| !taken[other])
            .filter_map(|other| Some((score(one, other)?, other)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some((own, other)) = best else { continue };
        // Another old word that fits this new one better has it.
        let rival = (0..gone.len()).filter(|&rival| rival != one).filter_map(|rival| score(rival, other));
        if rival.fold(f64::INFINITY, f64::min) < own {
            continue;
        }
        let Some((company, alike)) = fit(one, other) else { continue };
        taken[other] = true;
        // Whether the company of the old word is its own, and not that of all rows.
        let told = alike || old.get(one).is_some_and(|own| own.apart(all[0]) > SAYS_NOTHING);
        found.push(Renamed { was: was.clone(), is: came[other].clone(), company, alike, told });
    }
    found
}

/// A word without case, spaces and signs.
fn plain(word: &str) -> String {
    word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
