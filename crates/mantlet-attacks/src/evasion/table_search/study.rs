//! Learning from the decisions of all rows under attack at once.
//!
//! When no row has anything left to ask, a copy of the target is grown on what was asked so far and the rows of the pool,
//! and each row's nearest change that turns the copy is looked for over its thresholds. What it finds is asked, also a
//! little farther out, since the copy knows a threshold only as lying between two rows. Where it was wrong the next copy
//! knows better: that is active learning of the border around each row.
//!
//! Rows learn in groups, each with its own memory and copies: a copy taught by all rows at once remembers too little of
//! what was asked around each.

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
const WORK: usize = 1_500_000;
/// Rows asked of what the search found, each with what lies a little farther out.
const KEPT: usize = 6;
/// Rows and values remembered at most; the oldest are forgotten.
const ROWS: usize = 12_000;
const VALUES: usize = 600_000;
/// How much farther out than the copy says is asked as well.
const STRETCH: [f32; 5] = [1.0, 1.04, 1.1, 1.2, 1.35];

/// Rows that share a copy, about: with half as many a copy sees too little.
const GROUP: usize = 56;

/// What was asked about a group of rows, and what was learned of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Study {
    /// The rows under attack from this one on, until the next group's.
    first: usize,
    /// Rows asked, end to end, and the class of each.
    values: Vec<f32>,
    classes: Vec<usize>,
    /// Copies grown so far.
    round: usize,
}

/// Groups of about this size for so many rows.
pub(super) fn groups(rows: usize) -> Vec<Study> {
    let many = ((rows + GROUP / 2) / GROUP).max(1);
    (0..many).map(|group| Study { first: group * rows / many, ..Study::default() }).collect()
}

/// Remembers what was answered, each row with its group.
pub(super) fn remember(studies: &mut [Study], reply: &Reply, width: usize) {
    if reply.scores.is_some() {
        return;
    }
    for (place, class) in reply.classes.iter().enumerate() {
        let (row, values) = (reply.rows[place], reply.values(place));
        let group = studies.partition_point(|study| study.first <= row).saturating_sub(1);
        let Some(study) = studies.get_mut(group).filter(|study| study.round < ROUNDS) else { continue };
        if let Some(class) = class.filter(|_| values.iter().all(|value| value.is_finite())) {
            study.values.extend_from_slice(values);
            study.classes.push(class);
        }
    }
    let most = ROWS.min(VALUES / width.max(1));
    for study in studies {
        let gone = study.classes.len().saturating_sub(most);
        if gone > most / 4 {
            study.values.drain(..gone * width);
            study.classes.drain(..gone);
        }
    }
}

impl Cheapest {
    /// Hands out what copies say, each once every row of its group with budget left is waiting for it.
    pub(super) fn study(&mut self, base: &mut Base) {
        let left = |row: &usize| base.rows[*row].queries < self.config.queries;
        let open: Vec<usize> = base.open().into_iter().filter(left).collect();
        for group in 0..self.studies.len() {
            let first = self.studies[group].first;
            let next = self.studies.get(group + 1).map_or(usize::MAX, |study| study.first);
            let own: Vec<usize> = open.iter().copied().filter(|row| (first..next).contains(row)).collect();
            let settled = |row: &usize| matches!(self.lanes[*row].phase, Phase::Waiting | Phase::Over);
            if own.iter().all(settled) {
                self.study_group(base, group, &own, first..next);
            }
        }
    }

    /// The same for one group, whose rows with budget left these are.
    fn study_group(&mut self, base: &mut Base, group: usize, open: &[usize], all: std::ops::Range<usize>) {
        // Scores tell more of the border than a copy does.
        let labels = !self.config.scores && base.goal.column().is_none();
        while labels && self.studies[group].round < ROUNDS {
            let eager = |row: &usize| {
                matches!(self.lanes[*row].phase, Phase::Waiting) && self.lanes[*row].idle < PATIENCE
            };
            let waiting: Vec<usize> = open.iter().copied().filter(eager).collect();
            if waiting.is_empty() {
                break;
            }
            let turn = self.studies[group].round;
            self.studies[group].round += 1;
            let mut sides: Vec<usize> = waiting.iter().map(|&row| side(base, row)).collect();
            sides.sort_unstable();
            sides.dedup();
            let mut offered = false;
            for own in sides {
                let copy = self.copy(base, group, own, turn);
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
        self.studies[group] = Study { first: all.start, round: ROUNDS, ..Study::default() };
        let end = all.end.min(self.lanes.len());
        for lane in self.lanes.get_mut(all.start..end).unwrap_or_default() {
            if matches!(lane.phase, Phase::Waiting) {
                lane.phase = Phase::Polishing;
            }
        }
    }

    /// A copy that tells this side from the others.
    fn copy(
        &self,
        base: &mut Base,
        group: usize,
        own: usize,
        turn: usize,
    ) -> Option<mantlet_vocab::TreeEnsemble> {
        let width = base.len();
        let (mut values, mut classes) =
            (self.studies[group].values.clone(), self.studies[group].classes.clone());
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
