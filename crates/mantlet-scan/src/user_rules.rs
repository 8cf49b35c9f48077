//! The port for rules of the user's own: asked about every region of bytes, whatever its format.

use mantlet_vocab::{Digest, Finding, Place, Source};

use crate::engine::{Engine, MAX_FINDINGS};

/// What rules of the user's own say about one region.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// What they found.
    pub findings: Vec<Finding>,
    /// What they could not examine: why, and what would help.
    pub gaps: Vec<(String, String)>,
}

/// Rules of the user's own. They see each file, each member of an archive after decompression, and each payload
/// that a pickle would decode.
pub trait UserRules: std::fmt::Debug + Send + Sync {
    /// Judges one region. The answer depends on its bytes, the place and the rules only.
    fn judge(&self, source: &dyn Source, place: &Place) -> Judgement;

    /// Leaves out what is said twice, once all regions of an artifact are judged.
    fn settle(&self, _findings: &mut Vec<Finding>) {}

    /// Changes whenever the rules do.
    fn digest(&self) -> Digest;
}

impl Engine {
    /// Asks the user's rules about a region; without such rules it costs nothing.
    pub(crate) fn user_rules(&mut self, source: &dyn Source, place: &Place) {
        let Some(rules) = self.user_rules.clone() else { return };
        if source.is_empty() {
            return;
        }
        let judgement = rules.judge(source, place);
        if self.user_findings.len() + judgement.findings.len() > MAX_FINDINGS {
            self.gap(
                place,
                "too many findings of your own rules already".into(),
                "make the rules more specific",
            );
        } else {
            self.user_findings.extend(judgement.findings);
        }
        for (why, remedy) in judgement.gaps {
            self.gap(place, why, &remedy);
        }
    }

    /// Adds what the user's rules found to the other findings.
    pub(crate) fn settle(&mut self) {
        let mut findings = std::mem::take(&mut self.user_findings);
        if let Some(rules) = &self.user_rules {
            rules.settle(&mut findings);
        }
        self.findings.append(&mut findings);
    }
}
