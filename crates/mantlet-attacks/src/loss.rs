//! Losses on scores, with their derivatives.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

/// What the scores of a model are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreKind {
    /// Unbounded; a softmax makes probabilities of them.
    Logits,
    /// Each row sums to 1.
    Probabilities,
    /// The best class's share only: every other column is zero.
    TopOnly,
    /// The shares of the best few classes, as many in every row: every other column is zero.
    TopK,
}

impl ScoreKind {
    /// Recognises what scores are from their values. Rounded probabilities still count as probabilities:
    /// the sum of a row may be off by half a unit of the rounding a column, or 5 % at most.
    #[must_use]
    pub fn recognise(scores: &Tensor) -> Self {
        // Of rows that do not sum to 1: how many columns are above zero, when that is the same in all of them.
        let mut shown: Option<usize> = None;
        for row in 0..scores.rows() {
            let row = scores.row(row);
            if row.iter().any(|value| !(-1e-6..=1.0 + 1e-6).contains(value)) {
                return Self::Logits;
            }
            let sum: f32 = row.iter().sum();
            let positive = row.iter().filter(|value| **value > 0.0).count();
            if (sum - 1.0).abs() <= 0.05 && (positive > 1 || sum >= 0.99) {
                continue;
            }
            // What is left out can only be as much as is missing.
            if sum > 1.0 || positive == 0 || positive >= row.len() || shown.is_some_and(|k| k != positive) {
                return Self::Logits;
            }
            shown = Some(positive);
        }
        match shown {
            None => Self::Probabilities,
            Some(1) => Self::TopOnly,
            Some(_) => Self::TopK,
        }
    }

    /// The scores as probabilities.
    #[must_use]
    pub fn probabilities(self, scores: &Tensor) -> Tensor {
        let mut out = scores.clone();
        for row in 0..scores.rows() {
            let row = out.row_mut(row);
            match self {
                Self::Logits => softmax(row),
                Self::Probabilities => {
                    let sum: f32 = row.iter().sum();
                    if sum > 0.0 {
                        row.iter_mut().for_each(|value| *value /= sum);
                    }
                }
                // What is missing is shared out evenly, but no class left out has more than the least one shown.
                Self::TopOnly | Self::TopK => {
                    let rest = (1.0 - row.iter().sum::<f32>()).max(0.0);
                    let hidden = row.iter().filter(|value| **value <= 0.0).count().max(1);
                    let least = row.iter().copied().filter(|value| *value > 0.0).fold(1.0, f32::min);
                    #[expect(clippy::cast_precision_loss, reason = "few classes")]
                    let share = (rest / hidden as f32).min(least);
                    row.iter_mut().filter(|value| **value <= 0.0).for_each(|value| *value = share);
                }
            }
        }
        out
    }
}

/// Softmax in place, safe for any finite logits.
pub fn softmax(row: &mut [f32]) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - top).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}

/// A loss of each row's scores. An attack that wants to leave a class *increases* it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "loss")]
pub enum Loss {
    /// Cross-entropy with the label of each row.
    CrossEntropy {
        /// One label a row.
        labels: Vec<usize>,
    },
    /// Best other score minus the label's score: positive when the row has left its class.
    Margin {
        /// One label a row.
        labels: Vec<usize>,
    },
    /// The margin over the spread of the best three scores (difference of logits ratio), which does not care
    /// how logits are scaled; with two classes the margin over its own size at this point.
    LogitRatio {
        /// One label a row.
        labels: Vec<usize>,
    },
    /// Minus the cross-entropy with one class for all rows: grows towards the class.
    Toward {
        /// The class.
        class: usize,
    },
    /// The score of one class.
    Logit {
        /// The class.
        class: usize,
    },
    /// The score of each row's own second class minus that of its first: positive when the row prefers it.
    Pair {
        /// One first class a row.
        labels: Vec<usize>,
        /// One second class a row.
        targets: Vec<usize>,
    },
    /// [`Loss::Pair`] over the spread of the best four scores (Croce and Hein 2020, equation 7), which does not
    /// care how logits are scaled; with fewer than four classes over the size of the pair at this point.
    PairRatio {
        /// One first class a row.
        labels: Vec<usize>,
        /// One second class a row.
        targets: Vec<usize>,
    },
    /// One column of the scores times a sign: for scores that are no classes.
    Column {
        /// The column.
        column: usize,
        /// Whether the score is to fall.
        falls: bool,
    },
}

impl Loss {
    /// The labels, one a row, when the loss has them.
    #[must_use]
    pub fn labels(&self) -> Option<&[usize]> {
        match self {
            Self::CrossEntropy { labels }
            | Self::Margin { labels }
            | Self::LogitRatio { labels }
            | Self::Pair { labels, .. }
            | Self::PairRatio { labels, .. } => Some(labels),
            Self::Toward { .. } | Self::Logit { .. } | Self::Column { .. } => None,
        }
    }

    /// The same loss for these rows only.
    #[must_use]
    pub fn select(&self, rows: std::ops::Range<usize>) -> Self {
        let part = |labels: &[usize]| labels.get(rows.clone()).unwrap_or(&[]).to_vec();
        match self {
            Self::CrossEntropy { labels } => Self::CrossEntropy { labels: part(labels) },
            Self::Margin { labels } => Self::Margin { labels: part(labels) },
            Self::LogitRatio { labels } => Self::LogitRatio { labels: part(labels) },
            Self::Pair { labels, targets } => Self::Pair { labels: part(labels), targets: part(targets) },
            Self::PairRatio { labels, targets } => {
                Self::PairRatio { labels: part(labels), targets: part(targets) }
            }
            other => other.clone(),
        }
    }

    /// The loss of each row and its derivative with respect to the scores. Rows without a label, or with one
    /// past the last class, have loss and derivative zero.
    #[must_use]
    pub fn evaluate(&self, scores: &Tensor, kind: ScoreKind) -> (Vec<f32>, Tensor) {
        let classes = scores.row_len();
        let mut slopes = Tensor::full(scores.shape().to_vec(), 0.0_f32);
        let losses = (0..scores.rows())
            .map(|row| {
                let label = match self {
                    Self::Toward { class } | Self::Logit { class } => Some(*class),
                    Self::Column { column, .. } => Some(*column),
                    Self::CrossEntropy { labels }
                    | Self::Margin { labels }
                    | Self::LogitRatio { labels }
                    | Self::Pair { labels, .. }
                    | Self::PairRatio { labels, .. } => labels.get(row).copied(),
                };
                let target = match self {
                    Self::Pair { targets, .. } | Self::PairRatio { targets, .. } => {
                        targets.get(row).copied().filter(|target| *target < classes)
                    }
                    _ => Some(0),
                };
                match label.filter(|label| *label < classes).zip(target) {
                    Some(pair) => self.row(scores.row(row), pair, kind, slopes.row_mut(row)),
                    None => 0.0,
                }
            })
            .collect();
        (losses, slopes)
    }

    fn row(
        &self,
        scores: &[f32],
        (label, target): (usize, usize),
        kind: ScoreKind,
        slope: &mut [f32],
    ) -> f32 {
        match self {
            Self::CrossEntropy { .. } => cross_entropy(scores, label, kind, 1.0, slope),
            Self::Toward { .. } => cross_entropy(scores, label, kind, -1.0, slope),
            Self::Logit { .. } => {
                slope[label] = 1.0;
                scores[label]
            }
            Self::Margin { .. } => margin(scores, label, 1.0, slope),
            Self::LogitRatio { .. } => logit_ratio(scores, label, slope),
            Self::Pair { .. } => pair(scores, label, target, 1.0, slope),
            Self::PairRatio { .. } => pair_ratio(scores, label, target, slope),
            Self::Column { falls, .. } => {
                slope[label] = if *falls { -1.0 } else { 1.0 };
                slope[label] * scores[label]
            }
        }
    }
}

/// `sign` times the cross-entropy, with its slope.
fn cross_entropy(scores: &[f32], label: usize, kind: ScoreKind, sign: f32, slope: &mut [f32]) -> f32 {
    if kind == ScoreKind::Logits {
        slope.copy_from_slice(scores);
        softmax(slope);
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = scores.iter().map(|score| (score - top).exp()).sum();
        slope[label] -= 1.0;
        slope.iter_mut().for_each(|value| *value *= sign);
        sign * (sum.ln() + top - scores[label])
    } else {
        let share = scores[label].max(1e-12);
        slope[label] = -sign / share;
        -sign * share.ln()
    }
}

/// The best class other than `label`.
fn rival(scores: &[f32], label: usize) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, score) in scores.iter().enumerate() {
        if index != label && best.is_none_or(|best| *score > scores[best]) {
            best = Some(index);
        }
    }
    best
}

fn margin(scores: &[f32], label: usize, scale: f32, slope: &mut [f32]) -> f32 {
    let Some(other) = rival(scores, label) else { return 0.0 };
    slope[other] = scale;
    slope[label] = -scale;
    scale * (scores[other] - scores[label])
}

/// Croce and Hein 2020 (AutoAttack), equation 6: the scale is taken as part of the function, so its slope is
/// included; with two classes there is no third score and the scale is held constant.
fn logit_ratio(scores: &[f32], label: usize, slope: &mut [f32]) -> f32 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (Some(&first), Some(&third)) = (order.first(), order.get(2)) else {
        let spread = rival(scores, label).map_or(1.0, |other| (scores[other] - scores[label]).abs());
        return margin(scores, label, 1.0 / spread.max(1e-12), slope);
    };
    let spread = (scores[first] - scores[third]).max(1e-12);
    let value = margin(scores, label, 1.0 / spread, slope);
    slope[first] -= value / spread;
    slope[third] += value / spread;
    value
}

fn pair(scores: &[f32], label: usize, target: usize, scale: f32, slope: &mut [f32]) -> f32 {
    slope[target] += scale;
    slope[label] -= scale;
    scale * (scores[target] - scores[label])
}

/// Croce and Hein 2020 (AutoAttack), equation 7, the slope of the scale included.
fn pair_ratio(scores: &[f32], label: usize, target: usize, slope: &mut [f32]) -> f32 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let &[first, _, third, fourth, ..] = &order[..] else {
        let spread = (scores[target] - scores[label]).abs();
        return pair(scores, label, target, 1.0 / spread.max(1e-12), slope);
    };
    let spread = (scores[first] - 0.5 * (scores[third] + scores[fourth])).max(1e-12);
    let value = pair(scores, label, target, 1.0 / spread, slope);
    slope[first] -= value / spread;
    slope[third] += 0.5 * value / spread;
    slope[fourth] += 0.5 * value / spread;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(columns: usize, data: &[f32]) -> Tensor {
        Tensor::new([data.len() / columns, columns], data.to_vec()).unwrap()
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        let scores = [0.3_f32, -1.2, 2.0, 0.7];
        for loss in [
            Loss::CrossEntropy { labels: vec![0] },
            Loss::Margin { labels: vec![2] },
            Loss::LogitRatio { labels: vec![3] },
            Loss::Toward { class: 1 },
            Loss::Logit { class: 1 },
            Loss::Pair { labels: vec![2], targets: vec![1] },
            Loss::PairRatio { labels: vec![2], targets: vec![0] },
            Loss::Column { column: 3, falls: true },
        ] {
            let (_, slope) = loss.evaluate(&tensor(4, &scores), ScoreKind::Logits);
            for index in 0..4 {
                let at = |shift: f32| {
                    let mut moved = scores;
                    moved[index] += shift;
                    loss.evaluate(&tensor(4, &moved), ScoreKind::Logits).0[0]
                };
                let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((difference - slope.data()[index]).abs() < 2e-3, "{loss:?} {index}");
            }
        }
    }

    #[test]
    fn two_classes_have_a_logit_ratio_that_ignores_the_scale() {
        for scale in [1.0, 1000.0] {
            let (loss, slope) = Loss::LogitRatio { labels: vec![0] }
                .evaluate(&tensor(2, &[2.0 * scale, -scale]), ScoreKind::Logits);
            assert!((loss[0] + 1.0).abs() < 1e-6);
            assert!(slope.data()[1] > 0.0 && slope.data()[0] < 0.0);
        }
    }

    #[test]
    fn kinds_of_scores_are_recognised() {
        assert_eq!(ScoreKind::recognise(&tensor(2, &[3.0, -1.0])), ScoreKind::Logits);
        assert_eq!(ScoreKind::recognise(&tensor(2, &[0.9, 0.9])), ScoreKind::Logits);
        assert_eq!(ScoreKind::recognise(&tensor(3, &[0.33, 0.33, 0.33])), ScoreKind::Probabilities);
        assert_eq!(ScoreKind::recognise(&tensor(2, &[1.0, 0.0])), ScoreKind::Probabilities);
        assert_eq!(ScoreKind::recognise(&tensor(2, &[0.8, 0.0])), ScoreKind::TopOnly);
        // The best two of four; four columns of which none is left out are logits, and so are sums above 1.
        let best_two = tensor(4, &[0.6, 0.3, 0.0, 0.0, 0.0, 0.5, 0.0, 0.2]);
        assert_eq!(ScoreKind::recognise(&best_two), ScoreKind::TopK);
        assert_eq!(ScoreKind::recognise(&tensor(4, &[0.6, 0.2, 0.05, 0.05])), ScoreKind::Logits);
        assert_eq!(ScoreKind::recognise(&tensor(4, &[0.8, 0.7, 0.0, 0.0])), ScoreKind::Logits);
        assert_eq!(ScoreKind::recognise(&tensor(3, &[0.6, 0.2, 0.0, 0.4, 0.0, 0.0])), ScoreKind::Logits);
        // A sure row among the best two shows fewer and still sums to 1.
        assert_eq!(
            ScoreKind::recognise(&tensor(4, &[0.6, 0.2, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])),
            ScoreKind::TopK
        );
        let soft = ScoreKind::TopK.probabilities(&best_two);
        assert!((soft.row(0)[2] - 0.05).abs() < 1e-6 && (soft.row(1)[0] - 0.15).abs() < 1e-6, "{soft:?}");
        assert!((soft.row(1).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let soft = ScoreKind::TopOnly.probabilities(&tensor(3, &[0.8, 0.0, 0.0]));
        assert!((soft.data()[1] - 0.1).abs() < 1e-6);
    }
}
