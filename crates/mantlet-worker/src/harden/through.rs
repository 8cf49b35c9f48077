//! The same attack through a guard: what it reaches without, what it reaches with it.

use mantlet_attacks::{Detail, Interval, wilson};
use mantlet_guard::Guard;
use mantlet_redteam::{Campaign, NoJournal, ProbeReport, Target, fidelity};
use serde::{Deserialize, Serialize};

use super::confirmed::{by_gradients, damages, results};
use super::prove::{damaged, hits, stamped};
use super::{GuardedTarget, Hurried, Passage, Scene};
use crate::battery::SmallLearner;

/// What an attack reaches without and with a guard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Through {
    /// What is counted, in plain words.
    pub of: String,
    /// Without the guard, of `n`.
    pub without: usize,
    /// With it.
    pub with: usize,
    /// Of how many.
    pub n: usize,
    /// The query at which the caller was first marked.
    pub flagged_at: Option<u64>,
    /// The query at which an answer was first withheld.
    pub withheld_at: Option<u64>,
    /// Rows asked through the guard.
    pub asked: u64,
    /// Rows answered.
    pub answered: u64,
    /// Rules behind withheld answers, most frequent first.
    pub rules: Vec<String>,
}

impl Through {
    fn new(of: &str, without: usize, with: usize, n: usize, passage: &Passage) -> Self {
        let mut rules: Vec<(&String, &u64)> = passage.rules.iter().collect();
        rules.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        Self {
            of: of.to_owned(),
            without,
            with,
            n,
            flagged_at: passage.flagged_at,
            withheld_at: passage.withheld_at,
            asked: passage.asked,
            answered: passage.answered,
            rules: rules.into_iter().map(|(rule, _)| rule.clone()).collect(),
        }
    }

    /// What it reaches without the guard, with its interval (Wilson).
    #[must_use]
    pub fn before(&self) -> Interval {
        wilson(self.without, self.n)
    }

    /// What it reaches with the guard.
    #[must_use]
    pub fn after(&self) -> Interval {
        wilson(self.with, self.n)
    }
}

/// Runs the campaign of a report again, through a guard in this process, as one caller. `None` for what a guard of
/// requests cannot do anything about, and for reports without a hit.
pub fn through(
    scene: &Scene<'_>,
    target: &mut dyn Target,
    guard: &Guard,
    campaign: &Campaign,
    report: &ProbeReport,
) -> Option<Through> {
    let outcome = report.outcome.as_ref()?;
    let mut learner = SmallLearner::of(scene.kin);
    let caller = format!("attacker {}", campaign.digest("").hex());
    match &outcome.detail {
        Detail::Evasion { .. } if by_gradients(report) => {
            let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
            let found = results(campaign, report);
            let passed = found.iter().filter(|(_, row)| guarded.labels(row).is_ok()).count();
            let of = "rows whose changed form is answered as the attacker wants";
            Some(Through::new(of, found.len(), passed, report.n, &guarded.passage))
        }
        Detail::Evasion { .. } => {
            let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
            let again = conduct(campaign, &mut guarded, &mut learner)?;
            let of = "rows turned";
            Some(Through::new(of, report.counts.hit, hits(&again), report.n, &guarded.passage))
        }
        Detail::Extraction { .. } => {
            let all = scene.ground.held_out_or_train();
            let unseen = all.x.select(&scene.unseen());
            let victim = labels(target, &unseen)?;
            let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
            let again = conduct(campaign, &mut guarded, &mut learner)?;
            let passage = guarded.passage;
            let mut agreement = |report: &ProbeReport| {
                let outcome = report.outcome.as_ref()?;
                let Detail::Extraction { rows, .. } = &outcome.detail else { return None };
                let (classes, points) = (scene.ground.classes, [rows.rows()]);
                let curve =
                    fidelity(outcome, classes, &points, &unseen, &victim, &mut learner, campaign.seed)
                        .ok()?;
                let share = curve.last()?.fidelity.value;
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of rows, as a count of them"
                )]
                let count = (share * victim.len() as f64).round() as usize;
                Some(count)
            };
            let before = agreement(report)?;
            let after = agreement(&again).unwrap_or(0);
            Some(Through::new("unseen rows a copy agrees on", before, after, victim.len(), &passage))
        }
        Detail::Membership { members, .. } => {
            let mut guarded = GuardedTarget::new(target, guard, &scene.layout, &caller);
            let again = conduct(campaign, &mut guarded, &mut learner)?;
            let of = "training rows told from others";
            Some(Through::new(of, report.counts.hit, hits(&again), *members, &guarded.passage))
        }
        Detail::Triggers { .. } => {
            let tally = stamped(scene, target, guard, report);
            let passed = tally.succeed - tally.stopped;
            (tally.succeed > 0).then(|| {
                let of = "rows with the planted mark that are answered";
                Through::new(of, tally.succeed, passed, tally.succeed, &Passage::default())
            })
        }
        Detail::Measured { .. } if damages(campaign) => {
            let tally = damaged(scene, target, guard, campaign, &mut learner);
            let passed = tally.succeed - tally.stopped;
            (tally.succeed > 0).then(|| {
                let of = "damaged rows that are misread and answered";
                Through::new(of, tally.succeed, passed, tally.succeed, &Passage::default())
            })
        }
        Detail::Measured { .. } | Detail::Rows { .. } => None,
    }
}

fn conduct(campaign: &Campaign, target: &mut dyn Target, learner: &mut SmallLearner) -> Option<ProbeReport> {
    let report = campaign.run_with(target, learner, &mut NoJournal, &mut Hurried::default()).ok()?;
    report.not_examined.is_none().then_some(report)
}

fn labels(target: &mut dyn Target, rows: &mantlet_vocab::Tensor) -> Option<Vec<usize>> {
    let most = match target.describe().max_rows {
        0 => rows.rows().max(1),
        most => most,
    };
    let all: Vec<usize> = (0..rows.rows()).collect();
    let mut labels = Vec::with_capacity(all.len());
    for part in all.chunks(most) {
        labels.extend(target.labels(&rows.select(part)).ok()?);
    }
    (labels.len() == all.len()).then_some(labels)
}
