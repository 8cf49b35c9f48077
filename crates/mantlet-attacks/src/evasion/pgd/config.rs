//! How the attack climbs.

use serde::{Deserialize, Serialize};

use crate::{Loss, Norm};

/// Which loss a restart climbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Climb {
    /// Cross-entropy: the classic, blind where the softmax saturates.
    CrossEntropy,
    /// Margin.
    Margin,
    /// Difference of logits ratio (with a two-class form): not blinded by scaled logits.
    LogitRatio,
}

impl Climb {
    pub(super) fn loss(self, labels: Vec<usize>) -> Loss {
        match self {
            Self::CrossEntropy => Loss::CrossEntropy { labels },
            Self::Margin => Loss::Margin { labels },
            Self::LogitRatio => Loss::LogitRatio { labels },
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Margin => "margin",
            Self::LogitRatio => "logit-ratio",
        }
    }
}

/// How it climbs. Distances are in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The radius of the ball.
    pub epsilon: f32,
    /// Steps a restart.
    pub steps: usize,
    /// Step length; 2.5 radii over the steps when absent.
    pub step: Option<f32>,
    /// Restarts; each starts at another random point and only works on rows not yet evaded.
    pub restarts: usize,
    /// The losses restarts take in turn.
    pub losses: Vec<Climb>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            norm: Norm::Linf,
            epsilon: 0.15,
            steps: 40,
            step: None,
            restarts: 2,
            losses: vec![Climb::CrossEntropy, Climb::LogitRatio],
        }
    }
}
