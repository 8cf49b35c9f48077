//! The evasions beside the two every battery runs: how each is set up from the policy's limits.

use mantlet_attacks::{Material, Norm};
use mantlet_redteam::{CampaignError, Target};
use mantlet_verdict::Family;
use serde_json::{Value, json};

use super::{Battery, Probe, Results, summarise};

impl Battery<'_> {
    /// Runs one of the further evasions with the policy's limits, overlaid with what the plan sets.
    pub(super) fn further(
        &mut self,
        name: &str,
        family: Family,
        target: &mut dyn Target,
        results: &mut Results,
    ) -> Result<(), CampaignError> {
        let rows = self.ground.probe_rows(self.plan.rows);
        let material = Material::new(rows.x, rows.y, self.ground.classes)
            .pool(self.ground.train.x.clone(), self.ground.train.y.clone())
            .trees(target.trees())
            .goal(self.plan.goal);
        let config = self.overlaid(self.limits(name, target.describe().scores));
        let campaign = self.campaign(name, material).config(config);
        let report = match self.conduct(&campaign, target) {
            // What was set by hand is to be corrected; what does not fit this target is left out, and said.
            Err(CampaignError::Attack(why)) if self.plan.set.is_null() => {
                campaign.skipped(target, self.gap(name, &why.to_string()))
            }
            result => result?,
        };
        let mut summary = summarise(&report, family, self.gate);
        if family == Family::DecisionEvasion {
            let norm = report.facts.get("norm").and_then(Value::as_str).unwrap_or(Norm::L2.word()).to_owned();
            summary.figures.iter_mut().for_each(|figure| figure.norm = Some(norm.clone()));
        }
        // Distances other than the policy's own are shown, not weighed.
        let weighed = report.not_examined.is_some() || self.weighs(&report, family);
        let summary = weighed.then_some(summary);
        results.probes.push(Probe { report, summary, campaign: Some(campaign) });
        Ok(())
    }

    /// Whether a report speaks about the distance the policy limits.
    fn weighs(&self, report: &mantlet_redteam::ProbeReport, family: Family) -> bool {
        let limit = if family == Family::Evasion { self.gate.evasion } else { self.gate.decision_evasion };
        let norm = report.facts.get("norm").and_then(Value::as_str);
        let radius = report.facts.get("radius").and_then(Value::as_f64);
        norm == Some(limit.norm.word()) && radius.is_some_and(|radius| (radius - limit.epsilon).abs() < 1e-6)
    }

    fn limits(&self, name: &str, scores: bool) -> Value {
        let (known, asked) = (self.gate.evasion, self.gate.decision_evasion);
        let (norm, epsilon) = (known.norm.word(), known.epsilon);
        match name {
            "evasion-fgsm"
            | "evasion-pgd"
            | "evasion-bim"
            | "evasion-mi-fgsm"
            | "evasion-apgd"
            | "evasion-ensemble"
            | "evasion-universal"
            | "evasion-nes"
            | "evasion-table-climb" => {
                json!({ "norm": norm, "epsilon": epsilon })
            }
            "evasion-fab" | "evasion-deep-fool" | "evasion-fmn" => json!({ "norm": norm, "radius": epsilon }),
            "evasion-tree-exact" => json!({ "radius": epsilon }),
            "evasion-simba" => json!({ "norm": asked.norm.word(), "epsilon": asked.epsilon }),
            "evasion-hop-skip-jump" | "evasion-boundary" | "evasion-geoda" | "evasion-sign-opt" => {
                json!({ "queries": self.plan.queries, "radius": asked.epsilon })
            }
            "evasion-zoo" | "evasion-ddn" | "evasion-carlini-wagner" => json!({ "radius": asked.epsilon }),
            "evasion-table-search" => {
                json!({ "norm": asked.norm.word(), "radius": asked.epsilon, "scores": scores })
            }
            _ => json!({}),
        }
    }
}
