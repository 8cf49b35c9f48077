//! What was observed of both versions, and how strongly it says that the candidate is worse.
//!
//! Observations of the two versions are paired as they come: as soon as both have one, the difference of their
//! means is one bet of each metric, so at a share of 5 % one candidate's exchange meets the mean of some nineteen of
//! the other. A metric gives up its wealth every [`EPOCH`] bets and at each step and begins anew with a smaller part
//! of the budget, so that a long good run does not blind it to what goes wrong later; the parts `1 / (r (r + 1))`
//! of the r-th beginning add up to one, and so do the weights of the metrics. The chance that any of them ever
//! takes back a candidate that is within all margins is then at most [`super::Plan::false_rollback`].
//!
//! The guarantee speaks of exchanges: callers stay with a version, so if those of one version differ from those of
//! the other by themselves, that difference counts too. [`super::Plan::per_caller`] bounds what one caller adds.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

use super::{Bet, Plan};

/// Bets after which a metric begins anew.
const EPOCH: u32 = 4_000;

/// Which of the two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The version that serves.
    Baseline,
    /// The one that is to serve.
    Candidate,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Failed exchanges.
    Errors,
    /// Slow exchanges.
    Latency,
    /// Exchanges the guard marked.
    Signals,
    /// Decisions that a label proved wrong.
    Labels,
    /// This class or score range is answered more often.
    More(usize),
    /// This class or score range is answered less often.
    Less(usize),
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Errors => f.write_str("failed exchanges"),
            Self::Latency => f.write_str("slow exchanges"),
            Self::Signals => f.write_str("exchanges the guard marked"),
            Self::Labels => f.write_str("decisions proved wrong by labels"),
            Self::More(class) => write!(f, "output {class} answered more often"),
            Self::Less(class) => write!(f, "output {class} answered less often"),
        }
    }
}

/// One exchange of one version, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Which version answered.
    pub arm: Arm,
    /// When the request came.
    pub at: Millis,
    /// Whether it failed for a reason of the version's; `None` when that cannot be told.
    pub failed: Option<bool>,
    /// Milliseconds it took; not a number when unknown.
    pub took_ms: f64,
    /// Whether the guard marked it.
    pub signalled: Option<bool>,
    /// The class or score range of the reply; `None` when it has none.
    pub output: Option<usize>,
}

/// Sums of one metric for both arms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Pair {
    baseline: (u64, u64),
    candidate: (u64, u64),
}

impl Pair {
    fn add(&mut self, arm: Arm, hit: bool) {
        let side = match arm {
            Arm::Baseline => &mut self.baseline,
            Arm::Candidate => &mut self.candidate,
        };
        *side = (side.0 + 1, side.1 + u64::from(hit));
    }

    /// Rates of candidate and baseline, when there are both.
    #[expect(clippy::cast_precision_loss, reason = "counts of observations, far below 2^52")]
    fn rates(&self) -> Option<(f64, f64)> {
        let rate = |(count, hits): (u64, u64)| (count > 0).then(|| hits as f64 / count as f64);
        Some((rate(self.candidate)?, rate(self.baseline)?))
    }
}

/// One metric's test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Track {
    metric: Metric,
    margin: f64,
    /// The metric's part of the budget of false rollbacks.
    weight: f64,
    bet: Bet,
    /// Beginnings so far, from 1.
    epoch: u32,
    bets: u32,
    open: Pair,
    all: Pair,
    /// The strongest evidence so far, after its share of the budget: `1 / peak` is an always-valid p-value.
    peak: f64,
}

impl Track {
    fn new(metric: Metric, margin: f64, weight: f64) -> Self {
        Self {
            metric,
            margin,
            weight,
            bet: Bet::new(margin),
            epoch: 1,
            bets: 0,
            open: Pair::default(),
            all: Pair::default(),
            peak: 0.0,
        }
    }

    fn see(&mut self, arm: Arm, hit: bool) {
        self.open.add(arm, hit);
        self.all.add(arm, hit);
        let Some((candidate, baseline)) = self.open.rates() else { return };
        let difference = match self.metric {
            Metric::Less(_) => baseline - candidate,
            _ => candidate - baseline,
        };
        self.open = Pair::default();
        self.bet.see(difference);
        self.bets += 1;
        let part = f64::from(self.epoch) * (f64::from(self.epoch) + 1.0);
        self.peak = self.peak.max(self.bet.evidence() * self.weight / part);
        if self.bets >= EPOCH {
            self.begin();
        }
    }

    fn begin(&mut self) {
        if self.bets > 0 {
            self.bet = Bet::new(self.margin);
            self.epoch = self.epoch.saturating_add(1);
            self.bets = 0;
        }
        self.open = Pair::default();
    }
}

/// Counts within one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Observations of the version that serves.
    pub baseline: u64,
    /// Observations of the candidate.
    pub candidate: u64,
    /// Those that lacked a figure.
    pub missing: u64,
    /// Those from before the step.
    pub late: u64,
    /// Labelled decisions of the version that serves.
    pub baseline_labels: u64,
    /// Labelled decisions of the candidate.
    pub candidate_labels: u64,
    /// The last observation of the version that serves.
    pub last_baseline: Millis,
    /// The last observation of the candidate.
    pub last_candidate: Millis,
}

/// How one metric stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The metric.
    pub metric: Metric,
    /// The candidate's rate over the whole rollout; `None` before the first observation.
    pub candidate: Option<f64>,
    /// The other version's.
    pub baseline: Option<f64>,
    /// By how much the candidate may be worse.
    pub margin: f64,
    /// Always-valid p-value of "it is within the margin", the share of the budget taken into account.
    pub p: f64,
    /// Evidence at this moment, before that share; 1 at the start.
    pub evidence: f64,
}

/// Everything observed of a rollout. Its size depends on the plan alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    tracks: Vec<Track>,
    tally: Tally,
    since: Millis,
}

impl Evidence {
    /// No evidence yet, for a plan that was checked.
    #[must_use]
    pub fn new(plan: &Plan, since: Millis) -> Self {
        let m = &plan.margins;
        let mut tracks =
            vec![Track::new(Metric::Errors, m.errors, 0.25), Track::new(Metric::Signals, m.signals, 0.2)];
        if plan.slow_ms.is_some() {
            tracks.push(Track::new(Metric::Latency, m.latency, 0.2));
        }
        // Labels may come although no step waits for them.
        tracks.push(Track::new(Metric::Labels, m.labels, 0.15));
        let count = plan.outputs.count();
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let weight = 0.2 / (2.0 * count.max(1) as f64);
        for class in 0..count {
            tracks.push(Track::new(Metric::More(class), m.outputs, weight));
            tracks.push(Track::new(Metric::Less(class), m.outputs, weight));
        }
        Self { tracks, tally: Tally::default(), since }
    }

    /// Begins the counts of the next step; the metrics begin anew with their next part of the budget.
    pub(super) fn begin_step(&mut self, since: Millis) {
        self.tally = Tally::default();
        self.since = since;
        self.tracks.iter_mut().for_each(Track::begin);
    }

    /// Takes in one exchange.
    pub fn see(&mut self, plan: &Plan, seen: &Observation) {
        if seen.at < self.since {
            self.tally.late += 1;
            return;
        }
        let timed = seen.took_ms.is_finite() && seen.took_ms >= 0.0;
        let failed = seen.failed.unwrap_or(true);
        let output = seen.output.filter(|output| *output < plan.outputs.count());
        // A failed exchange has no output to miss.
        let lacks_output = plan.outputs.count() > 0 && output.is_none() && !failed;
        if seen.failed.is_none()
            || seen.signalled.is_none()
            || (plan.slow_ms.is_some() && !timed)
            || lacks_output
        {
            self.tally.missing += 1;
        }
        match seen.arm {
            Arm::Baseline => {
                self.tally.baseline += 1;
                self.tally.last_baseline = self.tally.last_baseline.max(seen.at);
            }
            Arm::Candidate => {
                self.tally.candidate += 1;
                self.tally.last_candidate = self.tally.last_candidate.max(seen.at);
            }
        }
        for track in &mut self.tracks {
            let hit = match track.metric {
                Metric::Errors => seen.failed,
                Metric::Signals => seen.signalled,
                Metric::Latency => plan.slow_ms.filter(|_| timed).map(|slow| seen.took_ms > slow),
                Metric::Labels => None,
                Metric::More(class) | Metric::Less(class) => output.map(|output| output == class),
            };
            if let Some(hit) = hit {
                track.see(seen.arm, hit);
            }
        }
    }

    /// Takes in a label that came for a decision of one of the versions.
    pub fn label(&mut self, arm: Arm, at: Millis, wrong: bool) {
        if at < self.since {
            self.tally.late += 1;
            return;
        }
        match arm {
            Arm::Baseline => self.tally.baseline_labels += 1,
            Arm::Candidate => self.tally.candidate_labels += 1,
        }
        for track in self.tracks.iter_mut().filter(|track| track.metric == Metric::Labels) {
            track.see(arm, wrong);
        }
    }

    /// Counts within the step.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How each metric stands.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |track: &Track| {
            let rates = track.all.rates();
            Standing {
                metric: track.metric,
                candidate: rates.map(|(candidate, _)| candidate),
                baseline: rates.map(|(_, baseline)| baseline),
                margin: track.margin,
                p: if track.peak > 1.0 { 1.0 / track.peak } else { 1.0 },
                evidence: track.bet.evidence(),
            }
        };
        self.tracks.iter().map(standing).collect()
    }
}
