//! Slopes measured value by value from scores, then descended (Chen and others 2017, ZOO).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, at_least, positive, usual_radius};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-zoo",
    title: "slopes measured from scores lead to the smallest change of decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How it searches, in units of each value's permitted interval; distance is Euclidean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// Values measured in each turn.
    pub at_once: usize,
    /// How far apart slopes are measured.
    pub probe: f32,
    /// The step length.
    pub step: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: None, queries: 1_500, at_once: 8, probe: 0.02, step: 0.05 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    shift: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    times: Vec<u32>,
    measured: Vec<usize>,
    /// The weight of the decision beside the distance; halved after a success, doubled without.
    weight: f32,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measure {
    config: Config,
    lanes: Vec<Lane>,
}

impl Method for Measure {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        at_least("at_once", config.at_once, 1)?;
        positive("probe", config.probe)?;
        positive("step", config.step)?;
        base.norm = Norm::L2;
        base.radius = config.radius.unwrap_or_else(|| usual_radius(Norm::L2, base.len()));
        base.stop_at_hit = false;
        Ok(Self { config, lanes: Vec::new() })
    }

    fn begin(&mut self, base: &mut Base) {
        let zero = vec![0.0; base.len()];
        let lane = Lane {
            shift: zero.clone(),
            mean: zero.clone(),
            square: zero,
            times: vec![0; base.len()],
            measured: Vec::new(),
            weight: 1.0,
        };
        self.lanes = vec![lane; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        let movable: Vec<usize> = (0..base.len()).filter(|&at| !base.constraints.at(at).immutable).collect();
        for row in base.open() {
            let cost = 2 * self.config.at_once.min(movable.len()) as u64 + 1;
            if base.rows[row].queries + cost > self.config.queries + 1 || movable.is_empty() {
                continue;
            }
            let lane = &mut self.lanes[row];
            base.put_shift(row, &lane.shift);
            lane.measured.clear();
            while lane.measured.len() < self.config.at_once.min(movable.len()) {
                let at = movable[base.random.below(movable.len())];
                if !lane.measured.contains(&at) {
                    lane.measured.push(at);
                }
            }
            for &at in &lane.measured {
                // A whole number is measured a whole step apart.
                let apart = if base.constraints.at(at).integer {
                    self.config.probe.max(1.0 / base.constraints.width(at))
                } else {
                    self.config.probe
                };
                for side in [apart, -apart] {
                    let mut point = lane.shift.clone();
                    point[at] += side;
                    base.put_shift(row, &point);
                }
            }
        }
        base.score()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let mut place = 0;
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            let lane = &mut self.lanes[row];
            let (won, margin) = (reply.won[place], base.margin(row, reply.scores(place)));
            lane.weight = if won { (lane.weight / 2.0).max(1e-3) } else { (lane.weight * 1.1).min(1e3) };
            for (pair, &at) in lane.measured.clone().iter().enumerate() {
                let (up, down) = (place + 1 + 2 * pair, place + 2 + 2 * pair);
                if down >= place + run {
                    break;
                }
                // Where the row really was asked, which repair may have moved.
                let apart = (reply.values(up)[at] - reply.values(down)[at]) / base.constraints.width(at);
                let rise = base.margin(row, reply.scores(up)) - base.margin(row, reply.scores(down));
                let slope = if apart == 0.0 || !rise.is_finite() { 0.0 } else { rise / apart };
                let pull = if margin > 0.0 { 0.0 } else { lane.weight * slope };
                let downhill = 2.0 * lane.shift[at] - pull;
                lane.times[at] += 1;
                let (mean, square) = (&mut lane.mean[at], &mut lane.square[at]);
                *mean = 0.9 * *mean + 0.1 * downhill;
                *square = 0.999 * *square + 0.001 * downhill * downhill;
                let times = super::ball::count(lane.times[at] as usize);
                let (fade, fade_square) = (1.0 - 0.9_f32.powf(times), 1.0 - 0.999_f32.powf(times));
                lane.shift[at] -= self.config.step * (*mean / fade) / ((*square / fade_square).sqrt() + 1e-8);
            }
            let mut shift = std::mem::take(&mut lane.shift);
            base.clamp(row, &mut shift);
            self.lanes[row].shift = shift;
            place += run;
        }
    }
}

attack!(Zoo, Measure);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
