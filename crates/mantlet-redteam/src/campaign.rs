//! One attack against one target: asks for it, keeps the budget, writes the journal, makes the report.
//!
//! Long because asking, replaying and counting share one state.

use std::collections::{BTreeMap, VecDeque};

use mantlet_attacks::{Answer, Ask, AttackError, Goal, Lesson, Loss, Material, Step, Stop};
use mantlet_vocab::{Digest, Gap, Tensor};
use serde::{Deserialize, Serialize};

use crate::ask::{join, learned, query};
use crate::{
    Budget, Clock, Entry, Journal, JournalError, Learner, NoLearner, Patience, ProbeReport, StateCounts,
    Target, TargetError, bits, distrust,
};

/// Why a campaign could not run or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// The attack cannot be made.
    #[error(transparent)]
    Attack(#[from] AttackError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal belongs to something else.
    #[error("the journal is of another campaign: {0}; remove it or name another")]
    OtherJournal(String),
}

/// An attack with all it needs, ready to run against a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// The attack's name.
    pub attack: String,
    /// Its configuration; absent keys take their defaults.
    pub config: serde_json::Value,
    /// The seed.
    pub seed: u64,
    /// What it works on.
    pub material: Material,
    /// What it may spend.
    pub budget: Budget,
    /// How it bears refusals.
    pub patience: Patience,
    /// The command that reproduces it, for the report.
    pub command: String,
}

impl Campaign {
    /// An attack with its default configuration and budget.
    #[must_use]
    pub fn new(attack: &str, seed: u64, material: Material) -> Self {
        Self {
            attack: attack.to_owned(),
            config: serde_json::json!({}),
            seed,
            material,
            budget: Budget::default(),
            patience: Patience::default(),
            command: String::new(),
        }
    }

    /// With this configuration.
    #[must_use]
    pub fn config(mut self, config: serde_json::Value) -> Self {
        self.config = config;
        self
    }

    /// With this budget.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// What tells this campaign's journal from another's.
    #[must_use]
    pub fn digest(&self, target: &str) -> Digest {
        let rows: Vec<String> = self.material.digests().iter().map(ToString::to_string).collect();
        let pool = self.material.pool.as_ref().map(|pool| rows_digest(pool).to_string());
        let all = serde_json::json!([
            self.attack,
            self.config,
            self.seed,
            self.budget,
            rows,
            pool,
            self.material.labels,
            self.material.pool_labels,
            self.material.constraints,
            self.material.goal,
            target
        ]);
        Digest::of(all.to_string().as_bytes())
    }

    /// Runs to the end of the attack, the budget, or the target's patience. Lines already in the journal are
    /// taken as answered, so an interrupted campaign goes on where it was and ends in the same report.
    ///
    /// # Errors
    /// When the attack cannot be made or the journal fails. A target that fails or refuses is a result, not an
    /// error.
    pub fn run(
        &self,
        target: &mut dyn Target,
        journal: &mut dyn Journal,
        clock: &mut dyn Clock,
    ) -> Result<ProbeReport, CampaignError> {
        self.run_with(target, &mut NoLearner, journal, clock)
    }

    /// As [`Campaign::run`], with a learner for attacks that train models of their own.
    ///
    /// # Errors
    /// As [`Campaign::run`].
    pub fn run_with(
        &self,
        target: &mut dyn Target,
        learner: &mut dyn Learner,
        journal: &mut dyn Journal,
        clock: &mut dyn Clock,
    ) -> Result<ProbeReport, CampaignError> {
        let mut attack =
            mantlet_attacks::create(&self.attack, &self.config, self.seed, self.material.clone())?;
        let facts = target.describe();
        let mut report = self.blank(attack.about().title, target);
        let campaign = self.digest(&facts.name);
        let mut past: VecDeque<Entry> = journal.entries()?.into();
        match past.pop_front() {
            None => journal.append(&Entry::Begin { campaign })?,
            Some(Entry::Begin { campaign: other }) if other == campaign => {}
            Some(_) => return Err(CampaignError::OtherJournal(campaign.to_string())),
        }
        let mut run = Run {
            campaign: self,
            target,
            learner,
            journal,
            started: clock.now_ms(),
            clock,
            past,
            max_rows: facts.max_rows,
            spent_before: 0,
            queries: 0,
            refusals: 0,
            failures: 0,
            tokens: 0,
            remembered: 0,
            unsupported: None,
            away: None,
        };
        let mut answer = None;
        let outcome = loop {
            let step = attack.step(answer.take());
            if attack.hits() > 0 && report.first_hit_query.is_none() {
                report.first_hit_query = Some(run.queries);
            }
            match step {
                Step::Done(outcome) => break outcome,
                Step::Ask(ask) => match run.ask(&ask)? {
                    Ok(given) => answer = Some(given),
                    Err(stop) => break attack.stop(stop),
                },
            }
        };
        report.queries = run.queries;
        report.refusals = run.refusals;
        report.failures = run.failures;
        report.millis = run.spent();
        for (name, count) in [("tokens", run.tokens), ("answers-remembered", run.remembered)] {
            if count > 0 {
                report.facts.insert(name.to_owned(), count.into());
            }
        }
        let away = run.away.map(|wait| {
            format!(
                "the target asked to be left alone for {} s, longer than the {} s this run waits",
                wait.div_ceil(1_000),
                self.patience.wait_ms / 1_000
            )
        });
        report.not_examined = run.unsupported.take().map(|why| Gap {
            what: format!("probe `{}`", self.attack),
            why,
            remedy: "use an attack that needs only what the target gives, or give a model file".to_owned(),
        });
        let rows = &self.material.rows;
        report.take(outcome, |row| (row < rows.rows()).then(|| rows.row(row).to_vec()));
        if self.material.goal != Goal::Leave
            && let Ok(goal) = serde_json::to_value(self.material.goal)
        {
            report.facts.insert("goal".to_owned(), goal);
        }
        let changes = report.outcome.as_ref().and_then(|outcome| {
            let evasion = matches!(outcome.detail, mantlet_attacks::Detail::Evasion { .. });
            evasion.then(|| crate::changes(outcome, rows, &self.material.constraints)).flatten()
        });
        if let Some(Ok(changes)) = changes.map(serde_json::to_value) {
            report.facts.insert("changes".to_owned(), changes);
        }
        report.notes.extend(away);
        report.doubts = distrust::within(&report);
        Ok(report)
    }

    /// The report of a campaign that cannot be run: not examined, for the reason given.
    #[must_use]
    pub fn skipped(&self, target: &dyn Target, gap: Gap) -> ProbeReport {
        let about = mantlet_attacks::abouts().into_iter().find(|about| about.name == self.attack);
        let mut report = self.blank(about.map_or("", |about| about.title), target);
        report.not_examined = Some(gap);
        report
    }

    fn blank(&self, title: &str, target: &dyn Target) -> ProbeReport {
        ProbeReport {
            probe: self.attack.clone(),
            title: title.to_owned(),
            target: target.describe(),
            seed: self.seed,
            config: self.config.clone(),
            n: 0,
            counts: StateCounts::default(),
            success: mantlet_attacks::wilson(0, 0),
            budget: Some(self.budget),
            queries: 0,
            first_hit_query: None,
            refusals: 0,
            failures: 0,
            millis: 0,
            stopped: None,
            figures: Vec::new(),
            examples: Vec::new(),
            triggers: Vec::new(),
            curve: Vec::new(),
            roc: Vec::new(),
            doubts: Vec::new(),
            notes: Vec::new(),
            not_examined: None,
            command: self.command.clone(),
            outcome: None,
            facts: BTreeMap::new(),
        }
    }
}

pub(crate) fn rows_digest(rows: &Tensor) -> Digest {
    let mut bytes: Vec<u8> = rows.shape().iter().flat_map(|axis| (*axis as u64).to_le_bytes()).collect();
    bytes.extend(rows.data().iter().flat_map(|value| value.to_le_bytes()));
    Digest::of(&bytes)
}

struct Run<'a> {
    campaign: &'a Campaign,
    target: &'a mut dyn Target,
    learner: &'a mut dyn Learner,
    journal: &'a mut dyn Journal,
    clock: &'a mut dyn Clock,
    past: VecDeque<Entry>,
    started: u64,
    max_rows: usize,
    spent_before: u64,
    queries: u64,
    refusals: u64,
    failures: u64,
    tokens: u64,
    /// Rows that were not asked, since their answers were known.
    remembered: u64,
    unsupported: Option<String>,
    /// How long the target asked to be left alone, when that was longer than the campaign's patience.
    away: Option<u64>,
}

impl Run<'_> {
    /// Milliseconds spent, those of interrupted runs included.
    fn spent(&self) -> u64 {
        self.spent_before.saturating_add(self.clock.now_ms().saturating_sub(self.started))
    }

    /// Asks in batches the target takes; the outer error is the journal's, the inner says why to stop.
    fn ask(&mut self, ask: &Ask) -> Result<Result<Answer, Stop>, CampaignError> {
        if let Ask::Learned { lesson, rows, loss } = ask {
            return Ok(self.learned(lesson, rows, loss.as_ref()));
        }
        let rows = ask.rows();
        let total = rows.rows();
        let size = if self.max_rows == 0 { total.max(1) } else { self.max_rows };
        let mut whole: Option<Answer> = None;
        let mut start = 0;
        while start < total {
            let end = (start + size).min(total);
            let indices: Vec<usize> = (start..end).collect();
            let part = if end - start == total { rows.clone() } else { rows.select(&indices) };
            let piece = match ask {
                Ask::Labels(_) => Ask::Labels(part),
                Ask::Scores(_) => Ask::Scores(part),
                Ask::Activations(_) => Ask::Activations(part),
                Ask::Margins { high, labels, .. } => Ask::Margins {
                    low: part,
                    high: high.select(&indices),
                    labels: labels.get(start..end).unwrap_or(&[]).to_vec(),
                },
                Ask::Gradient { loss, .. } => Ask::Gradient { rows: part, loss: loss.select(start..end) },
                Ask::Learned { .. } => ask.clone(),
            };
            match self.batch(&piece)? {
                Ok(answer) => whole = Some(join(whole, answer)),
                Err(stop) => return Ok(Err(stop)),
            }
            start = end;
        }
        Ok(Ok(whole.unwrap_or(Answer::Labels(Vec::new()))))
    }

    /// A model of the attacker's own costs time, but no query; it is trained again when a campaign goes on.
    fn learned(&mut self, lesson: &Lesson, rows: &Tensor, loss: Option<&Loss>) -> Result<Answer, Stop> {
        if self.spent() >= self.campaign.budget.millis {
            return Err(Stop::Budget);
        }
        learned(self.learner, lesson, rows, loss).map_err(|why| {
            self.unsupported = Some(why);
            Stop::Failure
        })
    }

    fn batch(&mut self, ask: &Ask) -> Result<Result<Answer, Stop>, CampaignError> {
        let digest = rows_digest(ask.rows());
        let rows = ask.rows().rows() as u64;
        let (mut refused, mut failed) = (0, 0);
        loop {
            // What was asked then, as the journal says; now, what is not remembered.
            let (count, tokens) = match self.past.front() {
                Some(entry) => (entry.rows(), entry.tokens()),
                None => match self.target.unanswered(ask) as u64 {
                    0 => (0, 0),
                    count => (count, self.target.tokens_at_most(ask.rows())),
                },
            };
            let budget = self.campaign.budget;
            if self.queries.saturating_add(count) > budget.queries
                || self.tokens.saturating_add(tokens) > budget.tokens
                || self.spent() >= budget.millis
            {
                return Ok(Err(Stop::Budget));
            }
            self.queries += count;
            let result = match self.past.pop_front() {
                Some(entry) => {
                    self.tokens += tokens;
                    self.replay(&entry, ask, digest)?
                }
                None => self.fresh(ask, digest, count, tokens)?,
            };
            match result {
                Ok(answer) => {
                    self.remembered += rows.saturating_sub(count);
                    return Ok(Ok(answer));
                }
                Err(TargetError::Refused { retry_after_ms, status, .. }) => {
                    self.refusals += 1;
                    refused += 1;
                    let patience = self.campaign.patience;
                    // What a target asks for is kept to: who cannot wait that long asks no more.
                    let too_long = retry_after_ms.is_some_and(|wait| wait > patience.wait_ms);
                    if too_long {
                        self.away = retry_after_ms;
                    }
                    if refused >= patience.refusals || too_long {
                        return Ok(Err(Stop::Guard));
                    }
                    let crowded = matches!(status, 429 | 503);
                    let wait = retry_after_ms.unwrap_or(if crowded { patience.after(refused) } else { 0 });
                    if let Err(stop) = self.pause(wait) {
                        return Ok(Err(stop));
                    }
                }
                Err(TargetError::Unsupported { reason }) => {
                    self.unsupported = Some(reason);
                    return Ok(Err(Stop::Failure));
                }
                Err(TargetError::Failed { .. } | TargetError::Malformed { .. }) => {
                    self.failures += 1;
                    failed += 1;
                    if failed >= self.campaign.patience.failures {
                        return Ok(Err(Stop::Failure));
                    }
                    if let Err(stop) = self.pause(self.campaign.patience.after(failed)) {
                        return Ok(Err(stop));
                    }
                }
            }
        }
    }

    /// Waits, unless the time is up before that. While replaying a journal the wait is already in the past.
    fn pause(&mut self, wait: u64) -> Result<(), Stop> {
        if !self.past.is_empty() {
            return Ok(());
        }
        if self.spent().saturating_add(wait) >= self.campaign.budget.millis {
            return Err(Stop::Budget);
        }
        self.clock.wait_ms(wait);
        Ok(())
    }

    /// Asks the target about `count` rows, which costs at most `tokens`.
    fn fresh(
        &mut self,
        ask: &Ask,
        rows: Digest,
        count: u64,
        at_most: u64,
    ) -> Result<Result<Answer, TargetError>, CampaignError> {
        let before = self.target.tokens();
        let result = query(self.target, ask);
        let billed = self.target.tokens().saturating_sub(before);
        // An answer that did not arrive, or is none, may have been billed all the same.
        let lost = matches!(result, Err(TargetError::Failed { .. } | TargetError::Malformed { .. }));
        let tokens = if lost { billed.max(at_most) } else { billed };
        self.tokens = self.tokens.saturating_add(tokens);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let spent_ms = self.spent();
        let entry = match &result {
            Ok(answer) => Entry::Answered {
                ask: ask.word().to_owned(),
                rows,
                count,
                tokens,
                labels: if let Answer::Labels(labels) = answer { labels.clone() } else { Vec::new() },
                scores: match answer {
                    Answer::Scores(scores) if matches!(ask, Ask::Scores(_)) => bits::write(scores.data()),
                    _ => String::new(),
                },
                spent_ms,
            },
            Err(TargetError::Refused { status, retry_after_ms, .. }) => {
                Entry::Refused { count, status: *status, retry_after_ms: *retry_after_ms, spent_ms }
            }
            Err(other) => Entry::Failed { count, reason: other.to_string(), tokens, spent_ms },
        };
        self.journal.append(&entry)?;
        Ok(result)
    }

    /// The answer of a journal's line; gradients are computed again.
    fn replay(
        &mut self,
        entry: &Entry,
        ask: &Ask,
        digest: Digest,
    ) -> Result<Result<Answer, TargetError>, CampaignError> {
        let other = |what: &str| CampaignError::OtherJournal(format!("its line asks {what}"));
        let (answer, spent) = match entry {
            Entry::Begin { .. } => return Err(other("to begin again")),
            Entry::Refused { status, retry_after_ms, spent_ms, .. } => {
                let (status, retry_after_ms) = (*status, *retry_after_ms);
                let refused = TargetError::Refused { status, reason: String::new(), retry_after_ms };
                (Err(refused), *spent_ms)
            }
            Entry::Failed { reason, spent_ms, .. } => {
                (Err(TargetError::Failed { reason: reason.clone() }), *spent_ms)
            }
            Entry::Answered { ask: word, rows, labels, scores, spent_ms, .. } => {
                if word != ask.word() || *rows != digest {
                    return Err(other("about other rows"));
                }
                let answer = match ask {
                    Ask::Labels(_) => Ok(Answer::Labels(labels.clone())),
                    Ask::Gradient { .. }
                    | Ask::Activations(_)
                    | Ask::Margins { .. }
                    | Ask::Learned { .. } => query(self.target, ask),
                    Ask::Scores(rows) => {
                        let values =
                            bits::read(scores).ok_or_else(|| other("for scores that are no numbers"))?;
                        let columns = values.len().checked_div(rows.rows()).unwrap_or(0);
                        Tensor::new([rows.rows(), columns], values).map(Answer::Scores).map_err(|_| {
                            TargetError::Malformed { reason: "scores of another shape".to_owned() }
                        })
                    }
                };
                (answer, *spent_ms)
            }
        };
        if let Ok(answer) = &answer {
            self.target.remind(ask, answer);
        }
        self.spent_before = spent;
        self.started = self.clock.now_ms();
        Ok(answer)
    }
}
