//! Walks along linearised decision borders: DeepFool and FAB.

use serde::{Deserialize, Serialize};

use super::ball::{cross, size};
use super::hunt::{Base, Reply, random_point};
use crate::{Ask, Goal, Loss, Norm};

/// How one walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Gait {
    pub(super) norm: Norm,
    /// Steps of a walk.
    pub(super) steps: usize,
    /// How far past the border a step goes, as a factor.
    pub(super) overshoot: f32,
    /// The largest pull back to the original (FAB); 0 walks straight (DeepFool).
    pub(super) pull: f32,
    /// What is left of the change after a success (FAB), to look nearer; 1 stops there.
    pub(super) shrink: f32,
    /// How many other classes are looked at in each step.
    pub(super) rivals: usize,
}

/// Walks of all open rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Walks {
    gait: Gait,
    at: usize,
    shifts: Vec<Vec<f32>>,
    /// The classes looked at for each row; empty until scores are known.
    rivals: Vec<Vec<usize>>,
    /// One class only for each row, by rank of its score at the original.
    only: Option<usize>,
    finished: Vec<bool>,
}

impl Walks {
    /// Walks from the rows, or from a random point within `spread` of each; toward all rivals or toward the
    /// one of this rank.
    pub(super) fn new(base: &mut Base, gait: Gait, spread: Option<f32>, only: Option<usize>) -> Self {
        let mut shifts = vec![Vec::new(); base.rows.len()];
        for row in base.open() {
            let mut shift = match spread {
                Some(spread) => random_point(gait.norm, spread, base.len(), &mut base.random),
                None => vec![0.0; base.len()],
            };
            base.clamp(row, &mut shift);
            shifts[row] = shift;
        }
        let count = base.rows.len();
        Self { gait, at: 0, shifts, rivals: vec![Vec::new(); count], only, finished: vec![false; count] }
    }

    /// Asks for scores first, then for the gradients of the differences to the rivals.
    pub(super) fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        if self.at > self.gait.steps + 1 {
            return None;
        }
        self.at += 1;
        let open: Vec<usize> = base
            .open()
            .into_iter()
            .filter(|&row| !self.finished[row] && !self.shifts[row].is_empty())
            .collect();
        if self.at == 1 {
            for row in open {
                let original = base.original(row).to_vec();
                base.put(row, original);
            }
            return base.score();
        }
        if self.at == self.gait.steps + 2 {
            for row in open {
                base.put_shift(row, &self.shifts[row]);
            }
            return base.decide();
        }
        let mut targets = Vec::new();
        for row in open {
            for &rival in &self.rivals[row] {
                base.put_shift(row, &self.shifts[row]);
                targets.push(rival);
            }
        }
        base.gradient(|labels| Loss::Pair { labels, targets })
    }

    pub(super) fn take(&mut self, base: &Base, reply: &Reply) {
        if reply.gradient.is_none() {
            if self.at == 1 {
                for (place, &row) in reply.rows.iter().enumerate() {
                    self.rivals[row] = self.ranked(base, row, reply.scores(place));
                    self.finished[row] |= self.rivals[row].is_empty();
                }
            }
            return;
        }
        let mut place = 0;
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            if base.is_open(row) {
                self.step(base, reply, row, place..place + run);
            }
            place += run;
        }
    }

    /// The other classes, best scores first.
    fn ranked(&self, base: &Base, row: usize, scores: &[f32]) -> Vec<usize> {
        match base.goal {
            // The loss is made for the goal; one gradient is enough.
            Goal::Class { class } => return vec![class],
            Goal::Moved { .. } | Goal::Ranked { .. } => return vec![0],
            Goal::Leave => {}
        }
        let mut order: Vec<usize> =
            (0..scores.len()).filter(|class| *class != base.rows[row].label).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        match self.only {
            Some(rank) => order.get(rank).copied().into_iter().collect(),
            None => {
                order.truncate(self.gait.rivals.max(1));
                order
            }
        }
    }

    fn step(&mut self, base: &Base, reply: &Reply, row: usize, places: std::ops::Range<usize>) {
        let gait = self.gait;
        let mut shift = base.shift_of(row, reply.values(places.start));
        if reply.won[places.start] {
            if gait.shrink >= 1.0 {
                self.finished[row] = true;
            } else {
                shift.iter_mut().for_each(|value| *value *= gait.shrink);
                self.shifts[row] = shift;
            }
            return;
        }
        let offset = |value: f32| {
            if base.goal.column().is_some() { value - goal_level(base, row) } else { value }
        };
        let mut nearest: Option<(f32, Vec<f32>, Vec<f32>, f32)> = None;
        for place in places {
            let slope = base.widen(reply.slope(place));
            let Some(value) = reply.loss.get(place).map(|value| offset(*value)) else { continue };
            // Behind the border by a little, so that rounding does not undo it.
            let rise = -value + 1e-4 * value.abs().max(1e-3);
            let Some(way) = cross(gait.norm, &slope, rise, |at, up| base.room(row, at, shift[at], up)) else {
                continue;
            };
            let long = size(gait.norm, &way);
            if long.is_finite() && nearest.as_ref().is_none_or(|(best, ..)| long < *best) {
                nearest = Some((long, way, slope, rise));
            }
        }
        let Some((long, way, slope, rise)) = nearest else {
            self.finished[row] = gait.pull <= 0.0;
            return;
        };
        let forward: Vec<f32> = shift.iter().zip(&way).map(|(at, way)| at + gait.overshoot * way).collect();
        let mut next = forward;
        if gait.pull > 0.0 {
            // The same border seen from the original.
            let behind: f32 = slope.iter().zip(&shift).map(|(slope, shift)| slope * shift).sum();
            if let Some(direct) =
                cross(gait.norm, &slope, rise + behind, |at, up| base.room(row, at, 0.0, up))
            {
                let from_start = size(gait.norm, &direct);
                let share =
                    if long + from_start > 0.0 { (long / (long + from_start)).min(gait.pull) } else { 0.0 };
                for (next, direct) in next.iter_mut().zip(&direct) {
                    *next = (1.0 - share) * *next + share * gait.overshoot * direct;
                }
            }
        }
        base.clamp(row, &mut next);
        self.shifts[row] = next;
    }
}

/// The value of the moved score, with the sign of the loss, at which the goal is reached.
fn goal_level(base: &Base, row: usize) -> f32 {
    let by = base.rows[row].by;
    let signed = if by < 0.0 { -base.rows[row].score } else { base.rows[row].score };
    signed + by.abs()
}
