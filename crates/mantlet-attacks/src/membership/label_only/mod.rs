//! Membership from labels alone (Choquette-Choo and others, 2021): a model holds on to the label of a row it learned
//! under more disturbance than to that of a row it did not.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use super::measure::Measured;
use crate::rows::RowShape;
pub(crate) use crate::told::members as say;
use crate::{Answer, Ask, Attack, AttackError, Constraints, Material, Outcome, Random, State, Step, Stop};

/// The room's card.
pub const ABOUT: About = About {
    name: "membership-label-only",
    title: "labels of disturbed records tell which records the model was trained on",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0024.000"],
    owasp: &["ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// How it is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Strengths of the disturbance, each a share of a value's interval.
    pub strengths: Vec<f32>,
    /// Disturbed rows asked at each strength.
    pub tries: usize,
    /// The most members, and the most non-members, that are judged.
    pub candidates: usize,
    /// The share of non-members that may be called members.
    pub false_alarms: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { strengths: vec![0.02, 0.05, 0.1, 0.2], tries: 8, candidates: 300, false_alarms: 0.01 }
    }
}

/// The attack in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabelOnly {
    config: Config,
    random: Random,
    shape: RowShape,
    constraints: Constraints,
    /// Members, then others.
    rows: Tensor,
    labels: Vec<usize>,
    members: Vec<usize>,
    /// Round 0 asks the rows themselves, each later one a try of a strength; `None` before the first.
    round: Option<usize>,
    /// How often each row kept its label; rows the model is wrong about are not asked again.
    kept: Vec<usize>,
    open: Vec<usize>,
    over: bool,
}

impl LabelOnly {
    /// Prepares the attack: members in `rows`, non-members in `pool`, both with labels.
    ///
    /// # Errors
    /// When the configuration is out of range, or there are no non-members or labels.
    pub fn new(config: Config, seed: u64, material: Material) -> Result<Self, AttackError> {
        if config.strengths.is_empty()
            || config.strengths.iter().any(|strength| !(*strength > 0.0 && strength.is_finite()))
            || config.tries == 0
            || config.candidates == 0
            || !(config.false_alarms > 0.0 && config.false_alarms < 1.0)
        {
            let reason =
                "strengths must be positive, tries and candidates at least 1, false_alarms between 0 and 1";
            return Err(AttackError::Config { attack: ABOUT.name, reason: reason.to_owned() });
        }
        crate::material::needs_rows(ABOUT.name, &material)?;
        let needs = |needs: &str| AttackError::Material { attack: ABOUT.name, needs: needs.to_owned() };
        let Some(pool) = material.pool.filter(|pool| pool.rows() > 0) else {
            return Err(needs("rows the model was not trained on, in the pool"));
        };
        if material.labels.is_empty() || material.pool_labels.is_empty() {
            return Err(needs("labels of members and non-members"));
        }
        let mut random = Random::new(seed);
        let mut draw = |rows: usize| {
            let mut order: Vec<usize> = (0..rows).collect();
            random.shuffle(&mut order);
            order.truncate(config.candidates);
            order.sort_unstable();
            order
        };
        let (members, others) = (draw(material.rows.rows()), draw(pool.rows()));
        let shape = RowShape::of(&material.rows);
        let mut data = material.rows.select(&members).into_data();
        data.extend_from_slice(pool.select(&others).data());
        let labels = members.iter().map(|&row| material.labels[row]);
        let labels: Vec<usize> = labels.chain(others.iter().map(|&row| material.pool_labels[row])).collect();
        Ok(Self {
            rows: shape.batch(data),
            shape,
            random,
            constraints: material.constraints,
            kept: vec![0; labels.len()],
            labels,
            members,
            round: None,
            open: Vec::new(),
            over: false,
            config,
        })
    }

    fn ask(&mut self, round: usize) -> Step {
        self.round = Some(round);
        let mut data = Vec::with_capacity(self.open.len() * self.shape.len());
        let strength = round.checked_sub(1).map(|round| self.config.strengths[round / self.config.tries]);
        for &row in &self.open {
            let original = self.rows.row(row);
            let mut changed = original.to_vec();
            if let Some(strength) = strength {
                for (place, value) in changed.iter_mut().enumerate() {
                    *value += strength * self.constraints.width(place) * self.random.normal();
                }
                self.constraints.repair(original, &mut changed);
            }
            data.extend(changed);
        }
        Step::Ask(Ask::Labels(self.shape.batch(data)))
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let scores: Vec<Option<f32>> = self.kept.iter().map(|kept| Some(*kept as f32)).collect();
        let scores = if stopped.is_none() { scores } else { Vec::new() };
        let split = self.members.len().min(scores.len());
        Measured {
            attack: ABOUT.name,
            rows: &self.members,
            labels: &self.labels[..self.members.len()],
            members: &scores[..split],
            others: &scores[split..],
            false_alarms: self.config.false_alarms,
            score: "how many disturbed rows keep the true label".to_owned(),
            queries_each: 1 + (self.config.strengths.len() * self.config.tries) as u64,
            stopped,
        }
        .outcome()
    }
}

impl Attack for LabelOnly {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn step(&mut self, answer: Option<Answer>) -> Step {
        if self.over {
            return Step::Done(self.outcome(None));
        }
        let round = match (self.round, answer) {
            (None, None) => {
                self.open = (0..self.labels.len()).collect();
                return self.ask(0);
            }
            (Some(round), Some(Answer::Labels(labels))) if labels.len() == self.open.len() => {
                let right: Vec<usize> = self
                    .open
                    .iter()
                    .zip(&labels)
                    .filter(|(row, label)| self.labels[**row] == **label)
                    .map(|(row, _)| *row)
                    .collect();
                right.iter().for_each(|row| self.kept[*row] += 1);
                if round == 0 {
                    self.open = right;
                }
                round
            }
            _ => return Step::Done(self.outcome(Some(Stop::Failure))),
        };
        if round >= self.config.strengths.len() * self.config.tries || self.open.is_empty() {
            self.over = true;
            return Step::Done(self.outcome(None));
        }
        self.ask(round + 1)
    }

    fn stop(&mut self, why: Stop) -> Outcome {
        self.outcome(Some(why))
    }

    fn hits(&self) -> usize {
        if self.over { self.outcome(None).count(State::Hit) } else { 0 }
    }

    fn save(&self) -> serde_json::Value {
        crate::saved(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_hold() {
        crate::testing::hold(ABOUT.name, ABOUT.cases);
    }
}
