//! A linear model of several classes over hashed marks of a row, words of a text for example: softmax regression with
//! AdaGrad (Duchi, Hazan and Singer, 2011). No part is random: the same rows give the same weights.

use crate::LearnError;

/// Weights of all classes together at most.
const WEIGHTS: usize = 1 << 24;
/// Slots at most.
const SLOTS: usize = 1 << 18;
const ROUNDS: usize = 8;
const RATE: f32 = 0.5;
const RIDGE: f32 = 1e-6;

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Hashed {
    classes: usize,
    slots: usize,
    base: Vec<f32>,
    /// Slot after slot, each with a weight for every class.
    weights: Vec<f32>,
}

/// Spreads a number over all bits (splitmix64).
const fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
        let slots = (WEIGHTS / classes).min(SLOTS);
        let mut own = Self { classes, slots, base: vec![0.0; classes], weights: vec![0.0; slots * classes] };
        let mut squares = vec![1e-2_f32; slots * classes];
        let mut base_squares = vec![1e-2_f32; classes];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| (mix(row as u64), row));
        let mut errors = vec![0.0_f32; classes];
        for _ in 0..ROUNDS {
            for &row in &order {
                let marks = rows[row];
                own.chances(marks, &mut errors);
                errors[y[row]] -= 1.0;
                let scale = scale(marks);
                for ((base, squares), error) in own.base.iter_mut().zip(&mut base_squares).zip(&errors) {
                    *squares += error * error;
                    *base -= RATE * error / squares.sqrt();
                }
                for &mark in marks {
                    let at = own.place(mark);
                    let weights = &mut own.weights[at..at + classes];
                    for ((weight, squares), error) in
                        weights.iter_mut().zip(&mut squares[at..at + classes]).zip(&errors)
                    {
                        let slope = error * scale + RIDGE * *weight;
                        *squares += slope * slope;
                        *weight -= RATE * slope / squares.sqrt();
                    }
                }
            }
        }
        Ok(own)
    }

    fn place(&self, mark: u32) -> usize {
        mark as usize % self.slots * self.classes
    }

    /// The chance of each class; `chances` holds one number a class.
    pub fn chances(&self, marks: &[u32], chances: &mut [f32]) {
        chances.fill(0.0);
        for &mark in marks {
            let at = self.place(mark);
            for (sum, weight) in chances.iter_mut().zip(&self.weights[at..at + self.classes]) {
                *sum += weight;
            }
        }
        let scale = scale(marks);
        for (sum, base) in chances.iter_mut().zip(&self.base) {
            *sum = *sum * scale + base;
        }
        let top = chances.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        chances.iter_mut().for_each(|value| *value = (*value - top).exp());
        let sum: f32 = chances.iter().sum();
        chances.iter_mut().for_each(|value| *value /= sum);
    }
}

/// Rows of many marks say no more than rows of few.
fn scale(marks: &[u32]) -> f32 {
    1.0 / (marks.len().max(1) as f32).sqrt()
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
    fn what_does_not_fit_is_an_error() {
        let row: &[u32] = &[1];
        assert!(Hashed::fit(&[], &[], 2).is_err());
        assert!(Hashed::fit(&[row], &[0], 1).is_err());
        assert!(Hashed::fit(&[row], &[2], 2).is_err());
        assert!(Hashed::fit(&[row], &[0, 1], 2).is_err());
    }
}
