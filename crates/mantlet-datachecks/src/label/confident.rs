//! Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
//! JAIR 70, 2021), pruning by noise rate: which rows have a label that out-of-sample probabilities contradict.

/// Equal up to this.
const EQUAL: f64 = 1e-6;

/// A row whose label is likely wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mislabelled {
    /// Its place.
    pub row: usize,
    /// The class it is said to have.
    pub given: usize,
    /// The class it likely has.
    pub meant: usize,
    /// By how much the meant class is likelier than the given one.
    pub margin: f64,
}

/// What confident learning says of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Confident {
    /// Rows likely mislabelled, in order of row.
    pub rows: Vec<Mislabelled>,
    /// How many rows of each given class (row of the matrix) truly are of each class (column): calibrated counts.
    pub joint: Vec<Vec<u64>>,
}

/// Finds mislabelled rows. `given` holds each row's class; `probabilities` is `[rows, classes]`, row after row,
/// predicted by a model that did not learn from the row. Nothing is found where the two do not fit.
#[must_use]
pub fn confident(given: &[usize], probabilities: &[f32], classes: usize) -> Confident {
    let none = Confident { rows: Vec::new(), joint: vec![vec![0; classes]; classes] };
    let fits = classes >= 2
        && given.len().checked_mul(classes) == Some(probabilities.len())
        && given.iter().all(|&class| class < classes);
    if given.is_empty() || !fits {
        return none;
    }
    let row = |at: usize| &probabilities[at * classes..(at + 1) * classes];
    let mut counts = vec![0_u64; classes];
    let mut thresholds = vec![0.0_f64; classes];
    for (at, &class) in given.iter().enumerate() {
        counts[class] += 1;
        thresholds[class] += f64::from(row(at)[class]);
    }
    for (threshold, &count) in thresholds.iter_mut().zip(&counts) {
        // No row can be confident of a class that nobody gives.
        *threshold = if count == 0 { 2.0 } else { (*threshold / real(count)).max(2.0 * EQUAL) };
    }
    let mut joint = vec![vec![0_u64; classes]; classes];
    for (at, &class) in given.iter().enumerate() {
        if let Some(meant) = confident_class(row(at), &thresholds) {
            joint[class][meant] += 1;
        }
    }
    for (class, own) in joint.iter_mut().enumerate() {
        own[class] = own[class].max(1);
    }
    let joint = calibrated(&joint, &counts);
    let prune = keep_one(&joint);
    let mut flagged: Vec<Option<(usize, f64)>> = vec![None; given.len()];
    for class in 0..classes {
        if counts[class] <= 1 {
            continue;
        }
        let own: Vec<usize> = (0..given.len()).filter(|&at| given[at] == class).collect();
        for meant in (0..classes).filter(|&meant| meant != class) {
            let count = usize::try_from(prune[meant][class]).unwrap_or(usize::MAX).min(own.len());
            if count == 0 {
                continue;
            }
            let margin = |at: usize| f64::from(row(at)[meant]) - f64::from(row(at)[class]);
            let mut ranked = own.clone();
            let order = |a: &usize, b: &usize| margin(*b).total_cmp(&margin(*a)).then(a.cmp(b));
            if count < ranked.len() {
                ranked.select_nth_unstable_by(count - 1, order);
            }
            for &at in &ranked[..count] {
                let better = flagged[at].is_none_or(|(_, other)| margin(at) > other);
                if better {
                    flagged[at] = Some((meant, margin(at)));
                }
            }
        }
    }
    // A label that the model itself predicts is not called wrong.
    let predicted = |at: usize| {
        let own = f64::from(row(at)[given[at]]) + EQUAL;
        row(at).iter().enumerate().all(|(class, &p)| {
            class == given[at] || f64::from(p) < own || (f64::from(p) <= own && class > given[at])
        })
    };
    let rows = flagged.iter().enumerate().filter_map(|(at, flag)| {
        let (meant, margin) = (*flag)?;
        (!predicted(at)).then(|| Mislabelled { row: at, given: given[at], meant, margin })
    });
    Confident { rows: rows.collect(), joint }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
const fn real(count: u64) -> f64 {
    count as f64
}

/// The likeliest of the classes whose threshold a row reaches.
fn confident_class(row: &[f32], thresholds: &[f64]) -> Option<usize> {
    let mut reached = row
        .iter()
        .zip(thresholds)
        .enumerate()
        .filter(|(_, (p, threshold))| f64::from(**p) >= **threshold - EQUAL);
    let (first, _) = reached.next()?;
    if reached.next().is_none() {
        return Some(first);
    }
    // Of several, the likeliest of all classes.
    row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(class, _)| class)
}

/// The joint scaled so that each given class has its own number of rows, rounded so that rows keep their sums.
fn calibrated(joint: &[Vec<u64>], counts: &[u64]) -> Vec<Vec<u64>> {
    joint
        .iter()
        .zip(counts)
        .map(|(own, &count)| {
            let sum = real(own.iter().sum::<u64>()).max(1e-100);
            rounded(&own.iter().map(|&cell| real(cell) / sum * real(count)).collect::<Vec<_>>())
        })
        .collect()
}

/// How many rows to prune, by meant class (row) and given class (column): at least one row stays in each class.
fn keep_one(joint: &[Vec<u64>]) -> Vec<Vec<u64>> {
    let classes = joint.len();
    let mut prune: Vec<Vec<f64>> =
        (0..classes).map(|meant| (0..classes).map(|given| real(joint[given][meant])).collect()).collect();
    for given in 0..classes {
        let raise = (1.0 - prune[given][given]).max(0.0);
        let filled = (0..classes).filter(|&meant| prune[meant][given] > 0.0).count();
        let share = raise / (real(filled as u64) - 1.0).max(1.0);
        for (meant, own) in prune.iter_mut().enumerate() {
            own[given] = if meant == given { own[given].max(1.0) } else { (own[given] - share).max(0.0) };
        }
    }
    prune.iter().map(|row| rounded(&row.iter().map(|cell| cell.trunc()).collect::<Vec<_>>())).collect()
}

/// Rounds to whole numbers that add up to the rounded sum: the cells rounded away furthest give way.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of rows")]
fn rounded(values: &[f64]) -> Vec<u64> {
    let mut whole: Vec<f64> = values.iter().map(|value| value.round_ties_even()).collect();
    let goal = values.iter().sum::<f64>().round_ties_even();
    for _ in 0..values.len() {
        let off = goal - whole.iter().sum::<f64>();
        if off.abs() < EQUAL {
            break;
        }
        let step = off.signum();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| (step * (values[b] - whole[b])).total_cmp(&(step * (values[a] - whole[a]))));
        for &at in order.iter().take(off.abs().round() as usize) {
            whole[at] += step;
        }
    }
    whole.into_iter().map(|value| value.max(0.0) as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contradicted_label_is_found_with_what_was_meant() {
        // Eight rows of two classes that the model knows well, and one that is said to be the other.
        let mut given = vec![0, 0, 0, 0, 1, 1, 1, 1];
        let mut probabilities: Vec<f32> = Vec::new();
        for &class in &given {
            probabilities.extend(if class == 0 { [0.9, 0.1] } else { [0.2, 0.8] });
        }
        assert!(confident(&given, &probabilities, 2).rows.is_empty());
        given.push(0);
        probabilities.extend([0.05, 0.95]);
        let found = confident(&given, &probabilities, 2);
        assert_eq!(found.rows.len(), 1);
        assert_eq!((found.rows[0].row, found.rows[0].given, found.rows[0].meant), (8, 0, 1));
        assert_eq!(found.joint, [[4, 1], [0, 4]]);
    }

    #[test]
    fn what_does_not_fit_finds_nothing() {
        assert!(confident(&[], &[], 2).rows.is_empty());
        assert!(confident(&[0, 5], &[0.5; 4], 2).rows.is_empty());
        assert!(confident(&[0, 1], &[0.5; 3], 2).rows.is_empty());
        assert!(confident(&[0, 1, 1], &[f32::NAN; 6], 2).rows.len() <= 3);
    }

    #[test]
    fn rounding_keeps_sums() {
        assert_eq!(rounded(&[1.4, 1.4, 1.2]), [2, 1, 1]);
        assert_eq!(rounded(&[0.5, 0.5]).iter().sum::<u64>(), 1);
    }
}
