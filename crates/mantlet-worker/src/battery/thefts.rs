//! Probes that copy the model.

use mantlet_attacks::extraction::COPIED;
use mantlet_attacks::{Interval, Material, Method, Unit};
use mantlet_redteam::{CampaignError, CurvePoint, Figure, ProbeReport, Target, fidelity, score_fidelity};
use mantlet_verdict::{Family, ProbeSummary};
use mantlet_vocab::Gap;
use serde_json::json;

use super::{Battery, Probe, Results, Rows, summarise};

/// Examples a thief owns.
const SEEDS: usize = 60;
/// The most rows a copy of a score is measured on.
const MEASURED: usize = 1_000;

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
                let material =
                    Material::new(rows.x, rows.y, classes).pool(thief.x, thief.y).goal(self.plan.goal);
                (material, json!({ "epsilon": self.plan.shown_epsilon }))
            }
            "extraction-score-copy" => {
                let column = self.plan.scored.unwrap_or(0);
                (Material::new(seeds.x, seeds.y, classes), json!({ "queries": most, "column": column }))
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
        if name == "extraction-score-copy" && self.plan.scored.is_none() {
            let gap = Gap {
                remedy: "add `--scores` where the model gives a score, a price or a rank".to_owned(),
                ..self.gap(
                    name,
                    "this model gives classes; `extraction-query-copy` and `extraction-active` copy those",
                )
            };
            let summary = ProbeSummary::skipped(name, Family::Other, gap.clone());
            let report = campaign.skipped(target, gap);
            results.probes.push(Probe { report, summary: Some(summary), campaign: None });
            return Ok(());
        }
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
        let scored = name == "extraction-score-copy";
        if scored {
            self.score_curve(name, target, &mut report);
        }
        // An attack without a curve has no limit of its own in a policy; its hits ask for a person.
        let family = if copies { Family::Extraction } else { Family::Other };
        let mut summary = summarise(&report, family, self.gate);
        if scored && report.not_examined.is_none() && !report.worked() {
            // Answers that make no good copy ask for nobody.
            summary.tally.misses += std::mem::take(&mut summary.tally.hits);
            summary.message.clear();
        }
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
                self.told_copied(report, &curve, "queries to a copy that agrees on 90 %", unseen.y.len());
                report.curve = curve;
            }
            Err(why) => report.not_examined = Some(self.gap(name, &why)),
        }
    }

    /// How much of the score copies of the first answers explain, and whether they rank alike, on rows that were not asked.
    fn score_curve(&mut self, name: &str, target: &mut dyn Target, report: &mut ProbeReport) {
        let unseen = self.unseen().first(MEASURED);
        let Some(outcome) = report.outcome.clone() else { return };
        let column = self.plan.scored.unwrap_or(0);
        let Some(victim) = self.scores(target, &unseen.x, column) else { return };
        report.queries += unseen.x.rows() as u64;
        let (points, seed) = (self.plan.extraction.clone(), self.plan.seed);
        match score_fidelity(&outcome, &points, &unseen.x, &victim, &mut self.learner, seed) {
            Ok(curve) => {
                let n = victim.len();
                if let Some(last) = curve.last() {
                    let figure = |name: &str, value: Interval| {
                        Figure { value, ..Figure::plain(name, value.value, n) }.by(Method::Bootstrap)
                    };
                    let share = format!("R2 of a copy of {} scores", last.queries);
                    report.figures.push(figure(&share, last.fidelity));
                    if let Some(rank) = last.rank {
                        let order = format!("rank agreement (Spearman) of a copy of {} scores", last.queries);
                        report.figures.push(figure(&order, rank));
                    }
                }
                self.told_copied(report, &curve, "queries to a copy with an R2 of 0.9", n);
                report.curve = curve;
            }
            Err(why) => report.not_examined = Some(self.gap(name, &why)),
        }
    }

    /// From how many questions a copy stands in for the model, and what they cost.
    fn told_copied(&self, report: &mut ProbeReport, curve: &[CurvePoint], name: &str, n: usize) {
        let Some(point) = curve.iter().find(|point| point.fidelity.value >= COPIED) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let queries = point.queries as f64;
        report.figures.push(Figure::plain(name, queries, n).unit(Unit::Count));
        if let Some(price) = self.plan.caps.price {
            report.facts.insert("cost-of-90-percent".to_owned(), (price * queries).into());
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
