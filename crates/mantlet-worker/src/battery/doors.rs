//! Probes for planted triggers and for the rows that planted them.

use mantlet_attacks::Material;
use mantlet_redteam::{CampaignError, Target};
use mantlet_verdict::{Family, ProbeSummary};
use mantlet_vocab::Gap;

use super::{Battery, Probe, Results, summarise};

impl Battery<'_> {
    pub(super) fn backdoor(
        &mut self,
        name: &str,
        target: &mut dyn Target,
        results: &mut Results,
    ) -> Result<(), CampaignError> {
        let classes = self.ground.classes;
        let material = match (name, &self.ground.held_out) {
            // Rows the model was not trained on, so that what is found is the model's and not the rows' own.
            ("backdoor-trigger", _) => {
                let rows = self.ground.held_out_or_train().first(600);
                Material::new(rows.x, rows.y, classes)
            }
            (_, Some(clean)) => {
                let (rows, clean) = (self.ground.train.clone(), clean.first(600));
                Material::new(rows.x, rows.y, classes).pool(clean.x, clean.y)
            }
            (_, None) => {
                let gap = Gap {
                    remedy: "name rows that are known to be clean in `data.test`".to_owned(),
                    ..self.gap(name, "no rows are known to be outside the training data")
                };
                let rows = self.ground.train.first(8);
                let campaign = self.campaign(name, Material::new(rows.x, rows.y, classes));
                let summary = ProbeSummary::skipped(name, Family::Backdoor, gap.clone());
                let report = campaign.skipped(target, gap);
                results.probes.push(Probe { report, summary: Some(summary), campaign: None });
                return Ok(());
            }
        };
        let campaign = self.campaign(name, material);
        let report = self.conduct(&campaign, target)?;
        let family = if name == "backdoor-stubborn-rows" { Family::Other } else { Family::Backdoor };
        let summary = summarise(&report, family, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: None });
        Ok(())
    }
}
