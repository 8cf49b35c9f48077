//! What a guard does not do, said plainly.

use mantlet_vocab::Mode;

use crate::Guard;

impl Guard {
    /// What this guard does not do, in plain words; empty when it does everything.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let Some(profile) = self.profile() else {
            if self.is_lacking_profile() {
                gaps.push(
                    "the profile is missing: every rule that needs it fails, as `on_failure` says".into(),
                );
                return gaps;
            }
            gaps.push(
                "there is no profile: inputs and streams are not examined, only limits and switches work"
                    .into(),
            );
            return gaps;
        };
        if profile.honest.aligned_needed > 64 {
            gaps.push(
                "honest rows fall on straight lines by chance: bisection is not looked for in inputs".into(),
            );
        }
        if profile.honest.near_needed > u32::try_from(self.config().state.trail).unwrap_or(u32::MAX) {
            gaps.push(
                "honest rows are often nearly equal: many variants of one input are not noticed".into(),
            );
        }
        if self.config().mode != Mode::Enforce {
            gaps.push("the mode is not `enforce`: nothing is refused or diverted by detectors".into());
        }
        gaps
    }
}
