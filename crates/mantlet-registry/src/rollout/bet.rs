//! A test of "no worse than by this margin" that stays valid however often one looks.
//!
//! Wealth is staked on the candidate being worse. Each observed difference in [-1, 1] multiplies it by
//! `1 + stake * (difference - margin)`, which on average does not grow while the candidate is no worse than the
//! margin: wealth is then a non-negative supermartingale that starts at 1, and by Ville's inequality it ever
//! reaches `1 / a` with probability at most `a`, whatever the distribution and whenever one stops. Several stakes
//! play side by side and their mean counts, so that large and small differences are both found.
//!
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024),
//! arXiv 2010.09686; for always-valid p-values in experiments Johari, Koomen, Pekelis and Walsh, "Always valid
//! inference", Operations Research 70 (2022), arXiv 1512.04922.

use serde::{Deserialize, Serialize};

/// Stakes, as shares of the largest that can never lose everything.
const STAKES: [f64; 8] = [0.01, 0.03, 0.08, 0.16, 0.3, 0.5, 0.75, 0.95];

/// Wealth beyond this is not counted further; giving some away keeps the law.
const PLENTY: f64 = 1e200;

/// Wealth staked on a mean difference above `margin`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bet {
    margin: f64,
    wealth: [f64; 8],
}

impl Bet {
    /// A fresh bet against "the mean difference is at most `margin`", which is in [0, 1).
    #[must_use]
    pub fn new(margin: f64) -> Self {
        Self { margin: margin.clamp(0.0, 0.999), wealth: [1.0; 8] }
    }

    /// Takes in one difference, candidate minus baseline, in [-1, 1]. One that is no number changes nothing.
    pub fn see(&mut self, difference: f64) {
        if !difference.is_finite() {
            return;
        }
        let most = 1.0 / (1.0 + self.margin);
        let gain = difference.clamp(-1.0, 1.0) - self.margin;
        for (wealth, stake) in self.wealth.iter_mut().zip(STAKES) {
            *wealth = (*wealth * (1.0 + stake * most * gain)).min(PLENTY);
        }
    }

    /// The evidence now: 1 at the start; at least `1 / a` ever with probability at most `a` while the candidate is
    /// no worse.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.wealth.iter().sum::<f64>() / 8.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wealth_never_goes_below_nothing_and_does_not_grow_by_chance() {
        for margin in [0.0, 0.05, 0.9] {
            // At the margin itself the mean of the factors over a fair two-point difference is exactly one.
            let (up, down) = (1.0, -1.0);
            let likely = (margin - down) / (up - down);
            let grown = |difference: f64| {
                let mut bet = Bet::new(margin);
                bet.see(difference);
                assert!(bet.wealth.iter().all(|wealth| *wealth > 0.0));
                bet.evidence()
            };
            let mean = likely * grown(up) + (1.0 - likely) * grown(down);
            assert!((mean - 1.0).abs() < 1e-12, "{margin}: {mean}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_evidence() {
        let mut bet = Bet::new(0.01);
        for difference in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            bet.see(difference);
        }
        assert_eq!(bet, Bet::new(0.01));
        for _ in 0..100_000 {
            bet.see(1e9);
        }
        assert!(bet.evidence().is_finite());
    }

    #[test]
    fn a_candidate_that_always_fails_is_found_in_a_dozen_looks() {
        let mut bet = Bet::new(0.02);
        let looks = (1..).find(|_| {
            bet.see(1.0);
            bet.evidence() >= 4_000.0
        });
        assert!(looks.is_some_and(|looks| looks <= 18), "{looks:?}");
    }
}
