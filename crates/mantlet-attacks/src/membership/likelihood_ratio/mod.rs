//! Membership by the likelihood ratio (Carlini and others, LiRA, 2022): is the model's fit of a row more like that
//! of models which learned the row, or of models which did not?

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use super::shadows::{Next, Shadows, mean, over_shadows};
pub(crate) use crate::told::members as say;
use crate::{Answer, Attack, AttackError, Material, Outcome, State, Step, Stop};

pub use super::shadows::Shadowing;

/// The room's card.
pub const ABOUT: About = About {
    name: "membership-likelihood-ratio",
    title: "models trained with and without a record show whether this one was trained with it",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.000"],
    owasp: &["ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether only the shadows that did not learn a row are used: weaker, and possible for an attacker who sees
    /// the row only after training shadows.
    pub offline: bool,
    /// The shadows.
    pub shadowing: Shadowing,
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LikelihoodRatio {
    offline: bool,
    shadows: Shadows,
    over: bool,
}

/// How many values the common spread counts for beside a row's own: with few shadows a row's own spread is noise.
const PRIOR: f64 = 24.0;

impl LikelihoodRatio {
    /// Prepares the attack: members in `rows`, non-members in `pool`, both with labels.
    ///
    /// # Errors
    /// When the configuration is out of range, or there are no non-members or labels.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        let shadows = Shadows::new(ABOUT.name, config.shadowing, seed, &material)?;
        Ok(Self { offline: config.offline, shadows, over: false })
    }

    /// What is compared: with both kinds of shadows the sign of a score's error tells too; with one kind only how small it is.
    fn view(&self, value: f32) -> f32 {
        if self.offline { self.shadows.fit(value) } else { value }
    }

    fn split(&self, row: usize) -> (Vec<f32>, Vec<f32>) {
        let (with, without) = self.shadows.split(row);
        let seen = |values: Vec<f32>| values.into_iter().map(|value| self.view(value)).collect();
        (seen(with), seen(without))
    }

    fn scores(&self) -> Vec<Option<f32>> {
        let split: Vec<(Vec<f32>, Vec<f32>)> = (0..self.shadows.len()).map(|row| self.split(row)).collect();
        let common_in = common_spread(split.iter().map(|(with, _)| with.as_slice()));
        let common_out = common_spread(split.iter().map(|(_, without)| without.as_slice()));
        let ratio = |(with, without): &(Vec<f32>, Vec<f32>), odds: f32| {
            let odds = f64::from(self.view(odds));
            let spread_out = spread(without, common_out);
            if self.offline {
                return (odds - mean(without)) / spread_out.sqrt();
            }
            log_density(odds, mean(with), spread(with, common_in))
                - log_density(odds, mean(without), spread_out)
        };
        #[expect(clippy::cast_possible_truncation, reason = "a score that is ranked")]
        self.shadows
            .target()
            .iter()
            .zip(&split)
            // What differs by rounding alone is the same: ties between rows are no evidence.
            .map(|(odds, split)| odds.map(|odds| ((ratio(split, odds) * 1e6).round() / 1e6) as f32))
            .collect()
    }

    fn score(&self) -> String {
        if self.shadows.scored() && self.offline {
            "deviations by which the score is nearer the true one than in models that did not learn the row"
        } else if self.shadows.scored() {
            "log likelihood ratio of the score's error: models that learned the row against models that did not"
        } else if self.offline {
            "deviations of the true label's log-odds above those of models that did not learn the row"
        } else {
            "log likelihood ratio of the true label's log-odds: models that learned the row against models that did \
             not"
        }
        .to_owned()
    }
}

over_shadows!(LikelihoodRatio);

/// Mean squared deviation from each row's own mean.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn common_spread<'a>(rows: impl Iterator<Item = &'a [f32]>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for row in rows {
        let centre = mean(row);
        sum += row.iter().map(|value| (f64::from(*value) - centre).powi(2)).sum::<f64>();
        count += row.len();
    }
    (sum / count.max(1) as f64).max(1e-6)
}

/// A row's own spread, drawn towards the common one.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn spread(values: &[f32], common: f64) -> f64 {
    let centre = mean(values);
    let own: f64 = values.iter().map(|value| (f64::from(*value) - centre).powi(2)).sum();
    ((own + PRIOR * common) / (values.len() as f64 + PRIOR)).max(1e-6)
}

fn log_density(value: f64, mean: f64, spread: f64) -> f64 {
    -(value - mean).powi(2) / (2.0 * spread) - 0.5 * spread.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }
}
