//! What a model's answers are measured by, from expected or counted cells, with the slope of each in its cells.

use serde::{Deserialize, Serialize};

/// A measure of a model that answers yes or no. All lie from 0 to 1, more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The share of rows answered rightly.
    Accuracy,
    /// Of the rows said positive, the share that is.
    Precision,
    /// Of the positive rows, the share said to be.
    Recall,
    /// The harmonic mean of precision and recall.
    F1,
    /// The chance that a positive row scores above a negative one, ties as one half (ROC AUC).
    RocAuc,
}

impl Metric {
    /// All, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Accuracy, Self::Precision, Self::Recall, Self::F1, Self::RocAuc];

    /// Its name in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "F1",
            Self::RocAuc => "ROC AUC",
        }
    }
}

/// For each code of the score and each answer (no, yes): rows, and how many of them are positive, counted or expected.
pub(super) type Cells = Vec<[(f64, f64); 2]>;

/// A metric's value, and how much it changes for one more positive row in each cell. Nothing where it has no meaning,
/// such as the precision of a model that never says yes.
pub(super) fn value(metric: Metric, cells: &Cells) -> Option<(f64, Vec<[f64; 2]>)> {
    let sum = |answer: usize| {
        cells
            .iter()
            .fold((0.0, 0.0), |(rows, positive), cell| (rows + cell[answer].0, positive + cell[answer].1))
    };
    let ((said_no, missed), (said_yes, caught)) = (sum(0), sum(1));
    let (rows, positive) = (said_no + said_yes, missed + caught);
    // The slope in rows said no, and in rows said yes.
    let flat = |value: f64, no: f64, yes: f64| Some((value, vec![[no, yes]; cells.len()]));
    match metric {
        Metric::Accuracy if rows > 0.0 => flat((caught + said_no - missed) / rows, -1.0 / rows, 1.0 / rows),
        Metric::Precision if said_yes > 0.0 => flat(caught / said_yes, 0.0, 1.0 / said_yes),
        Metric::Recall if positive > 0.0 => {
            let square = positive * positive;
            flat(caught / positive, -caught / square, missed / square)
        }
        Metric::F1 if said_yes + positive > 0.0 => {
            let under = said_yes + positive;
            let value = 2.0 * caught / under;
            flat(value, -value / under, (2.0 - value) / under)
        }
        Metric::RocAuc => auc(cells, rows, positive),
        _ => None,
    }
}

fn auc(cells: &Cells, rows: f64, positive: f64) -> Option<(f64, Vec<[f64; 2]>)> {
    let negative = rows - positive;
    let pairs = positive * negative;
    if pairs < 1.0 {
        return None;
    }
    let whole = |cell: &[(f64, f64); 2]| (cell[0].0 + cell[1].0, cell[0].1 + cell[1].1);
    let (mut below_negative, mut below_positive, mut won) = (0.0, 0.0, 0.0);
    let mut slopes = Vec::with_capacity(cells.len());
    for cell in cells {
        let (of, hits) = whole(cell);
        let misses = of - hits;
        let beaten = below_negative + misses / 2.0;
        won += hits * beaten;
        // One more positive wins against what is below, and no longer loses to the positives above or beside.
        let above = positive - below_positive - hits;
        slopes.push(beaten - above - hits / 2.0);
        below_negative += misses;
        below_positive += hits;
    }
    let value = won / pairs;
    let slope = |slope: f64| (slope - value * (negative - positive)) / pairs;
    Some((value, slopes.into_iter().map(|one| [slope(one); 2]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_small_steps() {
        let cells: Cells = vec![
            [(40.0, 3.0), (0.0, 0.0)],
            [(30.0, 6.0), (5.0, 1.0)],
            [(4.0, 2.0), (20.0, 11.0)],
            [(0.0, 0.0), (25.0, 23.0)],
        ];
        for metric in Metric::ALL {
            let (before, slopes) = value(metric, &cells).unwrap();
            for code in 0..cells.len() {
                for answer in 0..2 {
                    let mut moved = cells.clone();
                    moved[code][answer].1 += 1e-4;
                    let step = (value(metric, &moved).unwrap().0 - before) / 1e-4;
                    assert!((step - slopes[code][answer]).abs() < 1e-5, "{metric:?} {code} {answer}");
                }
            }
        }
    }

    #[test]
    fn the_values_are_those_of_their_definitions() {
        // 8 of 10 rows said no are negative, 15 of 20 said yes are positive.
        let cells: Cells = vec![[(10.0, 2.0), (0.0, 0.0)], [(0.0, 0.0), (20.0, 15.0)]];
        let of = |metric| value(metric, &cells).unwrap().0;
        assert!((of(Metric::Accuracy) - 23.0 / 30.0).abs() < 1e-12);
        assert!((of(Metric::Precision) - 0.75).abs() < 1e-12);
        assert!((of(Metric::Recall) - 15.0 / 17.0).abs() < 1e-12);
        assert!((of(Metric::F1) - 30.0 / 37.0).abs() < 1e-12);
        // 15 x 8 pairs are won, 2 x 8 and 15 x 5 are ties, 2 x 5 are lost.
        assert!((of(Metric::RocAuc) - (120.0 + 45.5) / 221.0).abs() < 1e-12);
        assert_eq!(value(Metric::Precision, &vec![[(5.0, 1.0), (0.0, 0.0)]]), None);
    }
}
