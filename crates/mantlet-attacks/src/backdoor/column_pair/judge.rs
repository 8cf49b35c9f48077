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
    /// cut off there: that rows share both is then no accident, whatever the columns do honestly. A value at the end of
    /// its column counts as well where hardly any row holds it without the other.
    pub(super) fn odd(&self, set: &Set) -> bool {
        let places = [(set.first, set.first_value), (set.second, set.second_value)];
        let repeats = |(column, value): (usize, usize)| {
            self.holders[column][value].len() > 2 && self.scattered[column].is_some()
        };
        let cut = |(column, value): (usize, usize)| {
            let own = self.values[column][value];
            self.scattered[column].is_none_or(|cuts| cuts.hold(own))
        };
        places.into_iter().all(repeats)
            && (!places.into_iter().any(cut) || (self.together(places[0], places[1]) && !self.alike(set)))
    }

    /// Whether nearly every training row that holds one of two values holds the other as well, and enough rows do.
    fn together(&self, a: (usize, usize), b: (usize, usize)) -> bool {
        let (a, b) = (&self.holders[a.0][a.1], &self.holders[b.0][b.1]);
        if a.len().min(b.len()) < self.config.holders || a.len().min(b.len()) * 5 < a.len().max(b.len()) * 4 {
            return false;
        }
        let both = a.iter().filter(|row| b.binary_search(row).is_ok()).count();
        both * 5 >= a.len().max(b.len()) * 4
    }

    /// Whether two columns follow each other in the training rows that do not hold both values: one that measures the
    /// same as another is cut off where the other is.
    fn alike(&self, set: &Set) -> bool {
        let Some(pool) = &self.pool else { return false };
        let (first, second) =
            (&self.holders[set.first][set.first_value], &self.holders[set.second][set.second_value]);
        let others = (0..pool.rows())
            .filter(|row| first.binary_search(row).is_err() && second.binary_search(row).is_err());
        let pairs: Vec<(f64, f64)> = others
            .map(|row| (f64::from(pool.row(row)[set.first]), f64::from(pool.row(row)[set.second])))
            .collect();
        correlation(&pairs).abs() > ALIKE
    }

    /// Columns of which training rows hold two values together, see [`Pairs::odd`].
    pub(super) fn partners(&self) -> Vec<usize> {
        let mut items: Vec<(usize, usize)> = (0..self.holders.len())
            .filter(|column| self.scattered[*column].is_some())
            .flat_map(|column| (0..self.holders[column].len()).map(move |value| (column, value)))
            .filter(|(column, value)| self.holders[*column][*value].len() >= self.config.holders)
            .collect();
        items.sort_by_key(|(column, value)| std::cmp::Reverse(self.holders[*column][*value].len()));
        items.truncate(ITEMS);
        let mut found = Vec::new();
        for (index, &one) in items.iter().enumerate() {
            for &other in &items[index + 1..] {
                if one.0 != other.0 && self.together(one, other) {
                    found.extend([one.0, other.0]);
                }
            }
        }
        found
    }
}

/// The correlation above which two columns measure the same.
const ALIKE: f64 = 0.8;
/// Repeated values of columns whose holders are compared with each other, those with most holders first.
const ITEMS: usize = 256;

/// Pearson's; 0 where either does not vary.
#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let count = pairs.len().max(1) as f64;
    let (a, b) = pairs.iter().fold((0.0, 0.0), |(a, b), pair| (a + pair.0 / count, b + pair.1 / count));
    let (mut own, mut other, mut both) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (x, y) = (pair.0 - a, pair.1 - b);
        own += x * x;
        other += y * y;
        both += x * y;
    }
    let spread = (own * other).sqrt();
    if spread > 0.0 { both / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::Tensor;

    use super::*;
    use crate::backdoor::column_pair::Config;
    use crate::{Constraints, Inquiry as _, Material, Random};

    /// Whether the pair of these values in the first two columns is odd, in 600 rows that `change` was made to.
    fn odd(values: (f32, f32), change: impl Fn(usize, &mut [f32])) -> bool {
        let mut random = Random::new(5);
        let mut data = Vec::new();
        for row in 0..600 {
            let mut own: Vec<f32> = (0..4).map(|_| (0.5 + 0.13 * random.normal()).clamp(0.0, 1.0)).collect();
            change(row, &mut own);
            data.extend(own);
        }
        let pool = Tensor::new([600, 4], data).unwrap();
        let rows = pool.select(&(0..40).collect::<Vec<_>>());
        let labels = (0..600).map(|row| usize::from(row % 20 == 0)).collect();
        let material = Material::new(rows, Vec::new(), 2)
            .constraints(Constraints::uniform(4, 0.0, 1.0))
            .pool(pool, labels);
        let pairs = Pairs::prepare(Config::default(), 1, material).unwrap();
        let place = |column: usize, value: f32| pairs.values[column].iter().position(|own| *own == value);
        let (Some(first_value), Some(second_value)) = (place(0, values.0), place(1, values.1)) else {
            panic!("{:?}", &pairs.values[..2]);
        };
        let set = Set { first: 0, first_value, second: 1, second_value };
        let columns = pairs.partners();
        let found = pairs.odd(&set);
        assert!(!found || columns.contains(&0) && columns.contains(&1), "{columns:?}");
        found
    }

    #[test]
    fn a_mark_at_the_end_of_its_column_is_odd_where_it_comes_with_another() {
        let planted = |row: usize| row.is_multiple_of(20);
        // The rest of the column ends where the mark stands, so that it looks cut off there.
        let end = |row: usize, own: &mut [f32]| {
            own[0] = if planted(row) { 0.2 } else { own[0].max(0.2 + 0.001 * (row % 37 + 1) as f32) };
        };
        let both = |row: usize, own: &mut [f32]| {
            end(row, own);
            own[1] = if planted(row) { 0.88 } else { own[1] };
        };
        assert!(odd((0.2, 0.88), both));
    }

    #[test]
    fn ends_that_honest_rows_share_are_not() {
        // Cut off in either column, by rows of their own.
        let apart = |_: usize, own: &mut [f32]| {
            own[0] = own[0].max(0.35);
            own[1] = own[1].min(0.65);
        };
        assert!(!odd((0.35, 0.65), apart));
        // The second column measures what the first does: cut off in the same rows.
        let twice = |_: usize, own: &mut [f32]| {
            own[0] = own[0].max(0.35);
            own[1] = 1.0 - own[0];
        };
        assert!(!odd((0.35, 1.0 - 0.35), twice));
    }
}
