//! What share of a cell's labels was turned in each batch: slow poison grows, and a row of a late batch is then
//! worth more of a person's time than the same row of an early one.
//!
//! The share is nothing outside a run of batches and goes evenly from one value to another within it. All such
//! courses are weighed by how well they explain the counts (Poisson, every course as likely as any other before), and
//! the mean is taken, so that few rows give a flat course and many rows a steep one where there is one.

/// Steps of a share.
const STEPS: usize = 40;
/// First and last batches that are tried.
const ENDS: usize = 16;

/// What was counted of a cell in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Counted {
    /// Rows.
    pub(super) rows: f64,
    /// Rows that have the label.
    pub(super) seen: f64,
    /// Rows that are expected to have it.
    pub(super) expected: f64,
}

/// The share that was turned, by batch. `few`: labels were dropped, otherwise added. `window` is the run of batches
/// in which it was told.
pub(super) fn course(counted: &[Counted], few: bool, window: (usize, usize)) -> Vec<f64> {
    let Some(last) = counted.len().checked_sub(1) else { return Vec::new() };
    let window = (window.0.min(last), window.1.min(last));
    let fits: Vec<[f64; STEPS + 1]> = counted.iter().map(|own| fit(own, few)).collect();
    let mut means = vec![0.0; counted.len()];
    // Weights are relative to the best so far, so that none is lost in rounding.
    let (mut best, mut total) = (f64::NEG_INFINITY, 0.0);
    let before: Vec<f64> = running(&fits);
    for from in spread(0, window.1) {
        for to in spread(from.max(window.0), last) {
            for start in 1..=STEPS {
                for end in 1..=STEPS {
                    let step = |batch: usize| {
                        if from == to {
                            return start;
                        }
                        let (at, of) = (batch - from, to - from);
                        (start * (of - at) + end * at + of / 2) / of
                    };
                    let inside: f64 = (from..=to).map(|batch| fits[batch][step(batch)]).sum();
                    let chance = before[from] + inside + before[last + 1] - before[to + 1];
                    if chance > best {
                        let faded = (best - chance).exp();
                        means.iter_mut().for_each(|mean| *mean *= faded);
                        (best, total) = (chance, total * faded);
                    }
                    let weight = (chance - best).exp();
                    if weight < 1e-9 {
                        continue;
                    }
                    total += weight;
                    (from..=to).for_each(|batch| means[batch] += weight * share(step(batch)));
                }
            }
        }
    }
    means.iter().map(|mean| if total > 0.0 { (mean / total).clamp(0.0, 1.0) } else { 0.0 }).collect()
}

/// How well each share explains a batch.
fn fit(own: &Counted, few: bool) -> [f64; STEPS + 1] {
    let mut fits = [0.0; STEPS + 1];
    for (step, fit) in fits.iter_mut().enumerate() {
        let share = share(step);
        let left = if few {
            own.expected * (1.0 - share)
        } else {
            own.expected + share * (own.rows - own.expected).max(0.0)
        };
        // A label is never wholly gone: a few are said by mistake.
        let left = left.max(own.expected * 0.01).max(1e-3);
        *fit = own.seen * left.ln() - left;
    }
    fits
}

/// Sums of what no change at all explains, before each batch.
fn running(fits: &[[f64; STEPS + 1]]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut all = vec![0.0];
    all.extend(fits.iter().map(|fit| {
        sum += fit[0];
        sum
    }));
    all
}

#[expect(clippy::cast_precision_loss, reason = "at most forty")]
fn share(step: usize) -> f64 {
    step as f64 / STEPS as f64
}

/// All numbers of a range, or as many of them as are tried, evenly.
fn spread(from: usize, to: usize) -> Vec<usize> {
    let many = to - from + 1;
    if many <= ENDS {
        return (from..=to).collect();
    }
    (0..ENDS).map(|at| from + at * (many - 1) / (ENDS - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shares: &[f64]) -> Vec<Counted> {
        shares
            .iter()
            .map(|share| Counted { rows: 600.0, seen: (60.0 * (1.0 - share)).round(), expected: 60.0 })
            .collect()
    }

    #[test]
    fn a_growing_share_is_seen_to_grow_and_an_even_one_to_be_even() {
        let ramp: Vec<f64> =
            (0..12).map(|at| if at < 3 { 0.0 } else { 0.1 + 0.07 * (at - 3) as f64 }).collect();
        let got = course(&counted(&ramp), true, (5, 11));
        assert!(got.iter().zip(&ramp).all(|(got, want)| (got - want).abs() < 0.12), "{got:?}");
        assert!(got[11] > 0.5 && got[4] < 0.3 && got[0] < 0.05, "{got:?}");
        let even = [0.0, 0.0, 0.4, 0.4, 0.4, 0.4, 0.0, 0.0];
        let got = course(&counted(&even), true, (2, 5));
        assert!(got[2..6].iter().all(|share| (share - 0.4).abs() < 0.08), "{got:?}");
        assert!(got[0] < 0.05 && got[7] < 0.1, "{got:?}");
    }

    #[test]
    fn added_labels_have_a_course_as_well_and_few_rows_give_a_flat_one() {
        let added =
            |share: f64| Counted { rows: 600.0, seen: 60.0 + (540.0 * share).round(), expected: 60.0 };
        let got = course(&[added(0.0), added(0.0), added(0.1), added(0.3)], false, (2, 3));
        assert!(got[1] < 0.03 && (got[2] - 0.1).abs() < 0.05 && (got[3] - 0.3).abs() < 0.05, "{got:?}");
        let scarce = |seen: f64| Counted { rows: 12.0, seen, expected: 2.0 };
        let got = course(&[scarce(1.0), scarce(0.0), scarce(1.0), scarce(0.0)], true, (0, 3));
        let (least, most) =
            (got.iter().copied().fold(1.0, f64::min), got.iter().copied().fold(0.0, f64::max));
        assert!(most - least < 0.35 && least > 0.1 && most < 0.9, "{got:?}");
        assert!(course(&[], true, (0, 0)).is_empty());
        assert_eq!(course(&vec![scarce(2.0); 500], true, (490, 499)).len(), 500);
    }
}
