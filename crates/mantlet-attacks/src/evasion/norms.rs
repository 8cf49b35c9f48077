//! Minimum-norm evasion by a ball that grows and shrinks: DDN (Rony and others 2019) and FMN (Pintor and others
//! 2021). The gradient gives the direction, the ball the distance; each is adjusted at every step.

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::ball::{count, length, project, scale_to, size};
use super::hunt::{Base, Method, Reply, at_least, positive, usual_radius};
use crate::{Ask, Loss, Norm};

/// What tells one room from another.
pub(super) trait Style: Send + Sync + 'static {
    /// The room's configuration.
    type Config: Into<Settings>;
    /// The room's card.
    const ABOUT: &'static About;
}

/// How the ball is moved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(crate) norm: Norm,
    pub(crate) steps: usize,
    pub(crate) radius: Option<f32>,
    /// By what share the ball shrinks and grows.
    pub(crate) gamma: f32,
    /// The first step length, falling to a hundredth along a cosine.
    pub(crate) step: f32,
    /// DDN: cross-entropy and the change always on the sphere; FMN: margin and the change inside the ball.
    pub(crate) sphere: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    shift: Vec<f32>,
    ball: f32,
}

/// A ball that is no bound: beyond every interval, and still a number that can be written.
const BIG: f32 = 1e9;

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Norms<S> {
    settings: Settings,
    at: usize,
    lanes: Vec<Lane>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

impl<S: Style> Method for Norms<S> {
    type Config = S::Config;
    const ABOUT: &'static About = S::ABOUT;
    const GRADIENTS: bool = true;

    fn prepare(config: S::Config, base: &mut Base) -> Result<Self, String> {
        let settings: Settings = config.into();
        at_least("steps", settings.steps, 2)?;
        positive("step", settings.step)?;
        positive("gamma", settings.gamma)?;
        base.norm = settings.norm;
        base.radius = settings.radius.unwrap_or_else(|| usual_radius(settings.norm, base.len()));
        base.stop_at_hit = false;
        Ok(Self { settings, at: 0, lanes: Vec::new(), style: PhantomData })
    }

    fn begin(&mut self, base: &mut Base) {
        let ball = if self.settings.sphere { 1.0 } else { BIG };
        self.lanes = vec![Lane { shift: vec![0.0; base.len()], ball }; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        if self.at > self.settings.steps {
            return None;
        }
        for row in base.open() {
            base.put_shift(row, &self.lanes[row].shift);
        }
        self.at += 1;
        if self.at > self.settings.steps {
            base.decide()
        } else if self.settings.sphere {
            base.gradient(|labels| Loss::CrossEntropy { labels })
        } else {
            base.gradient(|labels| Loss::Margin { labels })
        }
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        if reply.gradient.is_none() {
            return;
        }
        let Settings { norm, steps, gamma, step, sphere, .. } = self.settings;
        let turn = 0.5 * (1.0 + (std::f32::consts::PI * count(self.at - 1) / count(steps)).cos());
        let step = step * (0.01 + 0.99 * turn);
        let gamma = if sphere { gamma } else { gamma * (0.02 + 0.98 * turn) };
        for (place, &row) in reply.rows.iter().enumerate() {
            if !base.is_open(row) {
                continue;
            }
            let won = reply.won[place];
            let lane = &mut self.lanes[row];
            let slope = base.widen(reply.slope(place));
            let best = base.rows[row].best.as_ref().map(|best| best.distance);
            if sphere {
                // Bounds may have left the change shorter than the ball.
                let long = length(&lane.shift);
                lane.ball = if won { lane.ball.min(long) * (1.0 - gamma) } else { lane.ball * (1.0 + gamma) };
            } else if let Some(best) = best {
                lane.ball = lane.ball.min(BIG);
                lane.ball = if won { best.min(lane.ball * (1.0 - gamma)) } else { lane.ball * (1.0 + gamma) };
                if norm == Norm::L0 {
                    lane.ball = if won { lane.ball.min(best - 1.0).max(1.0) } else { lane.ball.max(1.0) };
                }
            } else {
                // As far as the border is when the model is linear here (FMN, line 4).
                let margin = reply.loss.get(place).copied().unwrap_or(0.0).abs();
                let dual = match norm {
                    Norm::Linf => size(Norm::L1, &slope),
                    Norm::L2 => length(&slope),
                    Norm::L1 | Norm::L0 => size(Norm::Linf, &slope),
                };
                let reach = if dual > 1e-12 { (margin / dual).min(BIG) } else { BIG };
                lane.ball = if norm == Norm::L0 {
                    (size(Norm::L0, &lane.shift) + 1.0).max(1.0)
                } else {
                    // A little past it, since rounding may leave the row on the border.
                    size(norm, &lane.shift) + 1.02 * reach + 1e-4
                };
            }
            let mut way = slope;
            scale_to(&mut way, step);
            let mut next: Vec<f32> = lane.shift.iter().zip(&way).map(|(shift, way)| shift + way).collect();
            if sphere {
                scale_to(&mut next, lane.ball);
            } else {
                project(norm, lane.ball, &mut next);
            }
            base.clamp(row, &mut next);
            lane.shift = next;
        }
    }
}
