//! Drift of what has no columns: texts, pictures, embeddings. A linear classifier learns on half of the rows to tell
//! what is new from the reference; how well it tells the other half apart is the size of the drift (the classifier
//! two-sample test: Lopez-Paz and Oquab 2017).

mod domain;
mod embeddings;
#[cfg(test)]
mod tests;
mod texts;

use mantlet_vocab::{About, Finding, Place};

use crate::statistic::{normal_tails, real};

pub use domain::Domain;

/// Rows of each side that are learned from and told apart, at least.
pub const FEWEST: usize = 100;

/// A word, and the share of texts that have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Before.
    pub before: f64,
    /// Now.
    pub now: f64,
}

/// What told the two apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Unlike {
    /// `texts`, `pictures` or `embeddings`.
    pub what: &'static str,
    /// The chance that a new row is scored above one of the reference: 0.5 when nothing tells them apart.
    pub auc: f64,
    /// The chance of so high a one without any drift.
    pub chance: f64,
    /// Rows of the reference and new ones that were told apart.
    pub rows: [u64; 2],
    /// Words whose share changed most, where there are words.
    pub words: Vec<Word>,
    /// New ones that are least like the reference.
    pub examples: Vec<String>,
}

/// When a drift is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnlikeSettings {
    /// The chance of a false alarm.
    pub alpha: f64,
    /// The least area under the curve that is told.
    pub least: f64,
}

impl Default for UnlikeSettings {
    fn default() -> Self {
        Self { alpha: 0.01, least: 0.55 }
    }
}

/// How well scores tell two sides apart: the area under the curve, and the chance of so large a one without any
/// difference (Mann and Whitney 1947). Ties count half.
#[must_use]
pub fn apart(before: &[f64], now: &[f64]) -> (f64, f64) {
    let (n, m) = (real(before.len() as u64), real(now.len() as u64));
    if before.is_empty() || now.is_empty() {
        return (0.5, 1.0);
    }
    let mut all: Vec<(f64, bool)> =
        before.iter().map(|&score| (score, false)).chain(now.iter().map(|&score| (score, true))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut sum, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let end = at + all[at..].iter().take_while(|(score, _)| score.total_cmp(&all[at].0).is_eq()).count();
        let new = real(all[at..end].iter().filter(|(_, new)| *new).count() as u64);
        let old = real((end - at) as u64) - new;
        sum += new * (below + old / 2.0);
        below += old;
        at = end;
    }
    let auc = sum / (n * m);
    let z = (auc - 0.5) / ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    // Worse than chance is no drift: the classifier learned the wrong way round by chance.
    let chance = if z > 0.0 { normal_tails(z) / 2.0 } else { 1.0 };
    (auc, chance)
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// What told two sides apart in, findings out.
    pub look: fn(&Unlike, UnlikeSettings, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &embeddings::ABOUT, look: embeddings::look },
        Room { about: &texts::ABOUT, look: texts::look },
    ]
}

/// Every finding of every room.
#[must_use]
pub fn look(unlike: &Unlike, settings: UnlikeSettings, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(unlike, settings, place, &mut found);
    }
    found
}

impl Unlike {
    fn is_told(&self, settings: UnlikeSettings) -> bool {
        self.chance <= settings.alpha && self.auc >= settings.least
    }

    fn finding(&self, about: &'static About, place: &Place) -> Finding {
        let mut message = format!(
            "a new one of the {} is told from one of the reference in {:.0} of 100 pairs, 50 would be chance",
            self.what,
            self.auc * 100.0
        );
        if !self.words.is_empty() {
            let word = |word: &Word| {
                format!("`{}` {:.1} % to {:.1} %", word.word, word.before * 100.0, word.now * 100.0)
            };
            message.push_str(&format!("; {}", self.words.iter().map(word).collect::<Vec<_>>().join(", ")));
        }
        let mut finding = about
            .finding(place.clone(), message)
            .trace(self.examples.iter().map(|example| format!("least like the reference: {example}")))
            .fact("auc", self.auc)
            .fact("chance", self.chance)
            .fact("rows", self.rows.to_vec());
        if !self.words.is_empty() {
            let of = |share: fn(&Word) -> f64| self.words.iter().map(share).collect::<Vec<_>>();
            let names: Vec<&str> = self.words.iter().map(|word| word.word.as_str()).collect();
            let (then, now) = (of(|word| word.before), of(|word| word.now));
            let picture = serde_json::json!({ "kind": "then-now", "names": names, "then": then, "now": now });
            finding = finding.fact("picture", picture);
        }
        finding
    }
}
