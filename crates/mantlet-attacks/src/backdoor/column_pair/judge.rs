//! Which pairs of columns are planted: what they do, what either does alone, and what the training rows taught.

use serde::{Deserialize, Serialize};

use super::{Pairs, Set, ratio};

/// A pair looked at closely, with what it sends to each class: shares of rows that are of another class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) set: Set,
    pub(super) class: usize,
    pub(super) share: f32,
    /// The better of either column alone.
    pub(super) alone: f32,
    /// The most any values of the same columns send to any other class.
    pub(super) elsewhere: f32,
    /// Share of other values of the pair that send as much to the class.
    pub(super) broad: f32,
    /// Training rows that hold both values, and how many of those have the label of the class; `None` without any.
    pub(super) held: Option<(usize, usize)>,
    /// Rows it was tried on.
    pub(super) n: usize,
}

impl Pairs {
    pub(super) fn judge(&mut self) {
        for (chosen, class) in &self.chosen {
            // Of all values of these columns those that do most, held by training rows before others.
            let cells = || {
                self.answered
                    .iter()
                    .filter(|(other, _)| (other.first, other.second) == (chosen.first, chosen.second))
            };
            let rank = |(set, shares): &&(Set, Vec<f32>)| {
                let least = if self.odd(set) { self.config.odd_transfer } else { self.config.transfer };
                let enough = shares[*class] >= least;
                let held = self.held(set, *class).map_or(0, |(_, own)| own);
                (enough && held >= self.config.holders, shares[*class])
            };
            let best = cells().max_by(|a, b| {
                let (a, b) = (rank(a), rank(b));
                a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            let Some((set, _)) = best else { continue };
            let of = |wanted: &Set| {
                self.answered.iter().find(|(set, _)| set == wanted).map_or(0.0, |(_, shares)| shares[*class])
            };
            let share = of(set);
            let single = |column: usize, value: usize| {
                of(&Set { first: column, first_value: value, second: column, second_value: value })
            };
            let same = || {
                self.answered.iter().filter(|(other, _)| {
                    (other.first, other.second) == (set.first, set.second) && *other != *set
                })
            };
            let elsewhere = same()
                .flat_map(|(_, shares)| shares.iter().enumerate().filter(|(other, _)| other != class))
                .map(|(_, share)| *share)
                .fold(0.0, f32::max);
            // Values next to the planted ones may share its effect; the grid counts all others alike.
            let total = same().count();
            let as_much = same().filter(|(_, shares)| shares[*class] >= 0.9 * share).count();
            self.judged.push(Judged {
                set: *set,
                class: *class,
                share,
                alone: single(set.first, set.first_value).max(single(set.second, set.second_value)),
                elsewhere,
                broad: ratio(as_much, total),
                held: self.held(set, *class),
                n: self.many.iter().filter(|row| self.labels[**row] != *class).count(),
            });
        }
    }

    /// Training rows that hold both values, and those of them with the label of the class.
    pub(super) fn held(&self, set: &Set, class: usize) -> Option<(usize, usize)> {
        if self.trained.is_empty() {
            return None;
        }
        let second = &self.holders[set.second][set.second_value];
        let both = || {
            self.holders[set.first][set.first_value].iter().filter(|row| second.binary_search(row).is_ok())
        };
        Some((both().count(), both().filter(|row| self.trained[**row] == class).count()))
    }

    /// Whether the pair behaves like a planted one.
    pub(super) fn behaves(&self, judged: &Judged) -> bool {
        judged.share >= self.config.transfer
            && judged.alone <= self.config.alone
            && judged.elsewhere <= self.config.alone
            && judged.broad <= self.config.narrow
    }

    /// Whether the training rows, where they are at hand, hold the pair together more often than chance would, with
    /// the label it commands.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    pub(super) fn taught(&self, judged: &Judged) -> Option<bool> {
        let (both, own) = judged.held?;
        let alone = |column: usize, value: usize| self.holders[column][value].len() as f32;
        let (first, second) = (
            alone(judged.set.first, judged.set.first_value),
            alone(judged.set.second, judged.set.second_value),
        );
        let by_chance = first * second / self.trained.len().max(1) as f32;
        Some(
            both >= self.config.holders
                && both as f32 >= 3.0 * by_chance
                && own as f32 >= self.config.pure * both as f32,
        )
    }

    /// Whether it decides, does so narrowly and together only, and was taught. What other values of the same columns do
    /// to other classes is honest influence beside it.
    pub(super) fn planted(&self, judged: &Judged) -> bool {
        let narrow = judged.alone <= self.config.alone && judged.broad <= self.config.narrow;
        let odd = self.odd(&judged.set);
        let enough = if odd { self.config.odd_transfer } else { self.config.transfer };
        judged.share >= enough && self.taught(judged) == Some(true) && (narrow || odd)
    }

    /// Whether both values repeat in training columns in which nearly every value is its own, and not since values are
    /// cut off there: that rows share both is then no accident, whatever the columns do honestly.
    pub(super) fn odd(&self, set: &Set) -> bool {
        [(set.first, set.first_value), (set.second, set.second_value)].into_iter().all(|(column, value)| {
            let own = self.values[column][value];
            let repeats = self.holders[column][value].len() > 2;
            repeats && self.scattered[column].is_some_and(|cuts| !cuts.hold(own))
        })
    }
}
