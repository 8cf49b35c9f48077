//! Two-sample statistics over counts of the same buckets.

use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::erfc;
use statrs::function::gamma::checked_gamma_ur;

/// Counts as numbers.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
pub(crate) const fn real(count: u64) -> f64 {
    count as f64
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().map(|&count| real(count)).sum()
}

/// The shares of both sides, smoothed by half a row in each bucket so that logarithms exist.
fn shares<'a>(a: &'a [u64], b: &'a [u64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let half = 0.5 * real(a.len() as u64);
    let (of_a, of_b) = (total(a) + half, total(b) + half);
    a.iter().zip(b).map(move |(&a, &b)| ((real(a) + 0.5) / of_a, (real(b) + 0.5) / of_b))
}

/// Population stability index: `sum (p - q) ln(p / q)`. Non-negative, 0 for equal shares.
#[must_use]
pub fn psi(a: &[u64], b: &[u64]) -> f64 {
    shares(a, b).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// Jensen-Shannon distance, base 2: from 0 to 1 (Lin 1991).
#[must_use]
pub fn jensen_shannon(a: &[u64], b: &[u64]) -> f64 {
    let part = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    let (of_a, of_b) = (total(a).max(1.0), total(b).max(1.0));
    let divergence: f64 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| {
            let (p, q) = (real(a) / of_a, real(b) / of_b);
            let middle = f64::midpoint(p, q);
            f64::midpoint(part(p, middle), part(q, middle))
        })
        .sum();
    divergence.max(0.0).sqrt().min(1.0)
}

/// Half the sum of absolute differences of shares: the share of rows that changed bucket, at least.
#[must_use]
pub fn total_variation(a: &[u64], b: &[u64]) -> f64 {
    let (of_a, of_b) = (total(a).max(1.0), total(b).max(1.0));
    0.5 * a.iter().zip(b).map(|(&a, &b)| (real(a) / of_a - real(b) / of_b).abs()).sum::<f64>()
}

/// Kolmogorov-Smirnov distance over ordered buckets, which is at most the exact one and less by at most the
/// largest bucket's share.
#[must_use]
pub fn kolmogorov_smirnov(a: &[u64], b: &[u64]) -> f64 {
    let (of_a, of_b) = (total(a).max(1.0), total(b).max(1.0));
    let (mut below_a, mut below_b, mut most) = (0.0, 0.0, 0.0_f64);
    for (&a, &b) in a.iter().zip(b) {
        below_a += real(a) / of_a;
        below_b += real(b) / of_b;
        most = most.max((below_a - below_b).abs());
    }
    most
}

/// Wasserstein-1 distance in units of rank: the mean distance, in shares of the reference, by which values moved.
/// From 0 to 1, without a unit, the same under any rising transformation of the column.
#[must_use]
pub fn rank_wasserstein(reference: &[u64], current: &[u64]) -> f64 {
    let (of_a, of_b) = (total(reference).max(1.0), total(current).max(1.0));
    let (mut below_a, mut below_b, mut sum) = (0.0, 0.0, 0.0);
    for (&a, &b) in reference.iter().zip(current) {
        let width = real(a) / of_a;
        let before: f64 = below_a - below_b;
        below_a += width;
        below_b += real(b) / of_b;
        sum += width * f64::midpoint(before.abs(), (below_a - below_b).abs());
    }
    sum
}

/// The chance that a chi-squared variable with `df` degrees of freedom is at least `x`.
#[must_use]
pub fn chi_squared_tail(x: f64, df: f64) -> f64 {
    if x <= 0.0 || df <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(df / 2.0, x / 2.0).unwrap_or(0.0).clamp(0.0, 1.0)
}

/// The chance that a normal variable is at least `|z|` from its mean, either way.
#[must_use]
pub fn normal_tails(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
}

/// The chance of `hits` or more in `n` trials of chance `p`.
#[must_use]
pub fn binomial_tail(hits: u64, n: u64, p: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    if hits > n || p <= 0.0 {
        return 0.0;
    }
    checked_beta_reg(real(hits), real(n - hits) + 1.0, p.min(1.0)).unwrap_or(1.0).clamp(0.0, 1.0)
}

/// The chi-squared test of homogeneity of two samples over buckets (Pearson); neighbouring buckets are joined until
/// five rows are expected of the smaller sample. Gives the chance of a difference at least this large.
#[must_use]
pub fn homogeneity(a: &[u64], b: &[u64]) -> f64 {
    let (of_a, of_b) = (total(a), total(b));
    let all = of_a + of_b;
    if of_a < 5.0 || of_b < 5.0 {
        return 1.0;
    }
    let smaller = of_a.min(of_b) / all;
    let (mut statistic, mut groups) = (0.0, 0_u32);
    let term = |x: f64, y: f64| {
        let both = x + y;
        let (expect_a, expect_b) = (both * of_a / all, both * of_b / all);
        (x - expect_a).powi(2) / expect_a + (y - expect_b).powi(2) / expect_b
    };
    let (mut x, mut y) = (0.0, 0.0);
    let mut waiting: Option<(f64, f64)> = None;
    for (&a, &b) in a.iter().zip(b) {
        x += real(a);
        y += real(b);
        if (x + y) * smaller >= 5.0 {
            if let Some((x, y)) = waiting.replace((x, y)) {
                statistic += term(x, y);
                groups += 1;
            }
            (x, y) = (0.0, 0.0);
        }
    }
    // What is left over joins the last group.
    if let Some((last_x, last_y)) = waiting {
        statistic += term(last_x + x, last_y + y);
        groups += 1;
    }
    chi_squared_tail(statistic, f64::from(groups.saturating_sub(1)))
}

/// The two-sample Kolmogorov-Smirnov test's chance for the distance `d` (asymptotic; conservative over buckets,
/// where the distance is at most the exact one).
#[must_use]
pub fn kolmogorov_smirnov_tail(d: f64, n: u64, m: u64) -> f64 {
    if n == 0 || m == 0 {
        return 1.0;
    }
    let effective = real(n) * real(m) / (real(n) + real(m));
    // Stephens' correction (1970) makes the asymptotic form good from a few rows on.
    let root = effective.sqrt();
    let x = (root + 0.12 + 0.11 / root) * d;
    let mut sum = 0.0;
    let mut sign = 1.0;
    for k in 1..=100_u32 {
        let term = (-2.0 * f64::from(k * k) * x * x).exp();
        sum += sign * term;
        sign = -sign;
        if term < 1e-16 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// Two shares, `x` of `n` and `y` of `m`: the chance of a difference at least this large (pooled normal test; where
/// fewer than ten are expected on a side, the exact conditional one).
#[must_use]
pub fn proportions(x: u64, n: u64, y: u64, m: u64) -> f64 {
    if n == 0 || m == 0 {
        return 1.0;
    }
    let pooled = real(x + y) / real(n + m);
    let least = pooled.min(1.0 - pooled) * real(n.min(m));
    if least < 10.0 {
        let share = real(m) / real(n + m);
        let up = binomial_tail(y, x + y, share);
        let down = binomial_tail(x, x + y, 1.0 - share);
        return (2.0 * up.min(down)).min(1.0);
    }
    let spread = (pooled * (1.0 - pooled) * (1.0 / real(n) + 1.0 / real(m))).sqrt();
    normal_tails((real(y) / real(m) - real(x) / real(n)) / spread)
}

/// Chances adjusted for all tests together, by Holm's method (1979): an adjusted chance at or below alpha keeps the
/// chance of any false alarm at or below alpha, however the tests depend on each other.
#[must_use]
pub fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|&a, &b| chances[a].total_cmp(&chances[b]).then(a.cmp(&b)));
    let mut adjusted = vec![1.0; chances.len()];
    let mut least = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        let factor = real((chances.len() - rank) as u64);
        least = least.max((chances[at] * factor).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

/// Whether two columns hang together differently in two samples, whatever their margins: the likelihood-ratio test
/// of no three-way interaction in the table `level * level * sample` (Bishop, Fienberg and Holland 1975, section
/// 3.4; fitted by iterative proportional fitting). Tables are `side * side`, row-major.
///
/// Gives the chance of a difference at least this large, and its size: the share of the current rows that stand in
/// another cell than the reference's association and the current margins put them.
#[must_use]
pub fn association(reference: &[u64], current: &[u64], side: usize) -> Option<(f64, f64)> {
    let (a, b, rows, columns) = compact(reference, current, side)?;
    let (of_a, of_b) = (a.iter().sum::<f64>(), b.iter().sum::<f64>());
    // Where no row was seen on either side, nothing can be told: such cells stay empty in the fit.
    let mut fit_a = vec![1.0; a.len()];
    let mut fit_b = vec![1.0; a.len()];
    for cell in 0..a.len() {
        if a[cell] + b[cell] == 0.0 {
            (fit_a[cell], fit_b[cell]) = (0.0, 0.0);
        }
    }
    for _ in 0..200 {
        let mut moved = 0.0_f64;
        for cell in 0..a.len() {
            let fitted = fit_a[cell] + fit_b[cell];
            if fitted > 0.0 {
                let factor = (a[cell] + b[cell]) / fitted;
                fit_a[cell] *= factor;
                fit_b[cell] *= factor;
            }
        }
        moved = moved.max(margins(&mut fit_a, &a, rows, columns));
        moved = moved.max(margins(&mut fit_b, &b, rows, columns));
        if moved < 1e-6 {
            break;
        }
    }
    let term =
        |seen: f64, fitted: f64| if seen > 0.0 && fitted > 0.0 { seen * (seen / fitted).ln() } else { 0.0 };
    let statistic: f64 =
        2.0 * (0..a.len()).map(|cell| term(a[cell], fit_a[cell]) + term(b[cell], fit_b[cell])).sum::<f64>();
    let df = real(((rows - 1) * (columns - 1)) as u64);
    // The size: the reference's table raked to the current margins, against the current one; chance alone is
    // taken off.
    let mut raked: Vec<f64> = a.iter().map(|&seen| (seen + 0.5 / of_a.max(1.0)) * of_b / of_a).collect();
    for _ in 0..200 {
        if margins(&mut raked, &b, rows, columns) < 1e-6 {
            break;
        }
    }
    let away: f64 =
        raked.iter().zip(&b).map(|(fitted, seen)| (seen - fitted).abs()).sum::<f64>() / (2.0 * of_b);
    let noise: f64 = raked
        .iter()
        .map(|&fitted| (2.0 / std::f64::consts::PI * fitted.max(0.0) * (1.0 + of_b / of_a)).sqrt())
        .sum::<f64>()
        / (2.0 * of_b);
    Some((chi_squared_tail(statistic, df), (away - noise).max(0.0)))
}

/// Rakes a table once to the margins of another; gives the largest relative step.
fn margins(table: &mut [f64], like: &[f64], rows: usize, columns: usize) -> f64 {
    let mut moved = 0.0_f64;
    for row in 0..rows {
        let at = row * columns..(row + 1) * columns;
        let (is, should) = (table[at.clone()].iter().sum::<f64>(), like[at.clone()].iter().sum::<f64>());
        if is > 0.0 {
            moved = moved.max((should / is - 1.0).abs());
            table[at].iter_mut().for_each(|cell| *cell *= should / is);
        }
    }
    for column in 0..columns {
        let cells = || (0..rows).map(|row| row * columns + column);
        let (is, should) =
            (cells().map(|at| table[at]).sum::<f64>(), cells().map(|at| like[at]).sum::<f64>());
        if is > 0.0 {
            moved = moved.max((should / is - 1.0).abs());
            for at in (0..rows).map(|row| row * columns + column) {
                table[at] *= should / is;
            }
        }
    }
    moved
}

/// Both tables without levels that hold less than 2 % of either side (they join the next level), with the number of
/// rows and columns left; nothing when one side has fewer than two levels or 200 rows.
fn compact(a: &[u64], b: &[u64], side: usize) -> Option<(Vec<f64>, Vec<f64>, usize, usize)> {
    if a.len() != side * side || b.len() != side * side || total(a) < 200.0 || total(b) < 200.0 {
        return None;
    }
    let groups = |of: &dyn Fn(usize, usize) -> usize| {
        let share = |counts: &[u64], level: usize| {
            (0..side).map(|other| real(counts[of(level, other)])).sum::<f64>() / total(counts)
        };
        let mut group = vec![0; side];
        let (mut at, mut held) = (0, (0.0, 0.0));
        let mut last_full = 0;
        for (level, group) in group.iter_mut().enumerate() {
            *group = at;
            held = (held.0 + share(a, level), held.1 + share(b, level));
            if held.0.min(held.1) >= 0.02 {
                last_full = at;
                at += 1;
                held = (0.0, 0.0);
            }
        }
        // What did not fill a group joins the last one that did.
        group.iter_mut().for_each(|group| *group = (*group).min(last_full));
        (group, last_full + 1)
    };
    let (row_of, rows) = groups(&|level, other| level * side + other);
    let (column_of, columns) = groups(&|level, other| other * side + level);
    if rows < 2 || columns < 2 {
        return None;
    }
    let fold = |counts: &[u64]| {
        let mut table = vec![0.0; rows * columns];
        for (cell, &count) in counts.iter().enumerate() {
            table[row_of[cell / side] * columns + column_of[cell % side]] += real(count);
        }
        table
    };
    Some((fold(a), fold(b), rows, columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{a} is not {b}");
    }

    #[test]
    fn known_values() {
        // scipy.stats.chi2_contingency([[10, 20, 30], [20, 20, 20]], correction=False)
        near(homogeneity(&[10, 20, 30], &[20, 20, 20]), 0.069_483_451_222_801_54);
        // scipy.stats.norm.sf(2.5) * 2
        near(normal_tails(2.5), 0.012_419_330_651_552_318);
        // scipy.stats.binom.sf(7, 20, 0.2)
        near(binomial_tail(8, 20, 0.2), 0.032_142_663_080_875_24);
        // The closed form of even degrees of freedom: exp(-24.5) times the sum of 24.5^i / i! for i below 25.
        near(chi_squared_tail(49.0, 50.0), 0.5134950836412907);
        // scipy.spatial.distance.jensenshannon([.5, .5], [.25, .75], base=2)
        near(jensen_shannon(&[50, 50], &[25, 75]), 0.22089576884901735);
        near(total_variation(&[50, 50], &[25, 75]), 0.25);
        near(kolmogorov_smirnov(&[50, 50], &[25, 75]), 0.25);
        assert!(psi(&[500, 500], &[500, 500]).abs() < 1e-12);
    }

    #[test]
    fn holm_steps_down() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*got, want);
        }
    }

    #[test]
    fn association_ignores_margins_and_sees_a_flip() {
        // Two levels; the reference's odds ratio is 9.
        let table = |a: u64, b: u64, c: u64, d: u64| vec![a, b, c, d];
        let reference = table(3000, 1000, 1000, 3000);
        // The same odds ratio with other margins.
        let (chance, size) = association(&reference, &table(6000, 1000, 500, 750), 2).unwrap();
        assert!(chance > 0.3 && size < 0.01, "{chance} {size}");
        let (chance, size) = association(&reference, &table(1000, 3000, 3000, 1000), 2).unwrap();
        assert!(chance < 1e-12 && size > 0.3, "{chance} {size}");
    }
}
