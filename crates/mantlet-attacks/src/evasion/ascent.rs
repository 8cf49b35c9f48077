//! Ascent with a step that halves itself (Croce and Hein 2020, APGD): no step length to choose, momentum, and a
//! return to the best point when progress stalls. Each row has its own schedule.

use serde::{Deserialize, Serialize};

use super::ball::{count, project, steepest};
use super::hunt::{Base, Reply, random_point};
use crate::{Ask, Loss, Norm};

/// What is climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// Cross-entropy: blind where the softmax saturates.
    CrossEntropy,
    /// Difference of logits ratio, with a form for two classes.
    LogitRatio,
    /// The same toward one class after the other, the likeliest first.
    Targeted,
    /// The best other score minus the row's own.
    Margin,
}

impl Aim {
    /// The word used in reports.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::LogitRatio => "logit-ratio",
            Self::Targeted => "targeted",
            Self::Margin => "margin",
        }
    }

    /// The loss of this aim; `targets` tells the target of each row for [`Aim::Targeted`].
    pub(super) fn loss(self, labels: Vec<usize>, targets: Vec<usize>) -> Loss {
        match self {
            Self::CrossEntropy => Loss::CrossEntropy { labels },
            Self::LogitRatio => Loss::LogitRatio { labels },
            Self::Targeted => Loss::PairRatio { labels, targets },
            Self::Margin => Loss::Margin { labels },
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    here: Vec<f32>,
    before: Vec<f32>,
    best: Vec<f32>,
    best_slope: Vec<f32>,
    best_loss: Option<f32>,
    last_loss: f32,
    step: f32,
    rises: usize,
    checked_loss: f32,
    halved: bool,
}

/// One ascent of all its rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ascent {
    norm: Norm,
    epsilon: f32,
    steps: usize,
    at: usize,
    /// The last and the next checkpoint.
    checks: (usize, usize),
    /// The last two distances between checkpoints decide the next.
    period: usize,
    lanes: Vec<Option<Lane>>,
}

impl Ascent {
    /// An ascent of these rows from a random point each, or from the rows themselves.
    pub(super) fn new(base: &mut Base, norm: Norm, epsilon: f32, steps: usize, random: bool) -> Self {
        let len = base.len();
        let mut lanes: Vec<Option<Lane>> = vec![None; base.rows.len()];
        for row in base.open() {
            let mut here =
                if random { random_point(norm, epsilon, len, &mut base.random) } else { vec![0.0; len] };
            base.clamp(row, &mut here);
            lanes[row] = Some(Lane {
                before: here.clone(),
                best: here.clone(),
                here,
                best_slope: Vec::new(),
                best_loss: None,
                last_loss: 0.0,
                step: 2.0 * epsilon,
                rises: 0,
                checked_loss: f32::MIN,
                halved: false,
            });
        }
        let first = part(0.22, steps);
        Self { norm, epsilon, steps, at: 0, checks: (0, first), period: first, lanes }
    }

    /// Asks for gradients, at the end for decisions; `None` when it is over.
    pub(super) fn ask(&mut self, base: &mut Base, aim: Aim, targets: &[usize]) -> Option<Ask> {
        if self.at > self.steps {
            return None;
        }
        let mut goals = Vec::new();
        for row in base.open() {
            if let Some(Some(lane)) = self.lanes.get(row) {
                base.put_shift(row, &lane.here);
                goals.push(targets.get(row).copied().unwrap_or(0));
            }
        }
        self.at += 1;
        if self.at <= self.steps { base.gradient(|labels| aim.loss(labels, goals)) } else { base.decide() }
    }

    pub(super) fn take(&mut self, base: &Base, reply: &Reply) {
        if reply.gradient.is_none() {
            return;
        }
        let check = self.at == self.checks.1;
        for (place, &row) in reply.rows.iter().enumerate() {
            if reply.won[place] || !base.is_open(row) {
                continue;
            }
            let Some(Some(lane)) = self.lanes.get_mut(row) else { continue };
            let loss = reply.loss.get(place).copied().filter(|loss| loss.is_finite()).unwrap_or(f32::MIN);
            let mut slope = base.widen(reply.slope(place));
            if lane.best_loss.is_some() && loss > lane.last_loss {
                lane.rises += 1;
            }
            lane.last_loss = loss;
            if !base.constraints.relations.is_empty() {
                // Relations are mended on the way, not only at the end (Simonetto and others 2024, CAPGD); whole
                // numbers keep the part of a step they have not taken yet.
                let mended = base.shift_of(row, reply.values(place));
                for (at, (here, mended)) in lane.here.iter_mut().zip(mended).enumerate() {
                    if !base.constraints.at(at).integer {
                        *here = mended;
                    }
                }
            }
            if lane.best_loss.is_none_or(|best| loss > best) {
                lane.best_loss = Some(loss);
                lane.best.clone_from(&lane.here);
                lane.best_slope.clone_from(&slope);
            }
            if check {
                let best = lane.best_loss.unwrap_or(f32::MIN);
                let slow = count(lane.rises) < 0.75 * count(self.checks.1 - self.checks.0);
                if slow || (!lane.halved && best <= lane.checked_loss) {
                    lane.step /= 2.0;
                    lane.halved = true;
                    lane.here.clone_from(&lane.best);
                    lane.before.clone_from(&lane.best);
                    slope.clone_from(&lane.best_slope);
                } else {
                    lane.halved = false;
                }
                lane.checked_loss = best;
                lane.rises = 0;
            }
            let here = &lane.here;
            steepest(self.norm, lane.step, &mut slope, |at, up| base.room(row, at, here[at], up));
            let mut next: Vec<f32> = here.iter().zip(&slope).map(|(here, step)| here + step).collect();
            project(self.norm, self.epsilon, &mut next);
            base.clamp(row, &mut next);
            if self.at > 1 {
                for ((next, here), before) in next.iter_mut().zip(here).zip(&lane.before) {
                    *next = here + 0.75 * (*next - here) + 0.25 * (here - before);
                }
                project(self.norm, self.epsilon, &mut next);
                base.clamp(row, &mut next);
            }
            lane.before = std::mem::replace(&mut lane.here, next);
        }
        if check {
            self.period = self.period.saturating_sub(part(0.03, self.steps)).max(part(0.06, self.steps));
            self.checks = (self.checks.1, self.checks.1 + self.period);
        }
    }
}

/// A share of the steps, at least one.
fn part(share: f32, steps: usize) -> usize {
    super::ball::whole((share * count(steps)).max(1.0))
}
