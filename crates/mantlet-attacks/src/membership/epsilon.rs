//! What a membership attack says about differential privacy: a training run that is (epsilon, 0)-private lets no
//! attack have TPR > exp(epsilon) FPR, nor TNR > exp(epsilon) FNR (Kairouz, Oh and Viswanath, 2015).

use crate::stats::{clopper_pearson, wilson};
use crate::{Interval, LowerBound};

/// The epsilon the attack demonstrates: the point estimate, and a lower end that holds with 95 % confidence.
/// The threshold is chosen on one half of the rows and judged on the other, so that the choice does not flatter.
/// There is no upper end: an attack bounds epsilon from below only. `None` with fewer than 40 rows a side.
pub(super) fn demonstrated(members: &[f32], others: &[f32]) -> Option<LowerBound> {
    let halves = |scores: &[f32]| -> (Vec<f32>, Vec<f32>) {
        let part = |rest: usize| scores.iter().copied().skip(rest).step_by(2).collect();
        (part(0), part(1))
    };
    let ((choose_in, judge_in), (choose_out, judge_out)) = (halves(members), halves(others));
    if judge_in.len() < 20 || judge_out.len() < 20 {
        return None;
    }
    let mut thresholds: Vec<f32> = choose_in.iter().chain(&choose_out).copied().collect();
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    let step = (thresholds.len() / 400).max(1);
    // The exact interval is for the judgement; to choose, a quick one will do.
    let quick = |threshold: f32| best(threshold, &choose_in, &choose_out, &wilson).low;
    let mut chosen = (f64::NEG_INFINITY, None);
    for &threshold in thresholds.iter().step_by(step) {
        let low = quick(threshold);
        if low > chosen.0 {
            chosen = (low, Some(threshold));
        }
    }
    // Four one-sided intervals share the 5 %: two rates, in two directions.
    let exact = |hits: usize, n: usize| clopper_pearson(hits, n, 0.0125);
    Some(best(chosen.1?, &judge_in, &judge_out, &exact))
}

/// The larger bound of accusing those above the threshold and clearing those below it.
fn best(
    threshold: f32,
    members: &[f32],
    others: &[f32],
    interval: &dyn Fn(usize, usize) -> Interval,
) -> LowerBound {
    let above = |scores: &[f32]| scores.iter().filter(|score| **score > threshold).count();
    let (tp, fp) = (above(members), above(others));
    let accuse = bound((tp, members.len()), (fp, others.len()), interval);
    let clear = bound((others.len() - fp, others.len()), (members.len() - tp, members.len()), interval);
    if accuse.low >= clear.low { accuse } else { clear }
}

/// ln(hits / n) - ln(misses / m), at least zero.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn bound(
    (hits, n): (usize, usize),
    (misses, m): (usize, usize),
    interval: &dyn Fn(usize, usize) -> Interval,
) -> LowerBound {
    let (rate, wrong) = (interval(hits, n), interval(misses, m));
    // Half a count keeps the point estimate finite where nobody is wrongly accused.
    let point = ((hits as f64).max(0.5) / n as f64).ln() - ((misses as f64).max(0.5) / m as f64).ln();
    let low = if rate.low > 0.0 { (rate.low / wrong.high).ln().max(0.0) } else { 0.0 };
    LowerBound { value: point.max(low), low }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_leak_demonstrates_nothing_and_a_plain_one_much() {
        let alike: Vec<f32> = (0..404).map(|value| ((value * 37) % 101) as f32).collect();
        let same = demonstrated(&alike, &alike).unwrap();
        assert!(same.low < 0.05, "{same:?}");
        let raised: Vec<f32> = alike.iter().map(|value| value + 200.0).collect();
        let leak = demonstrated(&raised, &alike).unwrap();
        assert!(leak.low > 3.0 && leak.value >= leak.low, "{leak:?}");
        assert_eq!(demonstrated(&alike[..10], &alike), None);
    }

    #[test]
    fn randomised_response_is_not_overstated() {
        // Membership told rightly three times of four: epsilon is ln 3.
        let told = |right: usize| {
            (0..2000).map(|row| f32::from(u8::from((row / 2) % 4 < right))).collect::<Vec<f32>>()
        };
        let found = demonstrated(&told(3), &told(1)).unwrap();
        assert!(found.low <= 3.0_f64.ln() && found.low > 0.85, "{found:?}");
    }
}
