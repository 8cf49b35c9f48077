//! Learning from the decisions of all rows under attack at once.
//!
//! When no row has anything left to ask, a copy of the target is grown on what was asked so far and the rows of the pool,
//! and each row's nearest change that turns the copy is looked for over its thresholds. What it finds is asked, also a
//! little farther out, since the copy knows a threshold only as lying between two rows. Where it was wrong the next copy
//! knows better: that is active learning of the border around each row.

use serde::{Deserialize, Serialize};

use super::thresholds::Effort;
use super::{Cheapest, Phase, copy, thresholds};
use crate::Goal;
use crate::evasion::hunt::{Base, Reply};

/// Copies grown, one after the other.
const ROUNDS: usize = 16;
/// Studies in a row without gain after which a row is left to chance.
const PATIENCE: usize = 4;
/// Trees walked for one row in one study.
const WORK: usize = 6_000_000;
/// Rows asked of what the search found, each with what lies a little farther out.
const KEPT: usize = 6;
/// Rows and values remembered at most; the oldest are forgotten.
const ROWS: usize = 12_000;
const VALUES: usize = 600_000;
/// How much farther out than the copy says is asked as well.
const STRETCH: [f32; 5] = [1.0, 1.04, 1.1, 1.2, 1.35];

/// What was asked, and what was learned of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Study {
    /// Rows asked, end to end, and the class of each.
    values: Vec<f32>,
    classes: Vec<usize>,
    /// Copies grown so far.
    round: usize,
}

impl Study {
    /// Remembers what was answered.
    pub(super) fn remember(&mut self, reply: &Reply, width: usize) {
        if self.round >= ROUNDS || reply.scores.is_some() {
            return;
        }
        for (place, class) in reply.classes.iter().enumerate() {
            let values = reply.values(place);
            if let Some(class) = class.filter(|_| values.iter().all(|value| value.is_finite())) {
                self.values.extend_from_slice(values);
                self.classes.push(class);
            }
        }
        let most = ROWS.min(VALUES / width.max(1));
        let gone = self.classes.len().saturating_sub(most);
        if gone > most / 4 {
            self.values.drain(..gone * width);
            self.classes.drain(..gone);
        }
    }
}

impl Cheapest {
    /// Hands out what a copy says, once every row with budget left is waiting for it.
    pub(super) fn study(&mut self, base: &mut Base) {
        let open: Vec<usize> =
            base.open().into_iter().filter(|&row| base.rows[row].queries < self.config.queries).collect();
        let settled = |row: &usize| matches!(self.lanes[*row].phase, Phase::Waiting | Phase::Over);
        if !open.iter().all(settled) {
            return;
        }
        // Scores tell more of the border than a copy does.
        let labels = !self.config.scores && base.goal.column().is_none();
        while labels && self.study.round < ROUNDS {
            let eager = |row: &usize| {
                matches!(self.lanes[*row].phase, Phase::Waiting) && self.lanes[*row].idle < PATIENCE
            };
            let waiting: Vec<usize> = open.iter().copied().filter(eager).collect();
            if waiting.is_empty() {
                break;
            }
            let turn = self.study.round;
            self.study.round += 1;
            let mut sides: Vec<usize> = waiting.iter().map(|&row| side(base, row)).collect();
            sides.sort_unstable();
            sides.dedup();
            let mut offered = false;
            for own in sides {
                let copy = self.copy(base, own, turn);
                for &row in &waiting {
                    if side(base, row) != own {
                        continue;
                    }
                    let seed = base.random.below(1 << 32) as u64;
                    let rows = copy.as_ref().map_or_else(Vec::new, |copy| {
                        let effort = Effort {
                            work: WORK,
                            within: base.best_distance(row),
                            // With two classes the copy's output speaks for class 1.
                            up: (base.classes > 2).then_some(true),
                            offset: 0.0,
                            seed,
                            kept: KEPT,
                            ends: true,
                        };
                        stretched(base, row, &thresholds::nearest(base, copy, row, effort))
                    });
                    let lane = &mut self.lanes[row];
                    if rows.is_empty() {
                        lane.idle += 1;
                    } else {
                        offered = true;
                        lane.phase = Phase::Offering { rows, before: base.best_distance(row) };
                    }
                }
            }
            if offered {
                return;
            }
        }
        self.study = Study { round: ROUNDS, ..Study::default() };
        for lane in self.lanes.iter_mut().filter(|lane| matches!(lane.phase, Phase::Waiting)) {
            lane.phase = Phase::Polishing;
        }
    }

    /// A copy that tells this side from the others.
    fn copy(&self, base: &mut Base, own: usize, turn: usize) -> Option<mantlet_vocab::TreeEnsemble> {
        let width = base.len();
        let (mut values, mut classes) = (self.study.values.clone(), self.study.classes.clone());
        if let Some(pool) = &base.pool {
            let many = (VALUES / width.max(1)).min(ROWS / 3);
            for (row, class) in (0..pool.rows()).zip(&base.pool_labels).take(many) {
                if pool.row(row).iter().all(|value| value.is_finite()) {
                    values.extend_from_slice(pool.row(row));
                    classes.push(*class);
                }
            }
        }
        let reached = |class: &usize| match base.goal {
            _ if base.classes <= 2 => *class == 1,
            Goal::Class { class: wanted } => *class == wanted,
            _ => *class != own,
        };
        let sides: Vec<bool> = classes.iter().map(reached).collect();
        copy::grown(&values, width, &sides, turn, &mut base.random)
    }
}

/// Rows of one side share a copy: all of them with two classes or one wanted, else those of the same class.
fn side(base: &Base, row: usize) -> usize {
    if base.classes <= 2 || matches!(base.goal, Goal::Class { .. }) { 0 } else { base.rows[row].label }
}

/// These rows and the same a little farther out, as far as they are nearer than the nearest success.
fn stretched(base: &Base, row: usize, found: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut rows: Vec<Vec<f32>> = Vec::new();
    for values in found {
        let shift = base.shift_of(row, values);
        for share in STRETCH {
            let longer: Vec<f32> = shift.iter().map(|value| share * value).collect();
            let values = base.shifted(row, &longer);
            let far = base.constraints.distances(base.original(row), &values).of(base.norm);
            if far < base.best_distance(row) * 0.999 && !rows.contains(&values) {
                rows.push(values);
            }
        }
    }
    rows
}
