//! What a label is expected to be, from the features alone: an additive logistic model over codes.
//!
//! Every column is a table of one weight a code (a generalised additive model with step functions, Hastie and
//! Tibshirani 1986), fitted by Newton steps column after column. Feeds and labelers are never among the columns:
//! the model says what all of them together say about such a row.

use serde::{Deserialize, Serialize};

/// Sweeps over the columns at most.
const SWEEPS: usize = 20;
/// A Newton step is cut to this length.
const STEP: f64 = 2.0;
/// Squared penalty of a weight: a code seen a few times stays near the others.
const RIDGE: f64 = 1.0;
/// A sweep that moves no weight by more ends the fit.
const SETTLED: f64 = 2e-3;

/// A fitted model: the chance that a row has the label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Additive {
    base: f64,
    tables: Vec<Vec<f64>>,
}

/// A model as it is written: weights by their bits, since digits may come back as a neighbour; codes that were not seen
/// are left out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    base: u64,
    tables: Vec<Vec<(u8, u64)>>,
}

impl From<Additive> for Written {
    fn from(model: Additive) -> Self {
        let table = |table: Vec<f64>| {
            let seen = (0..=u8::MAX).zip(table).filter(|(_, weight)| *weight != 0.0);
            seen.map(|(code, weight)| (code, weight.to_bits())).collect()
        };
        Self { base: model.base.to_bits(), tables: model.tables.into_iter().map(table).collect() }
    }
}

impl From<Written> for Additive {
    fn from(written: Written) -> Self {
        let table = |seen: Vec<(u8, u64)>| {
            let mut table = vec![0.0; 256];
            seen.into_iter().for_each(|(code, bits)| table[usize::from(code)] = f64::from_bits(bits));
            table
        };
        let tables = written.tables.into_iter().map(table).collect();
        Self { base: f64::from_bits(written.base), tables }
    }
}

impl Additive {
    /// Fits `truth` on `columns`, one list of codes each, all as long as `truth`. The same rows in the same order
    /// give the same model.
    #[must_use]
    pub fn fit(columns: &[Vec<u8>], truth: &[bool]) -> Self {
        let rows = truth.len();
        let ones = truth.iter().filter(|&&one| one).count();
        let share = (crate::feed::real(ones as u64) + 0.5) / (crate::feed::real(rows as u64) + 1.0);
        let mut base = (share / (1.0 - share)).ln();
        let mut tables: Vec<Vec<f64>> = columns.iter().map(|_| vec![0.0; 256]).collect();
        let mut margins = vec![base; rows];
        for _ in 0..SWEEPS {
            let mut moved = 0.0_f64;
            for (column, table) in columns.iter().zip(&mut tables) {
                let mut sums = vec![[0.0_f64; 2]; 256];
                for ((&code, &margin), &one) in column.iter().zip(&margins).zip(truth) {
                    let chance = logistic(margin);
                    let sum = &mut sums[usize::from(code)];
                    sum[0] += f64::from(u8::from(one)) - chance;
                    sum[1] += chance * (1.0 - chance);
                }
                let mut steps = [0.0_f64; 256];
                for ((step, [slope, bend]), weight) in steps.iter_mut().zip(&sums).zip(table.iter_mut()) {
                    if *bend > 0.0 {
                        *step = ((slope - RIDGE * *weight) / (bend + RIDGE)).clamp(-STEP, STEP);
                        *weight += *step;
                        moved = moved.max(step.abs());
                    }
                }
                for (margin, &code) in margins.iter_mut().zip(column) {
                    *margin += steps[usize::from(code)];
                }
            }
            // The level as a whole carries no penalty.
            let (mut slope, mut bend) = (0.0, 1e-9);
            for (&margin, &one) in margins.iter().zip(truth) {
                let chance = logistic(margin);
                slope += f64::from(u8::from(one)) - chance;
                bend += chance * (1.0 - chance);
            }
            let step = (slope / bend).clamp(-STEP, STEP);
            base += step;
            margins.iter_mut().for_each(|margin| *margin += step);
            if moved.max(step.abs()) < SETTLED {
                break;
            }
        }
        Self { base, tables }
    }

    /// The chance that a row of these codes has the label, between 0 and 1.
    #[must_use]
    pub fn chance(&self, codes: impl IntoIterator<Item = u8>) -> f64 {
        let weights = self.tables.iter().zip(codes);
        logistic(self.base + weights.map(|(table, code)| table[usize::from(code)]).sum::<f64>())
    }
}

fn logistic(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::tests::uniform;

    #[test]
    fn chances_are_those_the_rows_were_drawn_with() {
        let rows = 60_000_u64;
        let columns: Vec<Vec<u8>> =
            (0..2).map(|c| (0..rows).map(|row| (uniform(row, c) * 4.0) as u8).collect()).collect();
        let chance = |a: u8, b: u8| logistic(-3.0 + 0.8 * f64::from(a) - 0.5 * f64::from(b));
        let truth: Vec<bool> = (0..rows as usize)
            .map(|row| uniform(row as u64, 9) < chance(columns[0][row], columns[1][row]))
            .collect();
        let model = Additive::fit(&columns, &truth);
        for (a, b) in [(0, 0), (3, 0), (0, 3), (3, 3), (1, 2)] {
            let (got, want) = (model.chance([a, b]), chance(a, b));
            assert!((got / want - 1.0).abs() < 0.15, "{a} {b}: {got} is not {want}");
        }
        assert_eq!(model, Additive::fit(&columns, &truth));
        let text = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<Additive>(&text).unwrap(), model, "to the last bit");
    }
}
