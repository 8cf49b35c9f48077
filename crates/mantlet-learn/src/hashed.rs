//! A linear model of several classes over hashed marks of a row, words of a text for example: logistic regression with a
//! penalty, one class against the others, by dual coordinate descent (Yu, Huang and Lin, "Dual coordinate descent
//! methods for logistic regression and maximum entropy models", Machine Learning 85, 2011). Marks count by how rare they
//! are (inverse document frequency), and every row is as long as any other, so that chances stay honest on rows that were
//! not learned from. No part is random: the same rows give the same weights.

use crate::LearnError;

/// Weights of all classes together at most.
const WEIGHTS: usize = 1 << 24;
/// Slots at most.
const SLOTS: usize = 1 << 18;
/// How much a row may pull at the weights.
const PULL: f32 = 16.0;
/// Rounds over all rows at most, and the change of a row's pull, as a share, below which no more is needed.
const ROUNDS: usize = 24;
const SETTLED: f32 = 0.01;
/// Steps of Newton's method for a row at most.
const STEPS: usize = 48;

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Hashed {
    classes: usize,
    slots: usize,
    base: Vec<f32>,
    /// What a mark counts for, by slot.
    rare: Vec<f32>,
    /// Slot after slot, each with a weight for every class; for two classes one weight, of the second.
    weights: Vec<f32>,
}

/// Spreads a number over all bits (splitmix64).
const fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a row is learned with: its marks and the length that makes all rows alike.
struct Row<'a> {
    marks: &'a [u32],
    scale: f32,
}

impl Hashed {
    /// Fits the classes `y` on rows of hashed marks, each mark once a row. Rows are learned from in an order that their
    /// numbers decide, so that rows sorted by class are no trouble.
    ///
    /// # Errors
    /// When there are no rows, as many classes as no weights are for, or a class that is none.
    pub fn fit(rows: &[&[u32]], y: &[usize], classes: usize) -> Result<Self, LearnError> {
        let fault = |reason: String| Err(LearnError::Data { reason });
        if rows.is_empty() || rows.len() != y.len() {
            return fault(format!("{} rows and {} labels", rows.len(), y.len()));
        }
        if !(2..=WEIGHTS / 64).contains(&classes) {
            return fault(format!("{classes} classes; 2 to {} can be told apart", WEIGHTS / 64));
        }
        if let Some(label) = y.iter().find(|&&label| label >= classes) {
            return fault(format!("label {label} is not below {classes} classes"));
        }
        let columns = if classes == 2 { 1 } else { classes };
        let slots = (WEIGHTS / columns).min(SLOTS);
        let mut own = Self {
            classes,
            slots,
            base: vec![0.0; columns],
            rare: vec![0.0; slots],
            weights: vec![0.0; slots * columns],
        };
        for mark in rows.iter().copied().flatten() {
            own.rare[*mark as usize % slots] += 1.0;
        }
        let all = rows.len() as f32 + 1.0;
        // A mark that was never seen says nothing, and makes no row longer.
        let seen = own.rare.iter_mut().filter(|rows| **rows > 0.0);
        seen.for_each(|rows| *rows = (all / (1.0 + *rows)).ln() + 1.0);
        let rows: Vec<Row<'_>> = rows.iter().map(|&marks| Row { marks, scale: own.scale(marks) }).collect();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| (mix(row as u64), row));
        for column in 0..columns {
            // Of two classes the second is told from the first.
            let class = if classes == 2 { 1 } else { column };
            let (weights, base) = own.column(&rows, &order, |row| y[row] == class);
            own.base[column] = base;
            for (slot, weight) in weights.into_iter().enumerate() {
                own.weights[slot * columns + column] = weight;
            }
        }
        Ok(own)
    }

    /// The weights that tell the rows of one class from all others.
    fn column(&self, rows: &[Row<'_>], order: &[usize], is_own: impl Fn(usize) -> bool) -> (Vec<f32>, f32) {
        let mut weights = vec![0.0_f32; self.slots];
        let mut base = 0.0_f32;
        // How far each row pulls, between 0 and its most, as odds: the dual variable.
        let mut pulls = vec![0.0_f32; rows.len()];
        for _ in 0..ROUNDS {
            let mut moved = 0.0_f32;
            for &at in order {
                let row = &rows[at];
                let side = if is_own(at) { 1.0 } else { -1.0 };
                let sum: f32 =
                    row.marks.iter().map(|&mark| weights[self.slot(mark)] * self.rare[self.slot(mark)]).sum();
                let margin = side * (sum * row.scale + base);
                // The row and the base each have length one.
                let length = if row.scale > 0.0 { 2.0 } else { 1.0 };
                let pull = solve(margin, pulls[at], length);
                let change = pull - pulls[at];
                moved = moved.max(change.abs() / PULL);
                if change.abs() < 1e-7 {
                    continue;
                }
                pulls[at] = pull;
                let step = side * change;
                base += step;
                let step = step * row.scale;
                for &mark in row.marks {
                    let slot = self.slot(mark);
                    weights[slot] += step * self.rare[slot];
                }
            }
            if moved < SETTLED {
                break;
            }
        }
        (weights, base)
    }

    const fn slot(&self, mark: u32) -> usize {
        mark as usize % self.slots
    }

    /// One over the length of a row, 0 for one without marks.
    fn scale(&self, marks: &[u32]) -> f32 {
        let squares: f32 = marks.iter().map(|&mark| self.rare[self.slot(mark)].powi(2)).sum();
        if squares > 0.0 { 1.0 / squares.sqrt() } else { 0.0 }
    }

    /// The chance of each class; `chances` holds one number a class.
    pub fn chances(&self, marks: &[u32], chances: &mut [f32]) {
        let columns = self.base.len();
        let scale = self.scale(marks);
        chances.fill(0.0);
        for &mark in marks {
            let slot = self.slot(mark);
            let own = &self.weights[slot * columns..(slot + 1) * columns];
            for (sum, weight) in chances.iter_mut().zip(own) {
                *sum += weight * self.rare[slot];
            }
        }
        for (sum, base) in chances.iter_mut().zip(&self.base) {
            *sum = logistic(*sum * scale + base);
        }
        if self.classes == 2 {
            if let [first, second] = chances {
                (*first, *second) = (1.0 - *first, *first);
            }
            return;
        }
        let sum = chances.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        chances.iter_mut().for_each(|value| *value /= sum);
    }
}

fn logistic(margin: f32) -> f32 {
    1.0 / (1.0 + (-margin).exp())
}

/// The pull `p` of a row at which `ln(p / (PULL - p)) + (p - before) * length + margin` is 0. In the odds of the pull
/// this grows with a slope of one or more, so that Newton's steps, held between bounds that close in, settle.
fn solve(margin: f32, before: f32, length: f32) -> f32 {
    let of = |odds: f32| PULL * logistic(odds);
    // The pull changes by PULL at most.
    let reach = PULL * length + 1.0;
    let (mut low, mut high) = (-margin - reach, -margin + reach);
    let share = (before / PULL).clamp(1e-6, 1.0 - 1e-6);
    let mut odds = if before > 0.0 { (share / (1.0 - share)).ln() } else { -margin };
    odds = odds.clamp(low, high);
    for _ in 0..STEPS {
        let pull = of(odds);
        let value = odds + (pull - before) * length + margin;
        if value > 0.0 {
            high = odds
        } else {
            low = odds
        }
        let slope = 1.0 + length * pull * (1.0 - pull / PULL);
        let next = odds - value / slope;
        let next = if next > low && next < high { next } else { f32::midpoint(low, high) };
        if (next - odds).abs() < 1e-4 {
            odds = next;
            break;
        }
        odds = next;
    }
    of(odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mark 7 stands in rows of class 0, mark 9 in rows of class 1, neither in class 2; all have noise of their own.
    fn rows() -> (Vec<Vec<u32>>, Vec<usize>) {
        (0..300_u32)
            .map(|row| {
                let class = row as usize / 100;
                let mut marks = vec![1_000 + row, 2_000 + row % 13];
                marks.extend([7, 9].get(class).copied());
                (marks, class)
            })
            .unzip()
    }

    #[test]
    fn what_goes_with_a_class_is_learned_and_new_rows_are_told_apart() {
        let (rows, y) = rows();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let model = Hashed::fit(&rows, &y, 3).unwrap();
        assert_eq!(model, Hashed::fit(&rows, &y, 3).unwrap());
        let mut chances = [0.0; 3];
        for (marks, class) in [(vec![7, 90_001], 0), (vec![9, 90_002], 1), (vec![2_003, 90_003], 2)] {
            model.chances(&marks, &mut chances);
            assert!(chances[class] > 0.6, "{marks:?}: {chances:?}");
            assert!((chances.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        // What has neither mark is like the rows that had none, whatever else it has.
        model.chances(&[123_456], &mut chances);
        assert!(chances[2] > chances[0].max(chances[1]), "{chances:?}");
    }

    #[test]
    fn chances_are_honest_where_nothing_can_be_learned() {
        // A mark that three of four rows of one class and one of four of the other have, and noise of each row's own.
        let (rows, y): (Vec<Vec<u32>>, Vec<usize>) = (0..4_000_u32)
            .map(|row| {
                let class = usize::from(mix(u64::from(row)).is_multiple_of(4));
                let marked = mix(u64::from(row) ^ 77).is_multiple_of(4) != (class == 1);
                (vec![if marked { 1 } else { 2 }, 10_000 + row % 50, 50_000 + row % 70], class)
            })
            .unzip();
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let model = Hashed::fit(&rows, &y, 2).unwrap();
        let mut chances = [0.0; 2];
        for (mark, chance) in [(1, 0.5), (2, 0.1)] {
            // Marks never seen change nothing.
            model.chances(&[mark, 10_001, 50_001, 200_001, 200_002], &mut chances);
            assert!((chances[1] - chance).abs() < 0.12, "{mark}: {chances:?}");
        }
    }

    #[test]
    fn a_rows_pull_solves_its_equation() {
        for (margin, before) in [(0.0, 0.0), (-9.0, 0.0), (30.0, 16.0), (-30.0, 0.0), (1.5, 7.0), (0.2, 15.9)]
        {
            let pull = f64::from(solve(margin, before, 2.0));
            let value =
                (pull / (f64::from(PULL) - pull)).ln() + (pull - f64::from(before)) * 2.0 + f64::from(margin);
            assert!(
                value.abs() < 0.05 || !(0.01..=15.99).contains(&pull),
                "{margin} {before}: {pull} {value}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let row: &[u32] = &[1];
        assert!(Hashed::fit(&[], &[], 2).is_err());
        assert!(Hashed::fit(&[row], &[0], 1).is_err());
        assert!(Hashed::fit(&[row], &[2], 2).is_err());
        assert!(Hashed::fit(&[row], &[0, 1], 2).is_err());
    }
}
