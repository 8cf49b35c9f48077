//! Feeling for the border around a point with random directions, labels only, then going where it is nearer:
//! GeoDA (Rahmati and others 2020) and Sign-OPT (Cheng and others 2020).

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::ball::{count, scale_to, size, steepest, whole};
use super::hunt::{Base, Method, Reply, at_least, usual_radius};
use crate::{Ask, Norm};

/// What tells one room from another.
pub(super) trait Style: Send + Sync + 'static {
    /// The room's configuration.
    type Config: Into<Settings>;
    /// The room's card.
    const ABOUT: &'static About;
}

/// How it feels its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(crate) norm: Norm,
    pub(crate) radius: Option<f32>,
    pub(crate) queries: u64,
    pub(crate) starts: u64,
    /// Directions felt in the first round.
    pub(crate) directions: usize,
    /// GeoDA: straight along the estimated normal; Sign-OPT: the direction turned a little.
    pub(crate) straight: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Phase {
    Starting,
    /// Halving the way from the original along this change.
    Halving {
        way: Vec<f32>,
        low: f32,
        high: f32,
    },
    Feeling {
        directions: Vec<Vec<f32>>,
    },
    /// Trying a change of this direction at growing length (GeoDA) or shrinking turn (Sign-OPT).
    Reaching {
        normal: Vec<f32>,
        tries: u32,
    },
    Done,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    phase: Phase,
    /// The current border point as a change in widths.
    here: Vec<f32>,
    round: usize,
    turn: f32,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Sense<S> {
    settings: Settings,
    lanes: Vec<Lane>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

/// How exactly the border is found on a way, as a share of it.
const EXACT: f32 = 2e-3;

impl<S: Style> Sense<S> {
    /// Where to try next when the border's normal is known.
    fn reach(&self, lane: &Lane, normal: &[f32], tries: u32) -> Vec<f32> {
        let norm = self.settings.norm;
        let distance = size(norm, &lane.here);
        let mut way = if self.settings.straight {
            let mut way = normal.to_vec();
            steepest(norm, 1.0, &mut way, |_, _| f32::MAX);
            way
        } else {
            let mut own = lane.here.clone();
            scale_to(&mut own, 1.0);
            own.iter().zip(normal).map(|(own, normal)| own + lane.turn * normal).collect()
        };
        let long = size(norm, &way);
        let reach = if self.settings.straight {
            0.9 * distance * 1.25_f32.powf(count(tries as usize))
        } else {
            distance
        };
        if long > 0.0 {
            way.iter_mut().for_each(|value| *value *= reach / long);
        }
        way
    }
}

impl<S: Style> Method for Sense<S> {
    type Config = S::Config;
    const ABOUT: &'static About = S::ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: S::Config, base: &mut Base) -> Result<Self, String> {
        let settings: Settings = config.into();
        at_least("directions", settings.directions, 2)?;
        if !matches!(settings.norm, Norm::L2 | Norm::Linf) {
            return Err("norm must be l2 or linf".to_owned());
        }
        base.norm = settings.norm;
        base.radius = settings.radius.unwrap_or_else(|| usual_radius(settings.norm, base.len()));
        base.stop_at_hit = false;
        Ok(Self { settings, lanes: Vec::new(), style: PhantomData })
    }

    fn begin(&mut self, base: &mut Base) {
        let lane = Lane { phase: Phase::Starting, here: Vec::new(), round: 0, turn: 0.3 };
        self.lanes = vec![lane; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        for row in base.open() {
            let asked = base.rows[row].queries;
            let left =
                whole(count(usize::try_from((self.settings.queries + 1).saturating_sub(asked)).unwrap_or(0)));
            let mut phase = std::mem::replace(&mut self.lanes[row].phase, Phase::Done);
            match &mut phase {
                _ if left == 0 => phase = Phase::Done,
                Phase::Starting if asked > self.settings.starts => phase = Phase::Done,
                Phase::Starting => {
                    let start = base.start(row);
                    base.put(row, start);
                }
                Phase::Halving { way, low, high } => {
                    let middle = f32::midpoint(*low, *high);
                    let point: Vec<f32> = way.iter().map(|value| value * middle).collect();
                    base.put_shift(row, &point);
                }
                Phase::Feeling { directions } => {
                    let lane = &self.lanes[row];
                    let wanted = count(self.settings.directions) * count(lane.round + 1).sqrt();
                    let wanted = whole(wanted).min(left);
                    let distance = super::ball::length(&lane.here);
                    // The border is felt for at a small angle, seen from the original.
                    let apart = (0.02 * distance).max(1e-4);
                    directions.clear();
                    for _ in 0..wanted {
                        let mut way: Vec<f32> =
                            (0..base.len())
                                .map(|at| {
                                    if base.constraints.at(at).immutable { 0.0 } else { base.random.normal() }
                                })
                                .collect();
                        scale_to(&mut way, 1.0);
                        let mut point: Vec<f32> =
                            lane.here.iter().zip(&way).map(|(here, way)| here + apart * way).collect();
                        if !self.settings.straight {
                            scale_to(&mut point, distance);
                        }
                        base.put_shift(row, &point);
                        directions.push(way);
                    }
                }
                Phase::Reaching { normal, tries } => {
                    let point = self.reach(&self.lanes[row], normal, *tries);
                    base.put_shift(row, &point);
                }
                Phase::Done => {}
            }
            self.lanes[row].phase = phase;
        }
        base.decide()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let straight = self.settings.straight;
        let mut place = 0;
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            let won = reply.won[place];
            let sent = base.shift_of(row, reply.values(place));
            let lane = &mut self.lanes[row];
            let phase = std::mem::replace(&mut lane.phase, Phase::Done);
            lane.phase = match phase {
                Phase::Starting if won => Phase::Halving { way: sent, low: 0.0, high: 1.0 },
                Phase::Starting => Phase::Starting,
                Phase::Halving { way, low, high } => {
                    let middle = f32::midpoint(low, high);
                    let (low, high) = if won { (low, middle) } else { (middle, high) };
                    if high - low > EXACT {
                        Phase::Halving { way, low, high }
                    } else {
                        let point: Vec<f32> = way.iter().map(|value| value * high).collect();
                        let nearer = lane.here.is_empty()
                            || size(self.settings.norm, &point) < size(self.settings.norm, &lane.here);
                        if nearer {
                            lane.here = point;
                        }
                        lane.round += 1;
                        Phase::Feeling { directions: Vec::new() }
                    }
                }
                Phase::Feeling { directions } => {
                    let sides = &reply.won[place..place + run];
                    let mean = count(sides.iter().filter(|won| **won).count()) / count(run.max(1));
                    // Both sides are needed to see a border; with one only all there is is its mean.
                    let offset = if mean == 0.0 || mean == 1.0 { 0.5 } else { mean };
                    let mut normal = vec![0.0; base.len()];
                    for (direction, won) in directions.iter().zip(sides) {
                        let weight = f32::from(u8::from(*won)) - offset;
                        normal.iter_mut().zip(direction).for_each(|(n, d)| *n += weight * d);
                    }
                    scale_to(&mut normal, 1.0);
                    if normal.iter().all(|value| *value == 0.0) {
                        lane.round += 1;
                        if lane.round > 10_000 {
                            Phase::Done
                        } else {
                            Phase::Feeling { directions: Vec::new() }
                        }
                    } else {
                        Phase::Reaching { normal, tries: 0 }
                    }
                }
                Phase::Reaching { normal, tries } => {
                    if won {
                        if !straight {
                            lane.turn = (lane.turn * 1.4).min(1.0);
                        }
                        Phase::Halving { way: sent, low: 0.0, high: 1.0 }
                    } else if tries < 5 {
                        if !straight {
                            lane.turn = (lane.turn / 2.0).max(1e-3);
                        }
                        Phase::Reaching { normal, tries: tries + 1 }
                    } else {
                        lane.round += 1;
                        if lane.round > 10_000 {
                            Phase::Done
                        } else {
                            Phase::Feeling { directions: Vec::new() }
                        }
                    }
                }
                Phase::Done => Phase::Done,
            };
            place += run;
        }
    }
}
