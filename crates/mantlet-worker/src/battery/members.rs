//! Probes that tell training rows from others.

use mantlet_attacks::Material;
use mantlet_redteam::{CampaignError, Target};
use mantlet_verdict::{Family, ProbeSummary};
use mantlet_vocab::Gap;
use serde_json::json;

use super::{Battery, Probe, Results, summarise};

impl Battery<'_> {
    pub(super) fn membership(
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
        let truths = match (self.plan.scored, &self.ground.truths) {
            (Some(score), Some(truths)) => Some((score, truths)),
            (Some(_), None) => {
                let gap = Gap {
                    remedy: "name the column that holds them in `data.label`".to_owned(),
                    ..self.gap(name, "the true scores of the rows are not known")
                };
                let summary = ProbeSummary::skipped(name, Family::Membership, gap.clone());
                let rows = self.ground.train.x.clone();
                let report = self.campaign(name, Material::new(rows, Vec::new(), 1)).skipped(target, gap);
                results.probes.push(Probe { report, summary: Some(summary), campaign: None });
                return Ok(());
            }
            (None, _) => None,
        };
        // Shadows learn the members that are not judged too, so they get all there are.
        let most = if name == "membership-threshold" { others.y.len().max(200) } else { usize::MAX };
        let members = self.ground.train.first(most);
        let count = members.y.len();
        let mut material =
            Material::new(members.x, members.y, self.ground.classes).pool(others.x.clone(), others.y.clone());
        if let Some((score, truths)) = truths {
            material = material.values(truths.train[..count].to_vec(), truths.held_out.clone(), score);
        }
        let campaign = self.campaign(name, material).config(self.overlaid(json!({})));
        let report = self.conduct(&campaign, target)?;
        let summary = summarise(&report, Family::Membership, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }
}
