//! The battery run before a model is admitted: every attack of the policy, on the user's own rows.
//!
//! What cannot run is returned as not examined, with the reason and what would change it; it is never passed.

mod doors;
mod evasion;
mod ground;
mod learner;
mod look;
mod measured;
mod members;
mod numbers;
mod once;
mod plan;
mod summary;
mod thefts;

use std::time::{Duration, Instant};

use mantlet_attacks::{Goal, Material, Norm};
use mantlet_redteam::{
    Budget, Campaign, CampaignError, Clock, Doubt, NoJournal, ProbeReport, Target, distrust,
};
use mantlet_verdict::{Family, Gate, ProbeSummary};
use mantlet_vocab::{Digest, Gap};
use serde_json::json;

use crate::harden::{Stream, Tap};
use crate::targets::{FileJournal, Remembering};

pub use ground::{Ground, Rows, Truths};
pub use learner::{Kin, SmallLearner};
pub use plan::{Caps, Plan};
pub use summary::summarise;

/// One probe with what the verdict sees of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The report.
    pub report: ProbeReport,
    /// What the policy weighs; `None` for a probe that is only shown.
    pub summary: Option<ProbeSummary>,
    /// The campaign, to be kept as a case when it hit.
    pub campaign: Option<Campaign>,
}

/// What the battery found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Results {
    /// In the order run.
    pub probes: Vec<Probe>,
    /// Figures that contradict each other.
    pub doubts: Vec<Doubt>,
    /// What each campaign asked, by its digest, when the plan wants it written down.
    pub streams: Vec<(Digest, Stream)>,
    /// Rows asked to find out whether figures of the target can be believed, at most; they count.
    pub looked: u64,
    /// What is left of the caps.
    pub left: Caps,
}

impl Results {
    /// What this campaign asked.
    #[must_use]
    pub fn stream(&self, campaign: &Campaign) -> Option<&Stream> {
        let digest = campaign.digest("");
        self.streams.iter().find(|(own, _)| *own == digest).map(|(_, stream)| stream)
    }
}

/// Wall time for campaigns.
#[derive(Debug)]
pub struct WallClock(Instant);

impl Default for WallClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
    fn wait_ms(&mut self, millis: u64) {
        std::thread::sleep(Duration::from_millis(millis));
    }
}

/// The attacks that stand between a model and its admission: the names `mantlet explain` knows, and the question
/// each answers.
pub const ATTACKS: &[(&str, Family)] = &[
    ("evasion-pgd", Family::Evasion),
    ("evasion-hop-skip-jump", Family::DecisionEvasion),
    ("extraction-query-copy", Family::Extraction),
    ("membership-threshold", Family::Membership),
    ("backdoor-trigger", Family::Backdoor),
];

/// Further attacks, run when they are named: stronger, or about questions a policy does not weigh.
pub const FURTHER: &[(&str, Family)] = &[
    ("evasion-fgsm", Family::Evasion),
    ("evasion-bim", Family::Evasion),
    ("evasion-mi-fgsm", Family::Evasion),
    ("evasion-apgd", Family::Evasion),
    ("evasion-fab", Family::Evasion),
    ("evasion-deep-fool", Family::Evasion),
    ("evasion-carlini-wagner", Family::Evasion),
    ("evasion-elastic-net", Family::Evasion),
    ("evasion-ddn", Family::Evasion),
    ("evasion-fmn", Family::Evasion),
    ("evasion-saliency", Family::Evasion),
    ("evasion-universal", Family::Evasion),
    ("evasion-patch", Family::Evasion),
    ("evasion-ensemble", Family::Evasion),
    ("evasion-table-climb", Family::Evasion),
    ("evasion-tree-exact", Family::Evasion),
    ("evasion-table-search", Family::DecisionEvasion),
    ("evasion-square", Family::DecisionEvasion),
    ("evasion-nes", Family::DecisionEvasion),
    ("evasion-simba", Family::DecisionEvasion),
    ("evasion-zoo", Family::DecisionEvasion),
    ("evasion-boundary", Family::DecisionEvasion),
    ("evasion-geoda", Family::DecisionEvasion),
    ("evasion-sign-opt", Family::DecisionEvasion),
    ("evasion-pointwise", Family::DecisionEvasion),
    ("extraction-active", Family::Extraction),
    ("extraction-score-copy", Family::Extraction),
    ("extraction-transfer", Family::Extraction),
    ("extraction-linear", Family::Extraction),
    ("extraction-tree-paths", Family::Extraction),
    ("membership-label-only", Family::Membership),
    ("membership-shadow", Family::Membership),
    ("membership-likelihood-ratio", Family::Membership),
    ("membership-relative", Family::Membership),
    ("privacy-attribute", Family::Other),
    ("privacy-inversion", Family::Other),
    ("robustness-corruptions", Family::Other),
    ("robustness-segments", Family::Other),
    ("robustness-calibration", Family::Other),
    ("robustness-smoothing", Family::Other),
    ("robustness-interval", Family::Other),
    ("backdoor-blend", Family::Backdoor),
    ("backdoor-all-to-all", Family::Backdoor),
    ("backdoor-one-source", Family::Backdoor),
    ("backdoor-column-pair", Family::Backdoor),
    ("backdoor-degraded-class", Family::Backdoor),
    ("backdoor-weight-outliers", Family::Backdoor),
    ("backdoor-activation-clusters", Family::Backdoor),
    ("backdoor-spectral-rows", Family::Backdoor),
    ("backdoor-poisoned-rows", Family::Backdoor),
    ("backdoor-stubborn-rows", Family::Backdoor),
];

/// The attacks that can move a score or a rank, by what they see: gradients, scores, scores of tables, and trees.
pub const MOVERS: &[&str] = &[
    "evasion-pgd",
    "evasion-apgd",
    "evasion-bim",
    "evasion-mi-fgsm",
    "evasion-deep-fool",
    "evasion-ddn",
    "evasion-table-climb",
    "evasion-square",
    "evasion-nes",
    "evasion-simba",
    "evasion-hop-skip-jump",
    "evasion-boundary",
    "evasion-table-search",
    "evasion-tree-exact",
];

/// The attacks beside evasions that models take which give a score: copies, and who was among the training rows.
pub const SCORED: &[&str] = &[
    "extraction-score-copy",
    "extraction-transfer",
    "membership-threshold",
    "membership-shadow",
    "membership-likelihood-ratio",
];

/// Runs the attacks of [`ATTACKS`], or those named in `only` when it is not empty, [`FURTHER`] ones included. `step`
/// is told the name of each probe before it runs and may end the battery by returning `false`.
///
/// # Errors
/// When an attack cannot be made at all; a target that fails is a result.
pub fn run(
    target: &mut dyn Target,
    ground: &Ground,
    gate: &Gate,
    plan: &Plan,
    only: &[String],
    step: &mut dyn FnMut(&str) -> bool,
) -> Result<Results, CampaignError> {
    let mut results = Results::default();
    let mut battery = Battery {
        ground,
        gate,
        plan,
        learner: SmallLearner::of(plan.kin),
        started: Instant::now(),
        left: plan.caps,
        streams: Vec::new(),
    };
    let looked = battery.look(target)?;
    match battery.memory(target)? {
        None => battery.all(target, only, &mut results, step)?,
        Some(mut answers) => {
            battery.all(&mut Remembering::new(target, &mut answers), only, &mut results, step)?;
        }
    }
    let reports: Vec<&ProbeReport> = results.probes.iter().map(|probe| &probe.report).collect();
    results.doubts = distrust(&reports);
    // What two probes say against each other stands beside the figure it is about.
    for doubt in results.doubts.clone() {
        let about = results.probes.iter_mut().map(|probe| &mut probe.report);
        for report in about.filter(|report| report.probe == doubt.probe && report.not_examined.is_none()) {
            if !report.doubts.contains(&doubt) {
                report.doubts.push(doubt.clone());
            }
        }
    }
    battery.doubt(looked, &mut results);
    results.left = battery.caps_left();
    results.streams = battery.streams;
    Ok(results)
}

struct Battery<'a> {
    ground: &'a Ground,
    gate: &'a Gate,
    plan: &'a Plan,
    learner: SmallLearner,
    started: Instant,
    left: Caps,
    streams: Vec<(Digest, Stream)>,
}

impl Battery<'_> {
    /// Runs the attacks wanted.
    fn all(
        &mut self,
        target: &mut dyn Target,
        only: &[String],
        results: &mut Results,
        step: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), CampaignError> {
        for (name, family) in ATTACKS.iter().chain(FURTHER.iter().filter(|_| !only.is_empty())) {
            if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
                continue;
            }
            if !step(name) {
                break;
            }
            match family {
                Family::Evasion if *name == "evasion-pgd" && self.plan.goal == Goal::Leave => {
                    self.gradient(target, results)?
                }
                Family::DecisionEvasion
                    if *name == "evasion-hop-skip-jump" && self.plan.goal == Goal::Leave =>
                {
                    self.decisions(target, results)?;
                }
                Family::Evasion | Family::DecisionEvasion => {
                    self.further(name, *family, target, results)?;
                }
                Family::Extraction => self.extraction(name, target, results)?,
                Family::Membership => self.membership(name, target, results)?,
                Family::Backdoor => self.backdoor(name, target, results)?,
                Family::Other => self.measured(name, target, results)?,
            }
        }
        Ok(())
    }

    fn campaign(&self, attack: &str, material: Material) -> Campaign {
        let mut campaign =
            Campaign::new(attack, self.plan.seed, material.constraints(self.ground.constraints.clone()));
        campaign.command = format!("{} --only {attack} --seed {}", self.plan.command, self.plan.seed);
        campaign.patience = self.plan.patience;
        let spent = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        campaign.budget = Budget {
            queries: self.left.queries.min(5_000_000),
            millis: self.plan.caps.millis.saturating_sub(spent).min(300_000),
            tokens: self.left.tokens,
        };
        campaign
    }

    /// Runs a campaign, in a journal when the plan has a folder for them, and counts what it cost.
    fn conduct(
        &mut self,
        campaign: &Campaign,
        target: &mut dyn Target,
    ) -> Result<ProbeReport, CampaignError> {
        if !self.plan.streams {
            return self.undertake(campaign, target);
        }
        let mut tap = Tap::new(target);
        let report = self.undertake(campaign, &mut tap)?;
        // A stream without a hit is of no use to anybody.
        if report.counts.hit > 0 {
            self.streams.push((campaign.digest(""), tap.stream));
        }
        Ok(report)
    }

    fn undertake(
        &mut self,
        campaign: &Campaign,
        target: &mut dyn Target,
    ) -> Result<ProbeReport, CampaignError> {
        let mut clock = WallClock::default();
        let mut report = match &self.plan.journal {
            None => campaign.run_with(target, &mut self.learner, &mut NoJournal, &mut clock)?,
            Some(folder) => {
                let digest = campaign.digest(&target.describe().name).hex();
                let path = folder.join(format!("{}-{}.jsonl", campaign.attack, &digest[..12]));
                let mut journal = FileJournal::open(&path)?;
                let report = campaign.run_with(target, &mut self.learner, &mut journal, &mut clock)?;
                // How long it took is no part of what was found: a run that went on after a kill reports the same.
                ProbeReport { millis: 0, ..report }
            }
        };
        self.left.queries = self.left.queries.saturating_sub(report.queries);
        let tokens = report.facts.get("tokens").and_then(serde_json::Value::as_u64).unwrap_or(0);
        self.left.tokens = self.left.tokens.saturating_sub(tokens);
        if let Some(price) = self.plan.caps.price {
            #[expect(clippy::cast_precision_loss, reason = "queries are far below 2^53")]
            report.facts.insert("cost".to_owned(), (price * report.queries as f64).into());
        }
        Ok(report)
    }

    fn gradient(&mut self, target: &mut dyn Target, results: &mut Results) -> Result<(), CampaignError> {
        let rows = self.ground.probe_rows(self.plan.rows);
        let limit = self.gate.evasion;
        let material = Material::new(rows.x, rows.y, self.ground.classes);
        let config = self.overlaid(json!({ "norm": limit.norm.word(), "epsilon": limit.epsilon }));
        let campaign = self.campaign("evasion-pgd", material.clone()).config(config);
        let report = self.conduct(&campaign, target)?;
        let own = self.plan.set.is_null();
        if own
            && report.not_examined.is_none()
            && (self.plan.shown_epsilon - limit.epsilon).abs() > f64::EPSILON
        {
            let config = json!({ "norm": "linf", "epsilon": self.plan.shown_epsilon });
            let shown = self.campaign("evasion-pgd", material).config(config);
            let shown_report = self.conduct(&shown, target)?;
            results.probes.push(Probe { report: shown_report, summary: None, campaign: Some(shown) });
        }
        let summary = summarise(&report, Family::Evasion, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }

    fn decisions(&mut self, target: &mut dyn Target, results: &mut Results) -> Result<(), CampaignError> {
        let rows = self.ground.probe_rows(self.plan.rows);
        let limit = self.gate.decision_evasion;
        let material = Material::new(rows.x, rows.y, self.ground.classes)
            .pool(self.ground.train.x.clone(), self.ground.train.y.clone());
        let config = self.overlaid(json!({ "queries": self.plan.queries, "radius": limit.epsilon }));
        let campaign = self.campaign("evasion-hop-skip-jump", material).config(config);
        let report = self.conduct(&campaign, target)?;
        let mut summary = summarise(&report, Family::DecisionEvasion, self.gate);
        for figure in &mut summary.figures {
            figure.norm = Some(Norm::L2.word().to_owned());
        }
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }

    /// A configuration with the keys set by hand in the place of its own.
    fn overlaid(&self, mut config: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        if let (Value::Object(config), Value::Object(set)) = (&mut config, &self.plan.set) {
            config.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        config
    }

    fn gap(&self, probe: &str, why: &str) -> Gap {
        Gap { what: format!("probe `{probe}`"), why: why.to_owned(), remedy: String::new() }
    }
}
