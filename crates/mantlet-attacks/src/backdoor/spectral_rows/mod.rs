//! Spectral signatures (Tran, Li and Madry 2018): poisoned rows of a label lie far out along the direction in which
//! the activations of that label spread most.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::inside;
use crate::inquiry::{needs, wrong};
use crate::told::{Told, singled};
use crate::{
    Answer, Ask, AttackError, Detail, Inquired, Inquiry, Material, Outcome, Random, RowOutcome, State, Stop,
    wilson,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "backdoor-spectral-rows",
    title: "rows lie far out along one direction inside the model",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Low,
    atlas: &["AML.T0020", "AML.T0018.000"],
    owasp: &["ML02:2023", "ML10:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    singled(told, "lie far out from the others of their label along one direction inside the model")
}

/// When a row is singled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Robust deviations from the label's median along its direction of greatest spread.
    pub deviations: f32,
    /// At most this share of a label's rows, the farthest.
    pub most: f32,
    /// Fewer rows of a label are not judged.
    pub rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { deviations: 4.0, most: 0.3, rows: 20 }
    }
}

impl Config {
    fn check(&self) -> Result<(), &'static str> {
        if !(self.deviations > 0.0 && self.most > 0.0 && self.most < 1.0) || self.rows < 4 {
            return Err("deviations must be above 0, most between 0 and 1, rows at least 4");
        }
        Ok(())
    }

    fn words(&self) -> String {
        format!(
            "a row is singled out when it lies at least {:.1} robust deviations out along the direction in which its \
             label's activations spread most; odd honest rows do so too, so look at rows",
            self.deviations
        )
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spectrum {
    config: Config,
    random: Random,
    rows: Tensor,
    labels: Vec<usize>,
    classes: usize,
    asked: bool,
    singled: Option<Vec<bool>>,
    errors: bool,
}

/// The room's attack.
pub type SpectralRows = Inquired<Spectrum>;

impl Spectrum {
    fn judge(&mut self, values: &Tensor) -> Vec<bool> {
        let mut singled = vec![false; self.labels.len()];
        for rows in inside::by_class(&self.labels, self.classes) {
            if rows.len() < self.config.rows {
                continue;
            }
            let points = inside::project(values, &rows, 1, &mut self.random);
            let along: Vec<f32> = points.iter().map(|point| point.first().copied().unwrap_or(0.0)).collect();
            let mut sorted = along.clone();
            sorted.sort_by(f32::total_cmp);
            let centre = crate::stats::middle(&sorted);
            let mut spread: Vec<f32> = along.iter().map(|value| (value - centre).abs()).collect();
            spread.sort_by(f32::total_cmp);
            let unit = (1.4826 * crate::stats::middle(&spread)).max(1e-9);
            let mut out: Vec<(f32, usize)> = along
                .iter()
                .zip(&rows)
                .map(|(value, row)| ((value - centre).abs() / unit, *row))
                .filter(|(far, _)| *far >= self.config.deviations)
                .collect();
            out.sort_by(|a, b| b.0.total_cmp(&a.0));
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a count"
            )]
            out.truncate((rows.len() as f32 * self.config.most) as usize);
            out.iter().for_each(|(_, row)| singled[*row] = true);
        }
        singled
    }
}

impl Inquiry for Spectrum {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        config.check().map_err(|reason| wrong(ABOUT.name, reason))?;
        if material.labels.is_empty() || material.classes == 0 {
            return Err(needs(ABOUT.name, "the labels of the training rows"));
        }
        Ok(Self {
            config,
            random: Random::new(seed),
            rows: material.rows,
            labels: material.labels,
            classes: material.classes,
            asked: false,
            singled: None,
            errors: false,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let first = !std::mem::replace(&mut self.asked, true);
        first.then(|| Ask::Activations(self.rows.clone()))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Scores(values) = answer else { return false };
        if values.rows() != self.labels.len() || values.row_len() == 0 {
            return false;
        }
        self.errors = values.data().iter().any(|value| !value.is_finite());
        if !self.errors {
            self.singled = Some(self.judge(&values));
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let singled = |row: usize| self.singled.as_ref().is_some_and(|singled| singled[row]);
        let rows: Vec<RowOutcome> = (0..self.labels.len())
            .map(|row| {
                let state = match stopped {
                    Some(why) => why.state(),
                    None if self.errors || self.singled.is_none() => State::Error,
                    None if singled(row) => State::Hit,
                    None => State::Miss,
                };
                RowOutcome {
                    before: Some(self.labels[row]),
                    queries: 1,
                    ..RowOutcome::without_result(row, state)
                }
            })
            .collect();
        let hits = rows.iter().filter(|row| row.state == State::Hit).count();
        Outcome {
            attack: ABOUT.name.to_owned(),
            stopped,
            detail: Detail::Rows { share: wilson(hits, rows.len()), decision: self.config.words() },
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
