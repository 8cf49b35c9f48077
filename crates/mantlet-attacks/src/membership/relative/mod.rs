//! Membership relative to reference models and a population (Zarifzadeh, Liu and Shokri, RMIA, 2024). The published
//! score counts the rows of a population that a candidate's ratio exceeds; over one fixed population that count
//! grows with the ratio, so the ratio itself ranks the same and has no ties.

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use super::shadows::{Next, Shadows, over_shadows};
pub(crate) use crate::told::members as say;
use crate::{Answer, Attack, AttackError, Material, Outcome, State, Step, Stop};

pub use super::shadows::Shadowing;

/// The room's card.
pub const ABOUT: About = About {
    name: "membership-relative",
    title: "a record is likelier under this model than under models of the same kind",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.000"],
    owasp: &["ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether only the shadows that did not learn a row are used.
    pub offline: bool,
    /// Offline only: how much of the rise by learning is assumed, `a` of the paper's equation 10.
    pub rise: f64,
    /// The shadows.
    pub shadowing: Shadowing,
}

impl Default for Config {
    fn default() -> Self {
        Self { offline: false, rise: 0.3, shadowing: Shadowing { shadows: 16, ..Shadowing::default() } }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Relative {
    offline: bool,
    rise: f64,
    shadows: Shadows,
    over: bool,
}

impl Relative {
    /// Prepares the attack: members in `rows`, non-members in `pool`, both with labels.
    ///
    /// # Errors
    /// When the configuration is out of range, or there are no non-members or labels.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(0.0..=1.0).contains(&config.rise) {
            let reason = "rise must be between 0 and 1".to_owned();
            return Err(AttackError::Config { attack: ABOUT.name, reason });
        }
        if !material.values.is_empty() {
            let needs = "classes; `membership-likelihood-ratio` takes models that give a score".to_owned();
            return Err(AttackError::Material { attack: ABOUT.name, needs });
        }
        let shadows = Shadows::new(ABOUT.name, config.shadowing, seed, &material)?;
        Ok(Self { offline: config.offline, rise: config.rise, shadows, over: false })
    }

    fn scores(&self) -> Vec<Option<f32>> {
        let share = |odds: f32| 1.0 / (1.0 + (-f64::from(odds)).exp());
        #[expect(clippy::cast_precision_loss, reason = "a few shadows")]
        let mean =
            |odds: &[f32]| odds.iter().map(|odds| share(*odds)).sum::<f64>() / odds.len().max(1) as f64;
        let reference = |row: usize| {
            let (with, without) = self.shadows.split(row);
            if self.offline {
                0.5 * ((1.0 + self.rise) * mean(&without) + (1.0 - self.rise))
            } else {
                0.5 * (mean(&with) + mean(&without))
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "a score that is ranked")]
        self.shadows
            .target()
            .iter()
            .enumerate()
            .map(|(row, odds)| odds.map(|odds| (share(odds) / reference(row).max(1e-12)).ln() as f32))
            .collect()
    }

    fn score(&self) -> String {
        "logarithm of the true label's probability over its mean in models of the same kind".to_owned()
    }
}

over_shadows!(Relative);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }
}
