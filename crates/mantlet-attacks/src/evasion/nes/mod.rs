//! Gradients estimated from scores at random pairs of points, then climbed (Ilyas and others 2018, NES).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::ball::{count, project, scale_to, steepest};
use super::hunt::{Base, Method, Reply, at_least, positive};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-nes",
    title: "gradients guessed from scores lead to another decision",
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
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// Pairs of points asked for each guess.
    pub pairs: usize,
    /// How far the points are from the row.
    pub sigma: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.15, queries: 1_500, pairs: 16, sigma: 0.02 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    shift: Vec<f32>,
    gathered: Vec<f32>,
    directions: Vec<Vec<f32>>,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Guess {
    config: Config,
    lanes: Vec<Lane>,
    turn: usize,
}

impl Method for Guess {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        positive("epsilon", config.epsilon)?;
        positive("sigma", config.sigma)?;
        at_least("pairs", config.pairs, 1)?;
        if config.norm == Norm::L0 {
            return Err("norm must be l1, l2 or linf".to_owned());
        }
        (base.norm, base.radius) = (config.norm, config.epsilon);
        base.ball = Some((config.norm, config.epsilon));
        Ok(Self { config, lanes: Vec::new(), turn: 0 })
    }

    fn begin(&mut self, base: &mut Base) {
        let zero = vec![0.0; base.len()];
        let lane = Lane { shift: zero.clone(), gathered: zero, directions: Vec::new() };
        self.lanes = vec![lane; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        let cost = 2 * self.config.pairs as u64 + 1;
        for row in base.open() {
            if base.rows[row].queries + cost > self.config.queries + 1 {
                continue;
            }
            let lane = &mut self.lanes[row];
            base.put_shift(row, &lane.shift);
            lane.directions.clear();
            for _ in 0..self.config.pairs {
                let direction: Vec<f32> = (0..base.len()).map(|_| base.random.normal()).collect();
                for side in [self.config.sigma, -self.config.sigma] {
                    let point: Vec<f32> =
                        lane.shift.iter().zip(&direction).map(|(shift, way)| shift + side * way).collect();
                    base.put_shift(row, &point);
                }
                lane.directions.push(direction);
            }
        }
        self.turn += 1;
        base.score()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let Config { norm, epsilon, queries, pairs, .. } = self.config;
        let turns = (queries as usize / (2 * pairs + 1)).max(1);
        let step = (2.5 * epsilon / count(turns)).max(0.05 * epsilon).min(epsilon);
        let mut place = 0;
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            let lane = &mut self.lanes[row];
            let mut slope = vec![0.0; base.len()];
            for (pair, direction) in lane.directions.iter().enumerate() {
                let at = place + 1 + 2 * pair;
                if at + 1 >= place + run {
                    break;
                }
                let rise = base.margin(row, reply.scores(at)) - base.margin(row, reply.scores(at + 1));
                if rise.is_finite() {
                    slope.iter_mut().zip(direction).for_each(|(slope, way)| *slope += rise * way);
                }
            }
            place += run;
            scale_to(&mut slope, 1.0);
            lane.gathered
                .iter_mut()
                .zip(&slope)
                .for_each(|(gathered, slope)| *gathered = 0.5 * *gathered + slope);
            let mut way = lane.gathered.clone();
            let shift = &lane.shift;
            steepest(norm, step, &mut way, |at, up| base.room(row, at, shift[at], up));
            let mut next: Vec<f32> = shift.iter().zip(&way).map(|(shift, way)| shift + way).collect();
            project(norm, epsilon, &mut next);
            base.clamp(row, &mut next);
            lane.shift = next;
        }
    }
}

attack!(Nes, Guess);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
