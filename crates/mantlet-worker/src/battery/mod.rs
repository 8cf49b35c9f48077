//! The battery run before a model is admitted: every attack of the policy, on the user's own rows.
//!
//! What cannot run is returned as not examined, with the reason and what would change it; it is never passed.

mod evasion;
mod ground;
mod learner;
mod summary;

use std::time::{Duration, Instant};

use mantlet_attacks::{Material, Norm};
use mantlet_redteam::{
    Budget, Campaign, CampaignError, Clock, Doubt, NoJournal, ProbeReport, Target, distrust, examine,
    fidelity,
};
use mantlet_verdict::{Family, Gate, ProbeSummary};
use mantlet_vocab::Gap;
use serde_json::json;

pub use ground::{Ground, Rows};
pub use learner::{Kin, SmallLearner};
pub use summary::summarise;

/// How the battery is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of every random choice.
    pub seed: u64,
    /// Rows attacked by each evasion probe.
    pub rows: usize,
    /// Largest change of a feature, as a share of its range, in the evasion probe that is shown as pictures.
    pub shown_epsilon: f64,
    /// Queries the decision-based probe may spend on each row.
    pub queries: u64,
    /// Sizes of the transfer set at which a thief's copy is measured.
    pub extraction: Vec<usize>,
    /// What shadows of the model are made of.
    pub kin: Kin,
    /// The command that runs the battery again; each probe adds its own name.
    pub command: String,
    /// Keys of an attack's configuration set by the caller, over those of the policy; for the further evasions.
    pub set: serde_json::Value,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            rows: 50,
            shown_epsilon: 0.1,
            queries: 800,
            extraction: vec![25, 50, 100, 150, 250, 400, 600],
            kin: Kin::Network,
            command: String::new(),
            set: serde_json::Value::Null,
        }
    }
}

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
    ("membership-label-only", Family::Membership),
    ("membership-shadow", Family::Membership),
    ("membership-likelihood-ratio", Family::Membership),
    ("membership-relative", Family::Membership),
];

/// Runs the attacks of [`ATTACKS`], or those named in `only` when it is not empty, [`FURTHER`] ones included. `step` is told the name of each probe
/// before it runs and may end the battery by returning `false`.
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
    let mut battery = Battery { ground, gate, plan, learner: SmallLearner::of(plan.kin) };
    for (name, family) in ATTACKS.iter().chain(FURTHER.iter().filter(|_| !only.is_empty())) {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        if !step(name) {
            break;
        }
        match family {
            Family::Evasion if *name == "evasion-pgd" => battery.gradient(target, &mut results)?,
            Family::DecisionEvasion if *name == "evasion-hop-skip-jump" => {
                battery.decisions(target, &mut results)?;
            }
            Family::Evasion | Family::DecisionEvasion => {
                battery.further(name, *family, target, &mut results)?;
            }
            Family::Extraction => battery.extraction(target, &mut results)?,
            Family::Membership => battery.membership(name, target, &mut results)?,
            Family::Backdoor | Family::Other => battery.backdoor(target, &mut results)?,
        }
    }
    let reports: Vec<&ProbeReport> = results.probes.iter().map(|probe| &probe.report).collect();
    results.doubts = distrust(&reports);
    let evasion = |report: &&&ProbeReport| report.probe.starts_with("evasion-");
    if let Some(first) = reports.iter().find(evasion) {
        results.doubts.extend(examine(target, &ground.probe_rows(plan.rows.min(16)).x, &first.probe));
    }
    Ok(results)
}

struct Battery<'a> {
    ground: &'a Ground,
    gate: &'a Gate,
    plan: &'a Plan,
    learner: SmallLearner,
}

impl Battery<'_> {
    fn campaign(&self, attack: &str, material: Material) -> Campaign {
        let mut campaign =
            Campaign::new(attack, self.plan.seed, material.constraints(self.ground.constraints.clone()));
        campaign.command = format!("{} --only {attack} --seed {}", self.plan.command, self.plan.seed);
        campaign.budget = Budget { queries: 5_000_000, millis: 300_000 };
        campaign
    }

    fn gradient(&self, target: &mut dyn Target, results: &mut Results) -> Result<(), CampaignError> {
        let rows = self.ground.probe_rows(self.plan.rows);
        let limit = self.gate.evasion;
        let material = Material::new(rows.x, rows.y, self.ground.classes);
        let config = json!({ "norm": limit.norm.word(), "epsilon": limit.epsilon });
        let campaign = self.campaign("evasion-pgd", material.clone()).config(config);
        let report = campaign.run(target, &mut NoJournal, &mut WallClock::default())?;
        if report.not_examined.is_none() && (self.plan.shown_epsilon - limit.epsilon).abs() > f64::EPSILON {
            let config = json!({ "norm": "linf", "epsilon": self.plan.shown_epsilon });
            let shown = self.campaign("evasion-pgd", material).config(config);
            let shown_report = shown.run(target, &mut NoJournal, &mut WallClock::default())?;
            results.probes.push(Probe { report: shown_report, summary: None, campaign: Some(shown) });
        }
        let summary = summarise(&report, Family::Evasion, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }

    fn decisions(&self, target: &mut dyn Target, results: &mut Results) -> Result<(), CampaignError> {
        let rows = self.ground.probe_rows(self.plan.rows);
        let limit = self.gate.decision_evasion;
        let material = Material::new(rows.x, rows.y, self.ground.classes)
            .pool(self.ground.train.x.clone(), self.ground.train.y.clone());
        let config = json!({ "queries": self.plan.queries, "radius": limit.epsilon });
        let campaign = self.campaign("evasion-hop-skip-jump", material).config(config);
        let report = campaign.run(target, &mut NoJournal, &mut WallClock::default())?;
        let mut summary = summarise(&report, Family::DecisionEvasion, self.gate);
        for figure in &mut summary.figures {
            figure.norm = Some(Norm::L2.word().to_owned());
        }
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }

    fn extraction(&mut self, target: &mut dyn Target, results: &mut Results) -> Result<(), CampaignError> {
        let seeds = self.ground.probe_rows(60);
        let unseen = self.ground.held_out_or_train();
        let most = self.plan.extraction.iter().copied().max().unwrap_or(0);
        let material = Material::new(seeds.x, seeds.y, self.ground.classes);
        let config = json!({ "strategy": "mixed", "queries": most, "scores": false });
        let campaign = self.campaign("extraction-query-copy", material).config(config);
        let mut report = campaign.run(target, &mut NoJournal, &mut WallClock::default())?;
        if let (Some(outcome), Ok(victim)) = (&report.outcome, target.labels(&unseen.x)) {
            match fidelity(
                outcome,
                self.ground.classes,
                &self.plan.extraction,
                &unseen.x,
                &victim,
                &mut self.learner,
                self.plan.seed,
            ) {
                Ok(curve) => report.curve = curve,
                Err(why) => report.not_examined = Some(self.gap("extraction-query-copy", &why)),
            }
        }
        let summary = summarise(&report, Family::Extraction, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }

    fn membership(
        &mut self,
        name: &str,
        target: &mut dyn Target,
        results: &mut Results,
    ) -> Result<(), CampaignError> {
        let Some(others) = &self.ground.held_out else {
            let why = "no rows are known to be outside the training data";
            let gap = Gap { remedy: "name such rows in `data.test`".to_owned(), ..self.gap(name, why) };
            let summary = ProbeSummary::skipped(name, Family::Membership, gap.clone());
            let campaign = self
                .campaign(name, Material::new(self.ground.train.x.clone(), Vec::new(), self.ground.classes));
            let report = campaign.skipped(target, gap);
            results.probes.push(Probe { report, summary: Some(summary), campaign: None });
            return Ok(());
        };
        // Shadows learn the members that are not judged too, so they get all there are.
        let most = if name == "membership-threshold" { others.y.len().max(200) } else { usize::MAX };
        let members = self.ground.train.first(most);
        let material =
            Material::new(members.x, members.y, self.ground.classes).pool(others.x.clone(), others.y.clone());
        let campaign = self.campaign(name, material);
        let mut clock = WallClock::default();
        let report = campaign.run_with(target, &mut self.learner, &mut NoJournal, &mut clock)?;
        let summary = summarise(&report, Family::Membership, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: None });
        Ok(())
    }

    fn backdoor(&self, target: &mut dyn Target, results: &mut Results) -> Result<(), CampaignError> {
        // Rows the model was not trained on, so that what is found is the model's and not the rows' own.
        let rows = self.ground.held_out_or_train();
        let rows = rows.first(600);
        let material = Material::new(rows.x, rows.y, self.ground.classes);
        let campaign = self.campaign("backdoor-trigger", material);
        let report = campaign.run(target, &mut NoJournal, &mut WallClock::default())?;
        let summary = summarise(&report, Family::Backdoor, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: None });
        Ok(())
    }

    fn gap(&self, probe: &str, why: &str) -> Gap {
        Gap { what: format!("probe `{probe}`"), why: why.to_owned(), remedy: String::new() }
    }
}
