//! Probes that copy the model.

use mantlet_attacks::extraction::COPIED;
use mantlet_attacks::{Material, Unit};
use mantlet_redteam::{CampaignError, Figure, ProbeReport, Target, fidelity};
use mantlet_verdict::Family;
use serde_json::json;

use super::{Battery, Probe, Results, Rows, summarise};

/// Examples a thief owns.
const SEEDS: usize = 60;

impl Battery<'_> {
    pub(super) fn extraction(
        &mut self,
        name: &str,
        target: &mut dyn Target,
        results: &mut Results,
    ) -> Result<(), CampaignError> {
        let seeds = self.ground.probe_rows(SEEDS);
        let classes = self.ground.classes;
        let most = self.plan.extraction.iter().copied().max().unwrap_or(0);
        let (material, config) = match name {
            "extraction-transfer" => {
                let rows = self.ground.probe_rows(self.plan.rows);
                let thief = self.ground.train.first(SEEDS);
                let material = Material::new(rows.x, rows.y, classes).pool(thief.x, thief.y);
                (material, json!({ "epsilon": self.plan.shown_epsilon }))
            }
            "extraction-active" => {
                (Material::new(seeds.x, seeds.y, classes), json!({ "queries": most.clamp(1, 250) }))
            }
            "extraction-tree-paths" => {
                let rows = self.ground.probe_rows(300);
                (Material::new(rows.x, rows.y, classes), json!({}))
            }
            "extraction-linear" => {
                let rows = self.ground.probe_rows(self.plan.rows.max(2));
                (Material::new(rows.x, rows.y, classes), json!({}))
            }
            _ => {
                let config = json!({ "strategy": "mixed", "queries": most, "scores": false });
                (Material::new(seeds.x, seeds.y, classes), config)
            }
        };
        let campaign = self.campaign(name, material).config(self.overlaid(config));
        let mut report = match self.conduct(&campaign, target) {
            // What was set by hand is to be corrected; what does not fit this target is left out, and said.
            Err(CampaignError::Attack(why)) if self.plan.set.is_null() => {
                campaign.skipped(target, self.gap(name, &why.to_string()))
            }
            result => result?,
        };
        let copies = matches!(name, "extraction-query-copy" | "extraction-active");
        if copies {
            self.curve(name, target, &mut report);
        }
        // An attack without a curve has no limit of its own in a policy; its hits ask for a person.
        let family = if copies { Family::Extraction } else { Family::Other };
        let summary = summarise(&report, family, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }

    /// How well copies of the first answers agree with the target on rows that were not asked.
    fn curve(&mut self, name: &str, target: &mut dyn Target, report: &mut ProbeReport) {
        let unseen = self.unseen();
        let Some(outcome) = report.outcome.clone() else { return };
        let Some(victim) = self.labels(target, &unseen.x) else { return };
        report.queries += unseen.x.rows() as u64;
        let (classes, seed) = (self.ground.classes, self.plan.seed);
        match fidelity(&outcome, classes, &self.plan.extraction, &unseen.x, &victim, &mut self.learner, seed)
        {
            Ok(curve) => {
                if let Some(point) = curve.iter().find(|point| point.fidelity.value >= COPIED) {
                    #[expect(clippy::cast_precision_loss, reason = "a small count")]
                    let queries = point.queries as f64;
                    let name = "queries to a copy that agrees on 90 %";
                    report.figures.push(Figure::plain(name, queries, unseen.y.len()).unit(Unit::Count));
                    if let Some(price) = self.plan.caps.price {
                        report.facts.insert("cost-of-90-percent".to_owned(), (price * queries).into());
                    }
                }
                report.curve = curve;
            }
            Err(why) => report.not_examined = Some(self.gap(name, &why)),
        }
    }

    /// Rows that no thief began with, where there are enough to spare.
    fn unseen(&self) -> Rows {
        let all = self.ground.held_out_or_train();
        if all.y.len() < 2 * SEEDS {
            return all.clone();
        }
        let rest: Vec<usize> = (SEEDS..all.y.len()).collect();
        Rows { x: all.x.select(&rest), y: all.y[SEEDS..].to_vec() }
    }
}
