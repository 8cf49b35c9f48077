//! Climbing cross-entropy with steps of one length: FGSM, its iterated form, and with momentum.

use std::marker::PhantomData;

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::ball::{count, project, size, steepest};
use super::hunt::{Base, Method, Reply, at_least, positive};
use crate::{Ask, Loss, Norm};

/// What tells one room from another.
pub(super) trait Style: Send + Sync + 'static {
    /// The room's configuration.
    type Config: Into<Settings>;
    /// The room's card.
    const ABOUT: &'static About;
}

/// How it climbs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(crate) norm: Norm,
    pub(crate) epsilon: f32,
    pub(crate) steps: usize,
    pub(crate) step: Option<f32>,
    pub(crate) momentum: f32,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Climb<S> {
    settings: Settings,
    at: usize,
    shifts: Vec<Vec<f32>>,
    /// Gathered slopes, when there is momentum.
    gathered: Vec<Vec<f32>>,
    #[serde(skip)]
    style: PhantomData<fn() -> S>,
}

impl<S: Style> Method for Climb<S> {
    type Config = S::Config;
    const ABOUT: &'static About = S::ABOUT;
    const GRADIENTS: bool = true;

    fn prepare(config: S::Config, base: &mut Base) -> Result<Self, String> {
        let settings: Settings = config.into();
        positive("epsilon", settings.epsilon)?;
        at_least("steps", settings.steps, 1)?;
        if let Some(step) = settings.step {
            positive("step", step)?;
        }
        if !(0.0..10.0).contains(&settings.momentum) {
            return Err("momentum must be between 0 and 10".to_owned());
        }
        if settings.norm == Norm::L0 {
            return Err("norm must be l1, l2 or linf: `evasion-saliency` changes few values".to_owned());
        }
        (base.norm, base.radius) = (settings.norm, settings.epsilon);
        base.ball = Some((settings.norm, settings.epsilon));
        Ok(Self { settings, at: 0, shifts: Vec::new(), gathered: Vec::new(), style: PhantomData })
    }

    fn begin(&mut self, base: &mut Base) {
        self.shifts = vec![vec![0.0; base.len()]; base.rows.len()];
        if self.settings.momentum > 0.0 {
            self.gathered.clone_from(&self.shifts);
        }
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        if self.at > self.settings.steps {
            return None;
        }
        for row in base.open() {
            base.put_shift(row, &self.shifts[row]);
        }
        self.at += 1;
        if self.at <= self.settings.steps {
            base.gradient(|labels| Loss::CrossEntropy { labels })
        } else {
            base.decide()
        }
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        if reply.gradient.is_none() {
            return;
        }
        let Settings { norm, epsilon, steps, step, momentum } = self.settings;
        let step = step.unwrap_or_else(|| if steps == 1 { epsilon } else { 2.0 * epsilon / count(steps) });
        for (place, &row) in reply.rows.iter().enumerate() {
            if reply.won[place] || !base.is_open(row) {
                continue;
            }
            let mut slope = base.widen(reply.slope(place));
            if momentum > 0.0 {
                let long = size(Norm::L1, &slope);
                for (gathered, slope) in self.gathered[row].iter_mut().zip(&mut slope) {
                    *gathered = momentum * *gathered + if long > 0.0 { *slope / long } else { 0.0 };
                    *slope = *gathered;
                }
            }
            let shift = &self.shifts[row];
            steepest(norm, step, &mut slope, |at, up| base.room(row, at, shift[at], up));
            let mut next: Vec<f32> = shift.iter().zip(&slope).map(|(shift, step)| shift + step).collect();
            project(norm, epsilon, &mut next);
            base.clamp(row, &mut next);
            self.shifts[row] = next;
        }
    }
}
