//! How likely a count is when another was expected.

use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::{checked_gamma_lr, checked_gamma_ur};

/// The chance of at most `seen` (`few`) or at least `seen` events where `expected` are expected with this
/// variance. Exact for a binomial (variance below the mean), a Poisson (equal) and a negative binomial count
/// (above, when the expectation itself is uncertain); a sum of unequal trials is taken as the binomial of its mean
/// and variance.
pub(super) fn tail(seen: f64, expected: f64, variance: f64, few: bool) -> f64 {
    if expected <= 0.0 || variance <= 0.0 {
        return 1.0;
    }
    if !few && seen <= 0.0 {
        return 1.0;
    }
    let ratio = variance / expected;
    let chance = if ratio < 0.995 {
        let each = 1.0 - ratio;
        let trials = (expected / each).max(seen + 1e-9);
        if few {
            if trials - seen < 1e-6 {
                Some(1.0)
            } else {
                checked_beta_reg(trials - seen, seen + 1.0, 1.0 - each).ok()
            }
        } else {
            checked_beta_reg(seen, trials - seen + 1.0, each).ok()
        }
    } else if ratio <= 1.005 {
        if few { checked_gamma_ur(seen + 1.0, expected).ok() } else { checked_gamma_lr(seen, expected).ok() }
    } else {
        let shape = expected / (ratio - 1.0);
        let stop = 1.0 / ratio;
        if few {
            checked_beta_reg(shape, seen + 1.0, stop).ok()
        } else {
            checked_beta_reg(seen, shape, 1.0 - stop).ok()
        }
    };
    chance.unwrap_or(1.0).clamp(0.0, 1.0)
}

/// The chance of `hits` or more in `n` trials of chance `p`.
pub(crate) fn binomial_tail(hits: u64, n: u64, p: f64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    if hits > n || p <= 0.0 {
        return 0.0;
    }
    let (hits, n) = (super::real(hits), super::real(n));
    checked_beta_reg(hits, n - hits + 1.0, p.min(1.0)).unwrap_or(1.0).clamp(0.0, 1.0)
}

/// The chance that a chi-squared variable with `df` degrees of freedom is at least `x`.
pub(super) fn chi_squared(x: f64, df: f64) -> f64 {
    if x <= 0.0 || df <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(df / 2.0, x / 2.0).unwrap_or(0.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tails() {
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-6, "{a} is not {b}");
        // scipy.stats: binom.cdf(3, 20, .4), binom.sf(12, 20, .4), poisson.cdf(60, 100), poisson.sf(139, 100),
        // nbinom.cdf(60, 50, 1/3), nbinom.sf(139, 50, 1/3)
        near(tail(3.0, 8.0, 4.8, true), 0.015_961_162_790_008_25);
        near(tail(13.0, 8.0, 4.8, false), 0.021_028_927_477_771_155);
        near(tail(60.0, 100.0, 100.0, true), 1.081_221_817_024_400_6e-5);
        near(tail(140.0, 100.0, 100.0, false), 9.164_651_426_510_271e-5);
        near(tail(60.0, 100.0, 300.0, true), 0.005_455_572_081_327_209);
        near(tail(140.0, 100.0, 300.0, false), 0.017_137_335_391_561_22);
    }
}
