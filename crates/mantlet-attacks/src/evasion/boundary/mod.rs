//! A random walk along the decision border that sees labels only (Brendel and others 2018).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::ball::{length, scale_to};
use super::hunt::{Base, Method, Reply, at_least, usual_radius};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-boundary",
    title: "a random walk along the border, seeing decisions only, changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How it walks, in units of each value's permitted interval; distance is Euclidean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// The most start rows tried.
    pub starts: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: None, queries: 5_000, starts: 40 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    /// Where the walk is, as a change in widths; empty before a start is found.
    here: Vec<f32>,
    /// A start and the share of the way from the original to it known to be past the border, and not.
    halving: Option<(f32, f32)>,
    /// Lengths of the step around the original and towards it, as shares of the distance.
    around: f32,
    inward: f32,
    /// Tries and successes since the lengths were adjusted: around, then inward.
    around_tries: (u32, u32),
    inward_tries: (u32, u32),
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wander {
    config: Config,
    lanes: Vec<Lane>,
}

impl Method for Wander {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        at_least("queries", usize::try_from(config.queries).unwrap_or(usize::MAX), 1)?;
        base.norm = Norm::L2;
        base.radius = config.radius.unwrap_or_else(|| usual_radius(Norm::L2, base.len()));
        base.stop_at_hit = false;
        Ok(Self { config, lanes: Vec::new() })
    }

    fn begin(&mut self, base: &mut Base) {
        let lane = Lane {
            here: Vec::new(),
            halving: None,
            around: 0.1,
            inward: 0.1,
            around_tries: (0, 0),
            inward_tries: (0, 0),
        };
        self.lanes = vec![lane; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        for row in base.open() {
            let asked = base.rows[row].queries;
            let lane = &mut self.lanes[row];
            if asked > self.config.queries || (lane.here.is_empty() && asked > self.config.starts) {
                continue;
            }
            if lane.here.is_empty() {
                let start = base.start(row);
                base.put(row, start);
                continue;
            }
            if let Some((low, high)) = lane.halving {
                let middle = f32::midpoint(low, high);
                let point: Vec<f32> = lane.here.iter().map(|value| value * middle).collect();
                base.put_shift(row, &point);
                continue;
            }
            if lane.inward < 1e-5 || asked + 1 > self.config.queries {
                continue;
            }
            let distance = length(&lane.here);
            let mut aside: Vec<f32> = (0..base.len())
                .map(|at| if base.constraints.at(at).immutable { 0.0 } else { base.random.normal() })
                .collect();
            let along: f32 = aside.iter().zip(&lane.here).map(|(a, h)| a * h).sum();
            let square = (distance * distance).max(1e-12);
            aside.iter_mut().zip(&lane.here).for_each(|(a, h)| *a -= along / square * h);
            scale_to(&mut aside, lane.around * distance);
            let mut sphere: Vec<f32> = lane.here.iter().zip(&aside).map(|(h, a)| h + a).collect();
            scale_to(&mut sphere, distance);
            let nearer: Vec<f32> = sphere.iter().map(|value| value * (1.0 - lane.inward)).collect();
            base.put_shift(row, &sphere);
            base.put_shift(row, &nearer);
        }
        base.decide()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let mut place = 0;
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            let lane = &mut self.lanes[row];
            let won = reply.won[place];
            if lane.here.is_empty() {
                if won {
                    lane.here = base.shift_of(row, reply.values(place));
                    lane.halving = Some((0.0, 1.0));
                }
            } else if let Some((low, high)) = lane.halving {
                let middle = f32::midpoint(low, high);
                let (low, high) = if won { (low, middle) } else { (middle, high) };
                if high - low < 0.02 {
                    lane.here.iter_mut().for_each(|value| *value *= high);
                    lane.halving = None;
                } else {
                    lane.halving = Some((low, high));
                }
            } else if run == 2 {
                let nearer = reply.won[place + 1];
                lane.around_tries = (lane.around_tries.0 + 1, lane.around_tries.1 + u32::from(won));
                if won {
                    lane.inward_tries = (lane.inward_tries.0 + 1, lane.inward_tries.1 + u32::from(nearer));
                }
                if nearer || won {
                    lane.here = base.shift_of(row, reply.values(if nearer { place + 1 } else { place }));
                }
                adjust(&mut lane.around, &mut lane.around_tries);
                adjust(&mut lane.inward, &mut lane.inward_tries);
            }
            place += run;
        }
    }
}

/// Lengthens a step that mostly works and shortens one that mostly does not.
fn adjust(step: &mut f32, (tries, successes): &mut (u32, u32)) {
    if *tries >= 10 {
        if *successes * 2 > *tries {
            *step = (*step * 1.5).min(0.5);
        } else if *successes * 5 < *tries {
            *step /= 1.5;
        }
        (*tries, *successes) = (0, 0);
    }
}

attack!(Boundary, Wander);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
