//! One value after the other, up or down, kept when the scores come nearer (Guo and others 2019, SimBA).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::ball::project;
use super::hunt::{Base, Method, Reply, positive};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-simba",
    title: "value by value, scores lead to another decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How it searches, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The radius of the ball.
    pub epsilon: f32,
    /// How far a value moves in a step.
    pub step: f32,
    /// The most rows asked for each row attacked.
    pub queries: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::L2, epsilon: 1.0, step: 0.2, queries: 1_000 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    shift: Vec<f32>,
    tried: Vec<f32>,
    margin: Option<f32>,
    order: Vec<usize>,
    /// The value tried next, and whether downwards.
    at: usize,
    down: bool,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Values {
    config: Config,
    lanes: Vec<Lane>,
}

impl Method for Values {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        positive("epsilon", config.epsilon)?;
        positive("step", config.step)?;
        (base.norm, base.radius) = (config.norm, config.epsilon);
        base.ball = Some((config.norm, config.epsilon));
        Ok(Self { config, lanes: Vec::new() })
    }

    fn begin(&mut self, base: &mut Base) {
        for _ in 0..base.rows.len() {
            let mut order: Vec<usize> =
                (0..base.len()).filter(|&at| !base.constraints.at(at).immutable).collect();
            base.random.shuffle(&mut order);
            let zero = vec![0.0; base.len()];
            self.lanes.push(Lane {
                shift: zero.clone(),
                tried: zero,
                margin: None,
                order,
                at: 0,
                down: false,
            });
        }
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        for row in base.open() {
            let lane = &mut self.lanes[row];
            if base.rows[row].queries > self.config.queries || lane.order.is_empty() {
                continue;
            }
            lane.tried.clone_from(&lane.shift);
            if lane.margin.is_some() {
                let at = lane.order[lane.at % lane.order.len()];
                lane.tried[at] += if lane.down { -self.config.step } else { self.config.step };
                project(self.config.norm, self.config.epsilon, &mut lane.tried);
                base.clamp(row, &mut lane.tried);
            }
            base.put_shift(row, &lane.tried);
        }
        base.score()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        for (place, &row) in reply.rows.iter().enumerate() {
            let lane = &mut self.lanes[row];
            let margin = base.margin(row, reply.scores(place));
            let Some(kept) = lane.margin else {
                lane.margin = Some(margin);
                continue;
            };
            let better = margin > kept;
            if better {
                lane.margin = Some(margin);
                std::mem::swap(&mut lane.shift, &mut lane.tried);
            }
            // Up first, then down; then the next value.
            (lane.at, lane.down) = if better || lane.down { (lane.at + 1, false) } else { (lane.at, true) };
        }
    }
}

attack!(Simba, Values);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
