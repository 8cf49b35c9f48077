//! Probes for planted triggers and for the rows that planted them.

use mantlet_attacks::Material;
use mantlet_redteam::{CampaignError, Target};
use mantlet_verdict::{Family, ProbeSummary};
use mantlet_vocab::Gap;

use super::{Battery, Probe, Results, summarise};

/// Probes that reconstruct a trigger, or rows that carry it.
const TRIGGERS: [&str; 6] = [
    "backdoor-trigger",
    "backdoor-blend",
    "backdoor-all-to-all",
    "backdoor-one-source",
    "backdoor-column-pair",
    "backdoor-poisoned-rows",
];

impl Battery<'_> {
    pub(super) fn backdoor(
        &mut self,
        name: &str,
        target: &mut dyn Target,
        results: &mut Results,
    ) -> Result<(), CampaignError> {
        let classes = self.ground.classes;
        let of = |rows: super::Rows| Material::new(rows.x, rows.y, classes);
        // Rows the model was not trained on, so that what is found is the model's and not the rows' own.
        let unseen = self.ground.held_out_or_train();
        let material = match (name, &self.ground.held_out) {
            ("backdoor-trigger" | "backdoor-blend" | "backdoor-all-to-all", _) => of(unseen.first(600)),
            ("backdoor-one-source", Some(clean)) => {
                let train = &self.ground.train;
                of(clean.first(600)).pool(train.x.clone(), train.y.clone())
            }
            ("backdoor-degraded-class", _) => of(unseen.clone()),
            ("backdoor-column-pair", _) => {
                let train = &self.ground.train;
                of(unseen.first(600)).pool(train.x.clone(), train.y.clone())
            }
            ("backdoor-weight-outliers", _) => of(unseen.first(8)).last_weights(target.last_weights()),
            ("backdoor-activation-clusters" | "backdoor-spectral-rows", _) => of(self.ground.train.clone()),
            (_, Some(clean)) => {
                let clean = clean.first(600);
                of(self.ground.train.clone()).pool(clean.x, clean.y)
            }
            (_, None) => {
                let gap = Gap {
                    remedy: "name rows that are known to be clean in `data.test`".to_owned(),
                    ..self.gap(name, "no rows are known to be outside the training data")
                };
                let campaign = self.campaign(name, of(self.ground.train.first(8)));
                let summary = ProbeSummary::skipped(name, Family::Backdoor, gap.clone());
                let report = campaign.skipped(target, gap);
                results.probes.push(Probe { report, summary: Some(summary), campaign: None });
                return Ok(());
            }
        };
        let campaign = self.campaign(name, material).config(self.overlaid(serde_json::json!({})));
        let report = match self.conduct(&campaign, target) {
            // What was set by hand is to be corrected; what does not fit this target is left out, and said.
            Err(CampaignError::Attack(why)) if self.plan.set.is_null() => {
                campaign.skipped(target, self.gap(name, &why.to_string()))
            }
            result => result?,
        };
        // Weak evidence asks for a person; a recovered trigger speaks for itself.
        let family = if TRIGGERS.contains(&name) { Family::Backdoor } else { Family::Other };
        let summary = summarise(&report, family, self.gate);
        results.probes.push(Probe { report, summary: Some(summary), campaign: Some(campaign) });
        Ok(())
    }
}
