//! Intervals and curves.

use serde::{Deserialize, Serialize};

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A point of a receiver operating characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// False positive rate.
    pub fpr: f64,
    /// True positive rate.
    pub tpr: f64,
}

const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval of a share; with n = 0 it says nothing: 0 to 1.
#[must_use]
pub fn wilson(hits: usize, n: usize) -> Interval {
    if n == 0 {
        return Interval { value: 0.0, low: 0.0, high: 1.0 };
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    let (hits, n) = (hits as f64, n as f64);
    let share = hits / n;
    let centre = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Interval {
        value: share,
        low: ((centre - spread) / scale).max(0.0),
        high: ((centre + spread) / scale).min(1.0),
    }
}

/// The exact interval of a share (Clopper and Pearson, 1934), each side missed with probability `tail` at most.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub(crate) fn clopper_pearson(hits: usize, n: usize, tail: f64) -> Interval {
    if n == 0 {
        return Interval { value: 0.0, low: 0.0, high: 1.0 };
    }
    // P(X >= hits) rises with the share; P(X <= hits) falls with it.
    let find = |rising: bool| {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let chance = if rising { at_least(hits, n, middle) } else { 1.0 - at_least(hits + 1, n, middle) };
            if (chance < tail) == rising { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    };
    Interval {
        value: hits as f64 / n as f64,
        low: if hits == 0 { 0.0 } else { find(true) },
        high: if hits >= n { 1.0 } else { find(false) },
    }
}

/// The chance of at least `hits` successes in `n` trials.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub fn at_least(hits: usize, n: usize, share: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    if hits > n || share <= 0.0 {
        return 0.0;
    }
    if share >= 1.0 {
        return 1.0;
    }
    // The chance of each count from the one before, as logarithms; the smaller tail is summed.
    let step = (share / (1.0 - share)).ln();
    let mut log = n as f64 * (1.0 - share).ln();
    let (mut below, mut above) = (0.0, 0.0);
    for count in 0..=n {
        if count < hits {
            below += log.exp()
        } else {
            above += log.exp()
        }
        log += ((n - count) as f64).ln() - (count as f64 + 1.0).ln() + step;
    }
    if above < below { above } else { 1.0 - below }
}

/// The standard normal's quantile (Acklam's rational approximation, relative error below 1.2e-9).
#[must_use]
pub(crate) fn normal_quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    if share <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let tail = |q: f64| poly(&C, q) / (poly(&D, q) * q + 1.0);
    if share < 0.024_25 {
        tail((-2.0 * share.ln()).sqrt())
    } else if share > 1.0 - 0.024_25 {
        -tail((-2.0 * (1.0 - share).ln()).sqrt())
    } else {
        let q = share - 0.5;
        let square = q * q;
        poly(&A, square) * q / (poly(&B, square) * square + 1.0)
    }
}

/// How improbable it is that hits of the first group are as many as these or more when both groups have the same share:
/// Fisher's exact test, one-sided. Groups are (hits, of).
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub(crate) fn excess(first: (usize, usize), second: (usize, usize)) -> f64 {
    let (n, all, hits) = (first.1, first.1 + second.1, first.0 + second.0);
    let mut logs = vec![0.0_f64; all + 1];
    for at in 1..=all {
        logs[at] = logs[at - 1] + (at as f64).ln();
    }
    let choose = |of: usize, take: usize| logs[of] - logs[take] - logs[of - take];
    let most = hits.min(n);
    let least = first.0.max(hits.saturating_sub(second.1));
    let tail =
        (least..=most).map(|at| (choose(n, at) + choose(second.1, hits - at) - choose(all, hits)).exp());
    tail.sum::<f64>().min(1.0)
}

/// The middle of sorted values; 0 when there is none.
#[must_use]
pub(crate) fn middle(sorted: &[f32]) -> f32 {
    let half = sorted.len() / 2;
    match sorted.get(half) {
        None => 0.0,
        Some(upper) if sorted.len() % 2 == 1 => *upper,
        Some(upper) => f32::midpoint(sorted[half - 1], *upper),
    }
}

/// Positives and negatives pooled, highest first, with tied scores together: (positives, negatives) a group.
fn groups(positive: &[f32], negative: &[f32]) -> Vec<(usize, usize)> {
    let mut all: Vec<(f32, bool)> = positive.iter().map(|score| (*score, true)).collect();
    all.extend(negative.iter().map(|score| (*score, false)));
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut groups: Vec<(usize, usize)> = Vec::new();
    let mut last = None;
    for (score, is_positive) in all {
        if last != Some(score) {
            groups.push((0, 0));
            last = Some(score);
        }
        if let Some(group) = groups.last_mut() {
            if is_positive { group.0 += 1 } else { group.1 += 1 }
        }
    }
    groups
}

/// The whole curve from (0, 0) to (1, 1); higher scores mean positive.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub fn roc(positive: &[f32], negative: &[f32]) -> Vec<RocPoint> {
    let (all_p, all_n) = (positive.len().max(1) as f64, negative.len().max(1) as f64);
    let mut points = vec![RocPoint { fpr: 0.0, tpr: 0.0 }];
    let (mut p, mut n) = (0, 0);
    for (more_p, more_n) in groups(positive, negative) {
        p += more_p;
        n += more_n;
        points.push(RocPoint { fpr: n as f64 / all_n, tpr: p as f64 / all_p });
    }
    points
}

/// Area under the curve: the chance that a positive scores above a negative, ties counting half.
#[must_use]
pub fn roc_auc(positive: &[f32], negative: &[f32]) -> f64 {
    roc(positive, negative)
        .windows(2)
        .map(|pair| (pair[1].fpr - pair[0].fpr) * (pair[0].tpr + pair[1].tpr) / 2.0)
        .sum()
}

/// The area with its interval after Hanley and McNeil (1982).
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub fn auc_interval(positive: &[f32], negative: &[f32]) -> Interval {
    if positive.is_empty() || negative.is_empty() {
        return Interval { value: 0.5, low: 0.0, high: 1.0 };
    }
    let area = roc_auc(positive, negative);
    let (p, n) = (positive.len() as f64, negative.len() as f64);
    let (q1, q2) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let square = area * (1.0 - area) + (p - 1.0) * (q1 - area * area) + (n - 1.0) * (q2 - area * area);
    let spread = Z * (square.max(0.0) / (p * n)).sqrt();
    Interval { value: area, low: (area - spread).max(0.0), high: (area + spread).min(1.0) }
}

/// The true positive rate at the largest threshold set whose false positive rate is at most `fpr`, with how
/// many positives that is and the threshold: scores *above* it are called positive.
#[must_use]
pub fn true_positive_at(positive: &[f32], negative: &[f32], fpr: f64) -> (Interval, f32) {
    let mut sorted = negative.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts"
    )]
    let allowed = (fpr * sorted.len() as f64).floor() as usize;
    let threshold = sorted.get(allowed).copied().unwrap_or(f32::MIN);
    let hits = positive.iter().filter(|score| **score > threshold).count();
    (wilson(hits, positive.len()), threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_intervals_and_areas() {
        let interval = wilson(8, 10);
        assert!((interval.low - 0.4902).abs() < 1e-3 && (interval.high - 0.9433).abs() < 1e-3);
        assert_eq!(wilson(0, 0).high, 1.0);
        let exact = clopper_pearson(8, 10, 0.025);
        assert!((exact.low - 0.4439).abs() < 1e-3 && (exact.high - 0.9748).abs() < 1e-3, "{exact:?}");
        assert!((clopper_pearson(0, 100, 0.05).high - 0.0295).abs() < 1e-3);
        assert!((at_least(9, 10, 0.5) - 11.0 / 1024.0).abs() < 1e-9);
        for (share, value) in [(0.5, 0.0), (0.975, Z), (0.001, -3.090_232_306), (0.999_9, 3.719_016_485)] {
            assert!((normal_quantile(share) - value).abs() < 1e-6, "{share}: {}", normal_quantile(share));
        }
        assert!((excess((3, 4), (1, 4)) - 17.0 / 70.0).abs() < 1e-9 && excess((0, 0), (0, 0)) == 1.0);
        assert!(excess((30, 90), (0, 60)) < 1e-6 && excess((0, 9), (9, 9)) == 1.0);
        assert_eq!(roc_auc(&[2.0, 3.0], &[0.0, 1.0]), 1.0);
        assert_eq!(roc_auc(&[1.0, 1.0], &[1.0, 1.0]), 0.5);
        let (rate, threshold) = true_positive_at(&[5.0, 1.0], &[0.0, 2.0, 4.0], 0.34);
        assert_eq!((rate.value, threshold), (0.5, 2.0));
    }
}
