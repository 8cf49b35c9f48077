//! Minimum-norm evasion as one sum: distance plus a constant times how far the decision is from changing, the
//! constant found by halving for each row. C&W (Carlini and Wagner 2017) with the L2 norm and EAD (Chen and
//! others 2018) with L1 and L2. The box is kept by projection in place of a change of variables, so that values
//! at their bounds keep their gradient and unbounded values need no special case.

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::ball::count;
use super::hunt::{Base, Method, Reply, at_least, positive, usual_radius};
use crate::{Ask, Loss, Norm};

/// What tells one room from another.
pub(super) trait Style: Send + Sync + 'static {
    /// The room's configuration.
    type Config: Into<Settings>;
    /// The room's card.
    const ABOUT: &'static About;
}

/// How it searches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Constants tried for each row.
    pub(crate) rounds: usize,
    pub(crate) steps: usize,
    pub(crate) radius: Option<f32>,
    pub(crate) step: f32,
    /// The first constant.
    pub(crate) constant: f32,
    /// The weight of the L1 norm; 0 for C&W.
    pub(crate) sparse: f32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    shift: Vec<f32>,
    /// Running means of the slope and its square (Adam).
    mean: Vec<f32>,
    square: Vec<f32>,
    constant: f32,
    low: f32,
    high: f32,
    /// Whether this round reached the goal.
    reached: bool,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Penalty<S> {
    settings: Settings,
    round: usize,
    at: usize,
    lanes: Vec<Lane>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

impl<S: Style> Penalty<S> {
    fn next_round(&mut self) {
        self.round += 1;
        self.at = 0;
        for lane in &mut self.lanes {
            if lane.reached {
                lane.high = lane.high.min(lane.constant);
            } else {
                lane.low = lane.low.max(lane.constant);
            }
            lane.constant = if lane.high < f32::MAX {
                // The scale is unknown, so the middle is that of the logarithms.
                if lane.low > 0.0 { (lane.low * lane.high).sqrt() } else { lane.high / 10.0 }
            } else {
                lane.constant * 10.0
            };
            lane.reached = false;
            for list in [&mut lane.shift, &mut lane.mean, &mut lane.square] {
                list.fill(0.0);
            }
        }
    }
}

impl<S: Style> Method for Penalty<S> {
    type Config = S::Config;
    const ABOUT: &'static About = S::ABOUT;
    const GRADIENTS: bool = true;

    fn prepare(config: S::Config, base: &mut Base) -> Result<Self, String> {
        let settings: Settings = config.into();
        at_least("rounds", settings.rounds, 1)?;
        at_least("steps", settings.steps, 2)?;
        positive("step", settings.step)?;
        positive("constant", settings.constant)?;
        if !(0.0..1e3).contains(&settings.sparse) {
            return Err("sparse must not be negative".to_owned());
        }
        base.norm = if settings.sparse > 0.0 { Norm::L1 } else { Norm::L2 };
        base.radius = settings.radius.unwrap_or_else(|| usual_radius(base.norm, base.len()));
        base.stop_at_hit = false;
        Ok(Self { settings, round: 0, at: 0, lanes: Vec::new(), style: PhantomData })
    }

    fn begin(&mut self, base: &mut Base) {
        let zero = vec![0.0; base.len()];
        let lane = Lane {
            shift: zero.clone(),
            mean: zero.clone(),
            square: zero,
            constant: self.settings.constant,
            low: 0.0,
            high: f32::MAX,
            reached: false,
        };
        self.lanes = vec![lane; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        if self.at > self.settings.steps {
            self.next_round();
        }
        if self.round >= self.settings.rounds {
            return None;
        }
        for row in base.open() {
            base.put_shift(row, &self.lanes[row].shift);
        }
        self.at += 1;
        if self.at <= self.settings.steps {
            base.gradient(|labels| Loss::Margin { labels })
        } else {
            base.decide()
        }
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let Settings { steps, step, sparse, .. } = self.settings;
        for (place, &row) in reply.rows.iter().enumerate() {
            let lane = &mut self.lanes[row];
            lane.reached |= reply.won[place];
            if reply.gradient.is_none() || !base.is_open(row) {
                continue;
            }
            let slope = base.widen(reply.slope(place));
            let pull = if reply.won[place] { 0.0 } else { lane.constant };
            let at = count(self.at);
            let rate = step * (1.0 - (at - 1.0) / count(steps)).max(0.01).sqrt();
            let (fade, fade_square) = (1.0 - 0.9_f32.powf(at), 1.0 - 0.999_f32.powf(at));
            let mut next = lane.shift.clone();
            for (index, next) in next.iter_mut().enumerate() {
                let down = 2.0 * *next - pull * slope[index];
                if sparse > 0.0 {
                    // A step of proximal descent: the L1 part shrinks what is small to nothing.
                    let moved = *next - rate * down;
                    *next = moved.signum() * (moved.abs() - rate * sparse).max(0.0);
                } else {
                    let (mean, square) = (&mut lane.mean[index], &mut lane.square[index]);
                    *mean = 0.9 * *mean + 0.1 * down;
                    *square = 0.999 * *square + 0.001 * down * down;
                    *next -= rate * (*mean / fade) / ((*square / fade_square).sqrt() + 1e-8);
                }
            }
            base.clamp(row, &mut next);
            lane.shift = next;
        }
    }
}
