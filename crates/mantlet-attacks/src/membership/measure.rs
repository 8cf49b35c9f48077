//! From a score a row to states, curve, rates and the members at risk.

use super::epsilon;
use crate::{AtRisk, Detail, Outcome, RowOutcome, State, Stop, auc_interval, roc, true_positive_at, wilson};

/// How many members at risk are named.
const NAMED: usize = 20;

/// What was scored, and how.
pub(super) struct Measured<'a> {
    pub(super) attack: &'static str,
    /// For each member its row in the material.
    pub(super) rows: &'a [usize],
    pub(super) labels: &'a [usize],
    /// Higher means member; `None` where the answer was no number.
    pub(super) members: &'a [Option<f32>],
    pub(super) others: &'a [Option<f32>],
    /// The share of non-members that may be called members.
    pub(super) false_alarms: f64,
    pub(super) score: String,
    pub(super) queries_each: u64,
    pub(super) stopped: Option<Stop>,
}

impl Measured<'_> {
    pub(super) fn outcome(&self) -> Outcome {
        let kept = |scores: &[Option<f32>]| -> Vec<f32> { scores.iter().copied().flatten().collect() };
        let (members, others) = (kept(self.members), kept(self.others));
        let complete = !members.is_empty() && !others.is_empty() && self.stopped.is_none();
        let (_, threshold) = true_positive_at(&members, &others, self.false_alarms);
        let rows = self.rows.iter().enumerate().map(|(index, &row)| {
            let state = match (self.members.get(index), self.stopped) {
                (Some(None), _) => State::Error,
                (Some(Some(score)), None) if complete && *score > threshold => State::Hit,
                (Some(Some(_)), None) if complete => State::Miss,
                (_, Some(why)) => why.state(),
                (_, None) => State::Error,
            };
            RowOutcome {
                before: self.labels.get(index).copied(),
                queries: self.queries_each,
                ..RowOutcome::without_result(row, state)
            }
        });
        let rate = |false_alarms| {
            if complete { true_positive_at(&members, &others, false_alarms).0 } else { wilson(0, 0) }
        };
        let mut at_risk: Vec<AtRisk> = self
            .rows
            .iter()
            .zip(self.members)
            .filter_map(|(&row, score)| score.map(|score| AtRisk { row, score }))
            .filter(|risk| complete && risk.score > threshold)
            .collect();
        at_risk.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        at_risk.truncate(NAMED);
        Outcome {
            attack: self.attack.to_owned(),
            stopped: self.stopped,
            rows: rows.collect(),
            detail: Detail::Membership {
                members: members.len(),
                non_members: others.len(),
                auc: auc_interval(&members, &others),
                tpr_at_1: rate(0.01),
                tpr_at_01: rate(0.001),
                epsilon: if complete { epsilon::demonstrated(&members, &others) } else { None },
                at_risk,
                roc: if complete { roc(&members, &others) } else { Vec::new() },
                score: self.score.clone(),
            },
        }
    }
}
