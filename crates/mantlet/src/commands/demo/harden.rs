//! The loop closes: a confirmed attack becomes a case and a guard rule; case and unseen variants are replayed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mantlet_attacks::Stop;
use mantlet_detectors::{PinnedRule, derive};
use mantlet_redteam::{Case, NoJournal, Patience};
use mantlet_respond::Switches as _;
use mantlet_store::{Record, RecordKind};
use mantlet_worker::battery::WallClock;

use super::battle::{self, Battle};
use super::example::Example;
use crate::deploy::Running;
use crate::protect::Protected;

/// One replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// What was replayed.
    pub what: String,
    /// Whether the guard stopped it before it succeeded.
    pub stopped: bool,
    /// Queries answered before that.
    pub queries: u64,
}

/// One hardened attack.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The case.
    pub case: String,
    /// The rule.
    pub rule: PinnedRule,
    /// The case, then variants.
    pub replays: Vec<Replay>,
    /// With the rule alone (detectors only observing): the same streams, stopped by the rule.
    pub alone: Vec<bool>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Hardened {
    /// The rules.
    pub pinned: Vec<Pinned>,
    /// Benign queries after pinning.
    pub benign: usize,
    /// Of these refused.
    pub benign_refused: usize,
}

impl Hardened {
    /// Whether every case and variant is stopped and no benign query is.
    pub fn held(&self) -> bool {
        self.benign_refused == 0
            && self.pinned.iter().all(|pinned| pinned.replays.iter().all(|replay| replay.stopped))
            && self.pinned.iter().all(|pinned| pinned.alone.iter().all(|stopped| *stopped))
    }
}

/// Pins the first evasion and the first extraction that work without a guard, and replays them.
pub async fn harden(
    running: &Running,
    example: &Example,
    v1: &Protected,
    battle: &Battle,
    variant_seed: u64,
) -> anyhow::Result<Hardened> {
    let system = &example.v1.config.system.name;
    let mut pinned = Vec::new();
    for kind in ["evasion", "extraction"] {
        let confirmed =
            battle.attacks.iter().find(|attack| attack.kind == kind && attack.succeeds_at.is_some());
        let Some(attack) = confirmed else { continue };
        let profile = running
            .guard
            .profile()
            .ok_or_else(|| anyhow::anyhow!("there is no profile to derive a rule from"))?;
        let rule = derive(&attack.trace, profile)?;
        let case = Case::of(&attack.campaign, &attack.unguarded);
        let case_id = case.as_ref().map_or_else(|| attack.trace.case.clone(), |case| case.id.clone());
        if let Some(case) = &case {
            let record = Record {
                id: case.id.clone(),
                system: system.clone(),
                at: running.store.now(),
                state: "confirmed".to_owned(),
                doc: serde_json::to_value(case)?,
            };
            running.store.put_record(RecordKind::Case, &record, "demo").await?;
        }
        running.deck().pin_rule(system, &rule.id, &serde_json::to_value(&rule)?, true).await?;
        let mut replays = Vec::new();
        let mut alone = Vec::new();
        let watching = running.watching(&rule)?;
        for variant in 0..4_u64 {
            let (campaign, what) = if variant == 0 {
                (attack.campaign.clone(), "the case itself".to_owned())
            } else {
                let seed = variant_seed + variant;
                (
                    battle::campaign(example, v1, kind, seed)?,
                    format!("unseen variant, seed {seed}, other digits"),
                )
            };
            let (_, trace) = battle::unguarded(v1, &campaign)?;
            alone.push(watching.replay(&trace).stopped());
            // A variant of an evasion succeeds where its own stream without a guard does; theft takes about as long.
            let succeeds_at = match kind {
                "evasion" => trace.rows.iter().position(|row| row.success).map(|at| at as u64 + 1),
                _ => attack.succeeds_at,
            }
            .unwrap_or(u64::MAX);
            let (mut target, _) = battle::endpoint(running, &format!("replay {kind} {variant}")).await?;
            let report = tokio::task::spawn_blocking(move || {
                let mut campaign = campaign;
                campaign.patience = Patience { refusals: 2, failures: 3, wait_ms: 20 };
                campaign.run(&mut target, &mut NoJournal, &mut WallClock::default())
            })
            .await??;
            let answered = report.queries.saturating_sub(report.refusals);
            replays.push(Replay {
                what,
                stopped: report.stopped == Some(Stop::Guard) && answered < succeeds_at,
                queries: answered,
            });
        }
        pinned.push(Pinned { case: case_id, rule, replays, alone });
    }
    let again = battle::benign(
        running,
        example,
        variant_seed,
        "benign, after pinning,",
        Arc::new(AtomicBool::new(false)),
    )
    .await?;
    let (benign, benign_refused, _) = again.await??;
    Ok(Hardened { pinned, benign, benign_refused })
}
