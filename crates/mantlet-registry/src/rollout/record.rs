//! A rollout as kept, and what it says should happen next.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

use super::{Evidence, Metric, Plan, Step};

/// Evidence at which a step waits although it does not yet take the candidate back: 1 in 10 by chance.
const SUSPICION: f64 = 10.0;

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase", content = "step")]
pub enum Phase {
    /// The candidate gets copies and answers nobody.
    Shadow,
    /// The candidate answers its share of the callers; the step is counted from 0.
    Canary(usize),
    /// The candidate serves everybody.
    Promoted,
    /// The candidate did worse and was taken back.
    RolledBack,
    /// A person ended it.
    Aborted,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shadow => f.write_str("shadow"),
            Self::Canary(step) => write!(f, "canary step {}", step + 1),
            Self::Promoted => f.write_str("promoted"),
            Self::RolledBack => f.write_str("rolled back"),
            Self::Aborted => f.write_str("aborted"),
        }
    }
}

/// What keeps a step from being over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// A person paused it.
    Paused,
    /// So many observations are lacking of one of the versions.
    Samples(u64),
    /// So many labels are lacking.
    Labels(u64),
    /// The step has to last so many milliseconds more.
    Time(u64),
    /// Nothing was seen of a version for so many milliseconds.
    Stale(u64),
    /// This share of the observations lacks a figure.
    Missing(f64),
    /// This share of the observations came late.
    Late(f64),
    /// A metric looks worse, not yet surely.
    Suspicion(Metric),
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused => f.write_str("paused"),
            Self::Samples(lacking) => write!(f, "{lacking} more observations are needed"),
            Self::Labels(lacking) => write!(f, "{lacking} more labels are needed"),
            Self::Time(ms) => write!(f, "{} s more at this step", ms.div_ceil(1_000)),
            Self::Stale(ms) => write!(f, "nothing was seen of a version for {} s", ms / 1_000),
            Self::Missing(share) => write!(f, "{:.1} % of the observations lack a figure", share * 100.0),
            Self::Late(share) => write!(f, "{:.1} % of the observations came late", share * 100.0),
            Self::Suspicion(metric) => write!(f, "{metric}: looks worse, not yet surely"),
        }
    }
}

/// Why a candidate is taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worse {
    /// The metric.
    pub metric: Metric,
    /// The candidate's rate.
    pub candidate: f64,
    /// The other version's.
    pub baseline: f64,
    /// By how much it might be worse.
    pub margin: f64,
    /// Always-valid p-value.
    pub p: f64,
    /// Observations of the candidate in this step.
    pub samples: u64,
}

impl std::fmt::Display for Worse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {:.2} % against {:.2} % (allowed {:.2} points, p {:.2e})",
            self.metric,
            self.candidate * 100.0,
            self.baseline * 100.0,
            self.margin * 100.0,
            self.p
        )
    }
}

/// What should happen next.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It stays where it is, for these reasons.
    Hold(Vec<Hold>),
    /// The step is over.
    Advance,
    /// The candidate is worse: take it back.
    RollBack(Worse),
    /// It is over already.
    Over,
}

/// A line of a rollout's history, as it goes to the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutLine {
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// What was done: `started`, `advanced`, `paused`, `resumed`, `promoted`, `rolled-back`, `aborted`.
    pub what: String,
    /// Where it is now.
    pub phase: Phase,
    /// The candidate's share of the callers now, in hundredths of a percent.
    pub share: u32,
    /// Why.
    pub reason: String,
}

/// A rollout of one version of one system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Unique; callers are placed by it.
    pub id: String,
    /// The system.
    pub system: String,
    /// The gateway's route that it answers on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The version that is to serve.
    pub candidate: String,
    /// The version that serves meanwhile, and is returned to.
    pub stable: String,
    /// The plan.
    pub plan: Plan,
    /// Where it is.
    pub phase: Phase,
    /// A person paused it: it does not go on, and is still taken back when it does worse.
    pub paused: bool,
    /// Counts changes of everything but the evidence; two writers are told apart by it.
    pub revision: u64,
    /// Who began it.
    pub started_by: String,
    /// When.
    pub started: Millis,
    /// When the phase began.
    pub since: Millis,
    /// What was observed.
    pub evidence: Evidence,
    /// What happened, oldest first.
    pub lines: Vec<RolloutLine>,
}

impl Rollout {
    /// Whether it still runs.
    #[must_use]
    pub const fn runs(&self) -> bool {
        matches!(self.phase, Phase::Shadow | Phase::Canary(_))
    }

    /// The step it is at, while it runs.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        match self.phase {
            Phase::Shadow => self.plan.shadow,
            Phase::Canary(step) => self.plan.steps.get(step).copied(),
            Phase::Promoted | Phase::RolledBack | Phase::Aborted => None,
        }
    }

    /// The candidate's share of the callers now, in hundredths of a percent.
    #[must_use]
    pub fn share(&self) -> u32 {
        match self.phase {
            Phase::Canary(step) => self.plan.steps.get(step).map_or(0, |step| step.share),
            Phase::Promoted => super::plan::WHOLE,
            Phase::Shadow | Phase::RolledBack | Phase::Aborted => 0,
        }
    }

    /// The phase after this one.
    #[must_use]
    pub fn next(&self) -> Phase {
        match self.phase {
            Phase::Shadow => Phase::Canary(0),
            Phase::Canary(step) if step + 1 < self.plan.steps.len() => Phase::Canary(step + 1),
            Phase::Canary(_) => Phase::Promoted,
            over => over,
        }
    }

    /// What should happen now.
    #[must_use]
    pub fn judge(&self, now: Millis) -> Verdict {
        let Some(step) = self.step() else { return Verdict::Over };
        let tally = self.evidence.tally();
        let standings = self.evidence.standings();
        let surest = standings.iter().filter(|s| s.p <= self.plan.false_rollback);
        if let Some(worst) = surest.min_by(|a, b| a.p.total_cmp(&b.p)) {
            return Verdict::RollBack(Worse {
                metric: worst.metric,
                candidate: worst.candidate.unwrap_or(f64::NAN),
                baseline: worst.baseline.unwrap_or(f64::NAN),
                margin: worst.margin,
                p: worst.p,
                samples: tally.candidate,
            });
        }
        let mut holds = Vec::new();
        if self.paused {
            holds.push(Hold::Paused);
        }
        let fewest = tally.candidate.min(tally.baseline);
        if fewest < step.samples {
            holds.push(Hold::Samples(step.samples - fewest));
        }
        let labels = tally.candidate_labels.min(tally.baseline_labels);
        if labels < self.plan.labels {
            holds.push(Hold::Labels(self.plan.labels - labels));
        }
        let lasted = now.since(self.since);
        if lasted < step.dwell_ms {
            holds.push(Hold::Time(step.dwell_ms - lasted));
        }
        let last = tally.last_candidate.min(tally.last_baseline).max(self.since);
        if now.since(last) > self.plan.stale_ms {
            holds.push(Hold::Stale(now.since(last)));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of observations, far below 2^52")]
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let seen = tally.candidate + tally.baseline;
        let (missing, late) = (share(tally.missing, seen), share(tally.late, seen + tally.late));
        if missing > self.plan.missing {
            holds.push(Hold::Missing(missing));
        }
        if late > self.plan.missing {
            holds.push(Hold::Late(late));
        }
        for standing in standings.iter().filter(|standing| standing.evidence >= SUSPICION) {
            holds.push(Hold::Suspicion(standing.metric));
        }
        if holds.is_empty() { Verdict::Advance } else { Verdict::Hold(holds) }
    }

    /// The rollout after a change of phase, with its line.
    #[must_use]
    pub fn moved(&self, phase: Phase, what: &str, actor: &str, reason: &str, now: Millis) -> Self {
        let mut after = self.clone();
        after.revision += 1;
        if phase != self.phase {
            after.phase = phase;
            after.since = now;
            after.evidence.begin_step(now);
        }
        let (actor, what, reason) = (actor.to_owned(), what.to_owned(), reason.to_owned());
        after.lines.push(RolloutLine { at: now, actor, what, phase, share: after.share(), reason });
        after
    }
}
