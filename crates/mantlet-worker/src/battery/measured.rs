//! Probes a policy does not weigh: what single records and classes give away, and figures of robustness.

use mantlet_attacks::Material;
use mantlet_redteam::{CampaignError, Target};
use mantlet_verdict::{Family, ProbeSummary};
use mantlet_vocab::Gap;

use super::{Battery, Probe, Results, summarise};

impl Battery<'_> {
    pub(super) fn measured(
        &mut self,
        name: &str,
        target: &mut dyn Target,
        results: &mut Results,
    ) -> Result<(), CampaignError> {
        let (ground, classes) = (self.ground, self.ground.classes);
        let of = |rows: super::Rows| Material::new(rows.x, rows.y, classes);
        let unseen = ground.held_out_or_train();
        let (material, gap) = match (name, &ground.held_out) {
            ("privacy-attribute", Some(others)) => {
                (of(ground.train.clone()).pool(others.x.clone(), others.y.clone()), None)
            }
            ("privacy-attribute", None) => {
                let gap = Gap {
                    remedy: "name such rows in `data.test`".to_owned(),
                    ..self.gap(name, "no rows are known to be outside the training data")
                };
                (of(ground.train.first(8)), Some(gap))
            }
            ("privacy-inversion", _) => (of(ground.train.first(2_000)), None),
            // Each row is asked some hundred times here.
            ("robustness-smoothing" | "robustness-interval", _) => (of(unseen.first(self.plan.rows)), None),
            _ => (of(unseen.clone()).pool(ground.train.x.clone(), ground.train.y.clone()), None),
        };
        let campaign = self.campaign(name, material).config(self.overlaid(serde_json::json!({})));
        let report = match gap {
            Some(gap) => campaign.skipped(target, gap),
            None => match self.conduct(&campaign, target) {
                // What was set by hand is to be corrected; what does not fit this target is left out, and said.
                Err(CampaignError::Attack(why)) if self.plan.set.is_null() => {
                    campaign.skipped(target, self.gap(name, &why.to_string()))
                }
                result => result?,
            },
        };
        // A figure of robustness is shown; a leak asks for a person.
        let summary = name.starts_with("privacy-").then(|| match &report.not_examined {
            Some(gap) => ProbeSummary::skipped(name, Family::Other, gap.clone()),
            None => summarise(&report, Family::Other, self.gate),
        });
        // Of what it measures only damage is something a guard can be told of.
        let kept = (name == "robustness-corruptions").then_some(campaign);
        results.probes.push(Probe { report, summary, campaign: kept });
        Ok(())
    }
}
