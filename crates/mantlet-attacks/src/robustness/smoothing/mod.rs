//! Randomised smoothing (Cohen, Rosenfeld and Kolter 2019): the answer given most often under Gaussian noise cannot be
//! changed by anything nearer than a radius that follows from how often it was given. Labels only.

use mantlet_vocab::{About, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::stats::{clopper_pearson, middle, normal_quantile};
use crate::told::{Told, rows};
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Material, Measure, Outcome, Random,
    RowOutcome, State, Stop,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "robustness-smoothing",
    title: "how far answers under noise are proved to hold",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::FIGURE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    let median = told.figure("median proved L2 radius").map_or(String::new(), |figure| {
        format!(
            "Half of the rows that the vote under noise reads right are proved to hold within a distance of {:.3} (L2); ",
            figure.value.value
        )
    });
    match told.hits() {
        0 => format!("{median}the vote reads none of {} wrong", rows(told.all())),
        hits => format!("{median}the vote reads {hits} of {} wrong", rows(told.all())),
    }
}

/// How it is measured, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Standard deviation of the noise.
    pub sigma: f32,
    /// Noisy copies that choose the class.
    pub choose: usize,
    /// Noisy copies that count its votes.
    pub count: usize,
    /// The chance that a proved radius is wrong, for each row.
    pub alpha: f64,
    /// The Euclidean radii that are reported.
    pub radii: Vec<f32>,
}

impl Default for Config {
    fn default() -> Self {
        Self { sigma: 0.1, choose: 16, count: 200, alpha: 0.001, radii: vec![0.05, 0.1, 0.2, 0.3] }
    }
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noise {
    config: Config,
    random: Random,
    shape: RowShape,
    rows: Tensor,
    labels: Vec<usize>,
    classes: usize,
    constraints: Constraints,
    /// The row that is asked about next, and rows in the open question.
    at: usize,
    open: usize,
    /// For each row the class most copies chose, and how many of the counted copies gave it.
    votes: Vec<(usize, usize)>,
}

/// The room's attack.
pub type Smoothing = Inquired<Noise>;

/// Rows of one question.
const ASKED: usize = 4_096;

impl Noise {
    const fn each(&self) -> usize {
        self.config.choose + self.config.count
    }

    /// The radius proved for a row, in the units of the noise: 0 when the vote is not clear.
    fn radius(&self, votes: usize) -> f32 {
        let low = clopper_pearson(votes, self.config.count, self.config.alpha).low;
        #[expect(clippy::cast_possible_truncation, reason = "a radius that is shown")]
        if low > 0.5 { self.config.sigma * normal_quantile(low) as f32 } else { 0.0 }
    }
}

impl Inquiry for Noise {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(config.sigma > 0.0 && config.sigma.is_finite() && config.alpha > 0.0 && config.alpha < 0.5) {
            return Err(wrong(ABOUT.name, "sigma must be positive and alpha between 0 and 0.5"));
        }
        if config.choose == 0 || config.count == 0 || config.choose + config.count > 100_000 {
            return Err(wrong(
                ABOUT.name,
                "choose and count must be at least 1, and 100000 together at most",
            ));
        }
        if material.labels.is_empty() {
            return Err(needs(ABOUT.name, "the labels of the rows"));
        }
        Ok(Self {
            config,
            random: Random::new(seed),
            shape: RowShape::of(&material.rows),
            rows: material.rows,
            labels: material.labels,
            classes: material.classes,
            constraints: material.constraints,
            at: 0,
            open: 0,
            votes: Vec::new(),
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        self.at += self.open;
        self.open = (ASKED / self.each()).max(1).min(self.rows.rows() - self.at);
        if self.open == 0 {
            return None;
        }
        let mut data = Vec::with_capacity(self.open * self.each() * self.shape.len());
        for row in self.at..self.at + self.open {
            for _ in 0..self.each() {
                for (place, value) in self.rows.row(row).iter().enumerate() {
                    data.push(
                        value + self.config.sigma * self.constraints.width(place) * self.random.normal(),
                    );
                }
            }
        }
        Some(Ask::Labels(self.shape.batch(data)))
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Labels(given) = answer else { return false };
        if given.len() != self.open * self.each() || given.iter().any(|class| *class >= self.classes) {
            return false;
        }
        for copies in given.chunks(self.each()) {
            let (choose, count) = copies.split_at(self.config.choose);
            let votes = |copies: &[usize], class: usize| copies.iter().filter(|own| **own == class).count();
            let class =
                (0..self.classes).max_by_key(|class| (votes(choose, *class), std::cmp::Reverse(*class)));
            let class = class.unwrap_or(0);
            self.votes.push((class, votes(count, class)));
        }
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let n = self.votes.len();
        let radii: Vec<f32> = self.votes.iter().map(|(_, votes)| self.radius(*votes)).collect();
        let right = |row: usize| self.votes[row].0 == self.labels[row];
        let read = (0..n).filter(|row| right(*row)).count();
        let mut figures = vec![Measure::share("rows the vote under noise reads right", read, n)];
        for radius in &self.config.radii {
            let hold = (0..n).filter(|row| right(*row) && radii[*row] >= *radius).count();
            figures.push(Measure::share(format!("rows proved right within L2 {radius}"), hold, n));
        }
        let mut sorted: Vec<f32> = (0..n).filter(|row| right(*row)).map(|row| radii[row]).collect();
        sorted.sort_by(f32::total_cmp);
        let median = f64::from(middle(&sorted));
        figures.push(Measure::plain("median proved L2 radius of rows read right", median, sorted.len()));
        let rows = (0..self.labels.len()).map(|row| {
            let state = match (stopped, row < n) {
                (Some(why), false) => why.state(),
                (None, false) => State::Error,
                (_, true) if !right(row) => State::Hit,
                (_, true) if radii[row] > 0.0 => State::Miss,
                (_, true) => State::Undecided,
            };
            let after = self.votes.get(row).map(|(class, _)| *class);
            RowOutcome {
                before: Some(self.labels[row]),
                after,
                queries: if row < n { self.each() as u64 } else { 0 },
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
                    "what is proved holds for the vote of noisy copies (sigma {}), each radius wrong with a chance of \
                     {} at most; the model asked once, without noise, is not the model that is proved",
                    self.config.sigma, self.config.alpha
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
    fn a_proved_radius_is_never_larger_than_the_true_distance() {
        // Class 1 where the first value is above 0.5: the vote changes exactly there.
        let rows = Tensor::new([3, 2], vec![0.62, 0.5, 0.3, 0.5, 0.9, 0.1]).unwrap();
        let weights = vec![vec![0.0, 0.0], vec![1.0, 0.0]];
        let model = crate::testing::Model::Linear {
            weights,
            bias: vec![0.0, -0.5],
            scale: 1.0,
            backdoor: None,
            softmax: false,
            masked: false,
        };
        let noise = Noise::prepare(Config::default(), 3, Material::new(rows, vec![1, 0, 1], 2)).unwrap();
        let mut attack =
            Inquired::<Noise>::new(Config::default(), 3, Material::new(noise.rows.clone(), vec![1, 0, 1], 2))
                .unwrap();
        let (outcome, _) = model.play(&mut attack);
        assert!(outcome.rows.iter().all(|row| row.state == State::Miss), "{outcome:?}");
        for (votes, distance) in [(176, 0.12), (195, 0.2), (200, 0.4)] {
            assert!(noise.radius(votes) < distance, "{votes}: {}", noise.radius(votes));
        }
        assert_eq!(noise.radius(100), 0.0);
    }
}
