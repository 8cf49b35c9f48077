//! How the score a model gives hangs together with the sum of its trees.

use mantlet_vocab::TreeEnsemble;
use serde::{Deserialize, Serialize};

use super::leaves::Forest;
use crate::evasion::hunt::Base;

/// What stands between a sum and the score: for each there is a sum that gives a wanted score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Link {
    /// The score is the sum.
    Same,
    /// It is what the sum lacks to one.
    Rest,
    /// It is the sum as odds.
    Odds,
    /// It is the sum as odds of the other class.
    OtherOdds,
}

impl Link {
    const ALL: [Self; 4] = [Self::Same, Self::Rest, Self::Odds, Self::OtherOdds];

    fn score(self, sum: f64) -> f64 {
        match self {
            Self::Same => sum,
            Self::Rest => 1.0 - sum,
            Self::Odds => 1.0 / (1.0 + (-sum).exp()),
            Self::OtherOdds => 1.0 / (1.0 + sum.exp()),
        }
    }

    /// The sum with this score; `None` where no sum has it.
    pub(super) fn sum(self, score: f64) -> Option<f64> {
        let odds = || (score > 0.0 && score < 1.0).then(|| (score / (1.0 - score)).ln());
        match self {
            Self::Same => Some(score),
            Self::Rest => Some(1.0 - score),
            Self::Odds => odds(),
            Self::OtherOdds => odds().map(|sum| -sum),
        }
    }

    /// Whether the score falls as the sum rises.
    pub(super) const fn turns(self) -> bool {
        matches!(self, Self::Rest | Self::OtherOdds)
    }

    /// The one by which the sums of these rows are the scores that the model gave them, every one; `None` where there
    /// is none, as behind an exponential or when something follows the trees.
    pub(super) fn of(base: &Base, trees: &TreeEnsemble, output: usize) -> Option<Self> {
        let forest = Forest::toward(trees, output, false, 0.0).ok()?;
        let sums: Vec<(f64, f64)> = base
            .rows
            .iter()
            .map(|row| (forest.margin(base.originals.row(row.index)), f64::from(row.score)))
            .collect();
        let fits = |link: &Self| {
            sums.iter().all(|(sum, score)| (link.score(*sum) - score).abs() <= 1e-4 * (1.0 + score.abs()))
        };
        Self::ALL.into_iter().find(fits)
    }
}
