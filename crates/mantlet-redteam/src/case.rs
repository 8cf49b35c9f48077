//! A confirmed attack kept so that it can be tried again at every change.

use mantlet_attacks::{Material, State, Stop};
use mantlet_vocab::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    Budget, Campaign, CampaignError, Clock, Learner, NoJournal, NoLearner, Patience, ProbeReport, Target,
};

/// What a case did when it was confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Rows (or classes) that were hits.
    pub hits: Vec<usize>,
    /// Rows asked when the first hit was reached.
    pub first_hit_query: Option<u64>,
    /// The model's class of each start row at the time, where the attack recorded it.
    pub before: Vec<Option<usize>>,
    /// Rows asked in all.
    pub queries: u64,
}

/// A replayable attack: same attack, configuration, seed and start rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Stable id: a digest of what is replayed.
    pub id: String,
    /// The attack's name.
    pub attack: String,
    /// Its configuration.
    pub config: serde_json::Value,
    /// The seed.
    pub seed: u64,
    /// One digest a start row, to compare with stored exchanges.
    pub row_digests: Vec<Digest>,
    /// The rows themselves.
    pub material: Material,
    /// What the attack may spend.
    pub budget: Budget,
    /// What it did.
    pub expected: Expected,
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayVerdict {
    /// The target refused before the attack had a hit.
    Stopped,
    /// The attack reached a hit again: what used to be confirmed still works.
    Passed,
    /// The attack ran and no longer hits, or the model answers the start rows differently.
    Changed,
    /// The replay did not come to a result: the target failed or the budget ran out.
    Inconclusive,
}

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayResult {
    /// The case.
    pub case: String,
    /// How it ended.
    pub verdict: ReplayVerdict,
    /// Rows asked.
    pub queries: u64,
    /// Rows asked when the first hit was reached.
    pub first_hit_query: Option<u64>,
    /// In plain words.
    pub message: String,
    /// The whole report.
    pub report: ProbeReport,
}

impl Case {
    /// Keeps a campaign whose report has at least one hit; `None` when it has none.
    #[must_use]
    pub fn of(campaign: &Campaign, report: &ProbeReport) -> Option<Self> {
        let outcome = report.outcome.as_ref()?;
        let hits: Vec<usize> =
            outcome.rows.iter().filter(|row| row.state == State::Hit).map(|row| row.row).collect();
        if hits.is_empty() {
            return None;
        }
        Some(Self {
            id: format!("case-{}", &campaign.digest("").hex()[..12]),
            attack: campaign.attack.clone(),
            config: campaign.config.clone(),
            seed: campaign.seed,
            row_digests: campaign.material.digests(),
            material: campaign.material.clone(),
            budget: campaign.budget,
            expected: Expected {
                hits,
                first_hit_query: report.first_hit_query,
                before: outcome.rows.iter().map(|row| row.before).collect(),
                queries: report.queries,
            },
        })
    }

    /// The same attack from another seed and, if given, other start rows: an unseen variant.
    #[must_use]
    pub fn variant(&self, seed: u64, material: Option<Material>) -> Campaign {
        Campaign {
            attack: self.attack.clone(),
            config: self.config.clone(),
            seed,
            material: material.unwrap_or_else(|| self.material.clone()),
            budget: self.budget,
            patience: Patience::default(),
            command: String::new(),
        }
    }

    /// Tries the attack again.
    ///
    /// # Errors
    /// When the attack of the case cannot be made.
    pub fn replay(
        &self,
        target: &mut dyn Target,
        patience: Patience,
        clock: &mut dyn Clock,
    ) -> Result<ReplayResult, CampaignError> {
        self.replay_with(target, &mut NoLearner, patience, clock)
    }

    /// As [`Case::replay`], with a learner for attacks that train models of their own.
    ///
    /// # Errors
    /// As [`Case::replay`].
    pub fn replay_with(
        &self,
        target: &mut dyn Target,
        learner: &mut dyn Learner,
        patience: Patience,
        clock: &mut dyn Clock,
    ) -> Result<ReplayResult, CampaignError> {
        let mut campaign = self.variant(self.seed, None);
        campaign.patience = patience;
        let report = campaign.run_with(target, learner, &mut NoJournal, clock)?;
        let (verdict, message) = self.judge(&report);
        Ok(ReplayResult {
            case: self.id.clone(),
            verdict,
            queries: report.queries,
            first_hit_query: report.first_hit_query,
            message,
            report,
        })
    }

    fn judge(&self, report: &ProbeReport) -> (ReplayVerdict, String) {
        if let Some(query) = report.first_hit_query.filter(|_| report.counts.hit > 0) {
            return (
                ReplayVerdict::Passed,
                format!("the attack works again: {} hits, the first after {query} rows", report.counts.hit),
            );
        }
        match report.stopped {
            Some(Stop::Guard) => (
                ReplayVerdict::Stopped,
                format!("the target refused after {} rows, before any hit", report.queries),
            ),
            Some(Stop::Budget | Stop::Cancelled | Stop::Failure) => (
                ReplayVerdict::Inconclusive,
                format!("the replay ended after {} rows without a result", report.queries),
            ),
            None if report.counts.error > 0 => {
                (ReplayVerdict::Inconclusive, "answers of the target could not be used".to_owned())
            }
            None => (
                ReplayVerdict::Changed,
                format!("the attack ran to its end ({} rows) and no longer hits", report.queries),
            ),
        }
    }
}
