//! Random squares (Andriushchenko and others 2020): in each turn a window of the row is set to one end of the
//! permitted interval, and kept when the model comes nearer to another decision. For rows that are no images the
//! window is a random choice of values.

use serde::{Deserialize, Serialize};

use super::ball::{count, whole};
use super::hunt::{Base, Reply};
use crate::Ask;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    kept: Vec<f32>,
    tried: Vec<f32>,
    margin: Option<f32>,
}

/// Walks of all open rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SquareWalk {
    epsilon: f32,
    turns: usize,
    share: f32,
    at: usize,
    lanes: Vec<Option<Lane>>,
}

impl SquareWalk {
    /// Starts with stripes (images) or signs (other rows) of the full length.
    pub(super) fn new(base: &mut Base, epsilon: f32, turns: usize, share: f32) -> Self {
        let len = base.len();
        let mut lanes: Vec<Option<Lane>> = vec![None; base.rows.len()];
        for row in base.open() {
            let mut tried = vec![0.0; len];
            if let Some((channels, height, width)) = base.shape.image() {
                for stripe in 0..channels * width {
                    let value = sign(base, epsilon);
                    let (channel, x) = (stripe / width, stripe % width);
                    (0..height).for_each(|y| tried[(channel * height + y) * width + x] = value);
                }
            } else {
                tried.iter_mut().for_each(|value| *value = sign(base, epsilon));
            }
            base.clamp(row, &mut tried);
            lanes[row] = Some(Lane { kept: vec![0.0; len], tried, margin: None });
        }
        Self { epsilon, turns, share, at: 0, lanes }
    }

    pub(super) fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        if self.at >= self.turns {
            return None;
        }
        let share = self.share * schedule(self.at, self.turns);
        for row in base.open() {
            let Some(Some(lane)) = self.lanes.get_mut(row) else { continue };
            if self.at > 0 {
                lane.tried.clone_from(&lane.kept);
                window(base, &mut lane.tried, self.epsilon, share);
                base.clamp(row, &mut lane.tried);
            }
            base.put_shift(row, &lane.tried);
        }
        self.at += 1;
        base.score()
    }

    pub(super) fn take(&mut self, base: &Base, reply: &Reply) {
        for (place, &row) in reply.rows.iter().enumerate() {
            let Some(Some(lane)) = self.lanes.get_mut(row) else { continue };
            let margin = base.margin(row, reply.scores(place));
            // Equal margins are taken too: a rounded endpoint has plateaus that have to be walked across.
            if lane.margin.is_none_or(|kept| margin >= kept) {
                lane.margin = Some(margin);
                std::mem::swap(&mut lane.kept, &mut lane.tried);
            }
        }
    }
}

fn sign(base: &mut Base, epsilon: f32) -> f32 {
    if base.random.unit() < 0.5 { -epsilon } else { epsilon }
}

/// The share of values in a window falls over the turns, as in the paper's schedule for 10,000 turns.
fn schedule(at: usize, turns: usize) -> f32 {
    let scaled = count(at) / count(turns.max(1)) * 10_000.0;
    const LEVELS: [(f32, f32); 9] = [
        (10.0, 1.0),
        (50.0, 0.5),
        (200.0, 0.25),
        (500.0, 0.125),
        (1_000.0, 0.0625),
        (2_000.0, 0.03125),
        (4_000.0, 0.015_625),
        (6_000.0, 0.007_812_5),
        (8_000.0, 0.003_906_25),
    ];
    LEVELS.iter().find(|(until, _)| scaled <= *until).map_or(0.001_953_125, |(_, share)| *share)
}

fn window(base: &mut Base, shift: &mut [f32], epsilon: f32, share: f32) {
    if let Some((channels, height, width)) = base.shape.image() {
        let side =
            whole((share * count(height * width)).sqrt().round()).clamp(1, height.min(width).max(2) - 1);
        let (top, left) = (base.random.below(height - side + 1), base.random.below(width - side + 1));
        let (mut changed, mut tries) = (false, 0);
        // A window that changes nothing wastes a query.
        while !changed && tries < 8 {
            for channel in 0..channels {
                let value = sign(base, epsilon);
                for y in top..top + side {
                    for x in left..left + side {
                        let slot = &mut shift[(channel * height + y) * width + x];
                        changed |= *slot != value;
                        *slot = value;
                    }
                }
            }
            tries += 1;
        }
        return;
    }
    let wanted = whole((share * count(shift.len())).round()).max(1);
    for _ in 0..wanted {
        let at = base.random.below(shift.len());
        if wanted == 1 {
            // One value: to its other end.
            shift[at] = if shift[at] > 0.0 { -epsilon } else { epsilon };
        } else {
            shift[at] = sign(base, epsilon);
        }
    }
}
