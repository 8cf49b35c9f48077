//! Whether confidence can be believed: expected calibration error over bins of equal numbers (Guo and others 2017;
//! Nixon and others 2019) with a bootstrap interval, the Brier score, and the rows that are wrong with confidence.

use mantlet_vocab::{About, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::told::{Told, percent};
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Interval, Material, Measure, Method, Outcome,
    Random, RowOutcome, ScoreKind, State, Stop, Unit,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "robustness-calibration",
    title: "decisions are wrong more often than their confidence says",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::FIGURE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let error = told.figure("expected calibration error").map_or(String::new(), |figure| {
        format!(
            "Stated confidence and the share of right decisions differ by {} in the mean; ",
            percent(figure.value.value)
        )
    });
    match told.hits() {
        0 => format!("{error}no decision of {} is wrong at high confidence", told.all()),
        hits => format!("{error}{hits} of {} decisions are wrong at high confidence", told.all()),
    }
}

/// How it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bins of equal numbers.
    pub bins: usize,
    /// Samples of the bootstrap.
    pub samples: usize,
    /// From this confidence on, a wrong decision is a hit.
    pub sure: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { bins: 15, samples: 400, sure: 0.9 }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confidence {
    config: Config,
    seed: u64,
    rows: Tensor,
    labels: Vec<usize>,
    asked: bool,
    /// For each row its confidence, its decision, and the squared error of all probabilities; `None` for no numbers.
    given: Vec<Option<(f32, usize, f32)>>,
    kind: String,
}

/// The room's attack.
pub type Calibration = Inquired<Confidence>;

/// The expected calibration error of pairs of confidence and whether the decision is right.
fn error(pairs: &mut [(f32, bool)], bins: usize) -> f64 {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = pairs.len().max(1);
    let size = n.div_ceil(bins).max(1);
    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    pairs
        .chunks(size)
        .map(|bin| {
            let confidence: f64 = bin.iter().map(|(confidence, _)| f64::from(*confidence)).sum();
            let right = bin.iter().filter(|(_, right)| *right).count() as f64;
            (confidence - right).abs() / n as f64
        })
        .sum()
}

impl Inquiry for Confidence {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.bins == 0 || config.samples == 0 || !(0.0..=1.0).contains(&config.sure) {
            return Err(wrong(ABOUT.name, "bins and samples must be at least 1, sure between 0 and 1"));
        }
        if material.labels.is_empty() {
            return Err(needs(ABOUT.name, "the labels of the rows"));
        }
        Ok(Self {
            config,
            seed,
            rows: material.rows,
            labels: material.labels,
            asked: false,
            given: Vec::new(),
            kind: String::new(),
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let first = !std::mem::replace(&mut self.asked, true);
        first.then(|| Ask::Scores(self.rows.clone()))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Scores(scores) = answer else { return false };
        if scores.rows() != self.labels.len() || scores.row_len() < 2 {
            return false;
        }
        let kind = ScoreKind::recognise(&scores);
        self.kind = match kind {
            ScoreKind::Logits => "logits, turned into probabilities by a softmax",
            ScoreKind::Probabilities => "probabilities",
            ScoreKind::TopK => "the best few classes' shares",
            ScoreKind::TopOnly => "the best class's share alone",
        }
        .to_owned();
        let shares = kind.probabilities(&scores);
        let best = shares.argmax_rows();
        self.given = (0..shares.rows())
            .map(|row| {
                let values = shares.row(row);
                let finite = scores.row(row).iter().chain(values).all(|value| value.is_finite());
                let wanted = |class: usize| f32::from(u8::from(class == self.labels[row]));
                let brier = values.iter().enumerate().map(|(class, p)| (p - wanted(class)).powi(2)).sum();
                finite.then_some((values[best[row]], best[row], brier))
            })
            .collect();
        true
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let known: Vec<(f32, bool, f32)> = self
            .given
            .iter()
            .zip(&self.labels)
            .filter_map(|(given, label)| given.map(|(sure, class, brier)| (sure, class == *label, brier)))
            .collect();
        let n = known.len();
        let mut figures = Vec::new();
        if n > 0 {
            let pairs: Vec<(f32, bool)> = known.iter().map(|(sure, right, _)| (*sure, *right)).collect();
            let value = error(&mut pairs.clone(), self.config.bins);
            let mut random = Random::new(self.seed);
            let mut drawn: Vec<f64> = (0..self.config.samples)
                .map(|_| {
                    let mut sample: Vec<(f32, bool)> = (0..n).map(|_| pairs[random.below(n)]).collect();
                    error(&mut sample, self.config.bins)
                })
                .collect();
            drawn.sort_by(f64::total_cmp);
            let at = |share: f64| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a place in a list"
                )]
                let place = (share * (drawn.len() - 1) as f64).round() as usize;
                drawn.get(place).copied().unwrap_or(value)
            };
            // The error of a sample is larger than that of the rows by chance alone; twice the value minus a quantile
            // takes that out (basic bootstrap).
            let interval = Interval {
                value,
                low: (2.0 * value - at(0.975)).clamp(0.0, value),
                high: (2.0 * value - at(0.025)).max(value).min(1.0),
            };
            figures.push(Measure {
                value: interval,
                method: Some(Method::Bootstrap),
                ..Measure::plain("expected calibration error", value, n).unit(Unit::Share)
            });
            let right = known.iter().filter(|(_, right, _)| *right).count();
            figures.push(Measure::share("rows read right", right, n));
            let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n as f64;
            let plain = |name: &str, value: f64| Measure::plain(name, value, n);
            figures.push(
                plain("mean confidence", mean(&mut known.iter().map(|(sure, _, _)| f64::from(*sure))))
                    .unit(Unit::Share),
            );
            figures
                .push(plain("Brier score", mean(&mut known.iter().map(|(_, _, brier)| f64::from(*brier)))));
            let sure = known.iter().filter(|(sure, _, _)| *sure >= self.config.sure).count();
            let wrong = known.iter().filter(|(sure, right, _)| *sure >= self.config.sure && !right).count();
            let name = format!("wrong decisions among those of confidence {} or more", self.config.sure);
            figures.push(Measure::share(name, wrong, sure));
        }
        let rows = (0..self.labels.len()).map(|row| {
            let given = self.given.get(row).copied().flatten();
            let state = match (stopped, given) {
                (Some(why), _) => why.state(),
                (None, None) => State::Error,
                (None, Some((sure, class, _))) if sure >= self.config.sure && class != self.labels[row] => {
                    State::Hit
                }
                (None, Some(_)) => State::Miss,
            };
            RowOutcome {
                before: Some(self.labels[row]),
                after: given.map(|(_, class, _)| class),
                queries: 1,
                ..RowOutcome::without_result(row, state)
            }
        });
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            rows: rows.collect(),
            detail: Detail::Measured {
                figures,
                notes: vec![format!(
                    "scores were recognised as {}; a hit is a wrong decision of high confidence",
                    self.kind
                )],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn the_error_of_known_pairs() {
        let mut pairs: Vec<(f32, bool)> = (0..10).map(|at| (0.8, at < 8)).collect();
        assert!(error(&mut pairs, 1) < 1e-6);
        let mut pairs: Vec<(f32, bool)> = (0..10).map(|at| (0.9, at < 6)).collect();
        assert!((error(&mut pairs, 1) - 0.3).abs() < 1e-6);
        // In two bins the errors of both count: |0.5 - 1| and |0.9 - 0| over halves.
        let mut pairs = vec![(0.5, true), (0.9, false)];
        assert!((error(&mut pairs, 2) - 0.7).abs() < 1e-6);
    }
}
