//! A class whose weights in the last layer stand out (Fields and others, Trojan Signatures in DNN Weights, 2021): a
//! planted class is pulled up from everywhere, so the mean of its weights lies above the other classes'. No query is
//! asked and no row is needed.

use mantlet_vocab::{About, Confidence, Impact, Severity};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::stats::middle;
use crate::told::Told;
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Material, Measure, Outcome, RowOutcome, State, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-weight-outliers",
    title: "the last layer's weights of one class stand out from all others",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Low,
    atlas: &["AML.T0018.000"],
    owasp: &["ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "The last layer's weights of no class stand out from all others".to_owned();
    }
    format!(
        "The last layer's weights of {} stand out from all others, which is weak evidence of a planted mark",
        told.classes()
    )
}

/// When a class stands out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Gap to the next class over the range of all classes (Dixon's Q) from which the highest stands out.
    pub gap: f64,
    /// Robust deviations from the median it must have besides.
    pub deviations: f64,
    /// With fewer classes there is too little to compare with.
    pub classes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { gap: 0.5, deviations: 4.0, classes: 5 }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Weights {
    config: Config,
    means: Vec<f32>,
}

/// The room's attack.
pub type WeightOutliers = Inquired<Weights>;

impl Inquiry for Weights {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(config.gap > 0.0 && config.gap < 1.0 && config.deviations > 0.0) || config.classes < 3 {
            return Err(wrong(
                ABOUT.name,
                "gap must be between 0 and 1, deviations above 0, classes at least 3",
            ));
        }
        let Some(weights) = material.last_weights.filter(|weights| weights.rows() >= config.classes) else {
            return Err(needs(
                ABOUT.name,
                "the file of a network whose last layer has at least five classes",
            ));
        };
        if weights.data().iter().any(|value| !value.is_finite()) || weights.row_len() == 0 {
            return Err(needs(ABOUT.name, "weights that are finite numbers"));
        }
        #[expect(clippy::cast_precision_loss, reason = "a layer's width")]
        let mean = |row: usize| weights.row(row).iter().sum::<f32>() / weights.row_len() as f32;
        Ok(Self { config, means: (0..weights.rows()).map(mean).collect() })
    }

    fn ask(&mut self) -> Option<Ask> {
        None
    }

    fn take(&mut self, _: Answer) -> bool {
        false
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let mut sorted = self.means.clone();
        sorted.sort_by(f32::total_cmp);
        let centre = middle(&sorted);
        let mut spread: Vec<f32> = sorted.iter().map(|mean| (mean - centre).abs()).collect();
        spread.sort_by(f32::total_cmp);
        let spread = f64::from((1.4826 * middle(&spread)).max(1e-9));
        let range = f64::from(sorted.last().unwrap_or(&0.0) - sorted.first().unwrap_or(&0.0)).max(1e-9);
        let top = sorted.last().copied().unwrap_or(0.0);
        let next = sorted.len().checked_sub(2).map_or(top, |at| sorted[at]);
        let gap = f64::from(top - next) / range;
        let deviations = f64::from(top - centre) / spread;
        let stands_out = gap >= self.config.gap && deviations >= self.config.deviations;
        let rows = self.means.iter().enumerate().map(|(class, mean)| {
            let state = match stopped {
                Some(why) => why.state(),
                None if stands_out && *mean >= top => State::Hit,
                None => State::Miss,
            };
            RowOutcome { after: Some(class), ..RowOutcome::without_result(class, state) }
        });
        let figure = |name: &str, value: f64| Measure::plain(name, value, self.means.len());
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Measured {
                figures: vec![
                    figure("gap of the highest class to the next, over the range", gap),
                    figure("robust deviations of the highest class", deviations),
                ],
                notes: vec![
                    "weights alone are weak evidence: honest rare or easy classes stand out too; ask for the trigger".to_owned(),
                ],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(top: f32) -> Material {
        let data = (0..6).flat_map(|class| {
            let mean = if class == 4 { top } else { 0.01 * class as f32 };
            [mean - 0.2, mean + 0.2]
        });
        let rows = mantlet_vocab::Tensor::full([1, 2], 0.5);
        let weights = mantlet_vocab::Tensor::new([6, 2], data.collect()).unwrap();
        Material::new(rows, vec![0], 6).last_weights(Some(weights))
    }

    fn states(material: Material) -> Vec<State> {
        let inquiry = Weights::prepare(Config::default(), 0, material).unwrap();
        inquiry.outcome(None).rows.iter().map(|row| row.state).collect()
    }

    #[test]
    fn a_class_that_stands_out_is_named_and_an_even_spread_is_not() {
        assert_eq!(states(weights(0.5)).iter().position(|state| *state == State::Hit), Some(4));
        assert!(states(weights(0.04)).iter().all(|state| *state == State::Miss));
    }

    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
