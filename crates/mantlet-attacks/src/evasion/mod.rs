//! Evasion: a changed input, another decision.

use mantlet_vocab::{About, Confidence, Impact, Severity};

mod ascent;
mod ball;
mod climb;
mod frontier;
mod hunt;
mod ladder;
pub(crate) mod levels;
mod norms;
mod penalty;

mod sensing;
mod shared;
mod square_walk;

pub mod apgd;
pub mod bim;
pub mod boundary;
pub mod carlini_wagner;
pub mod ddn;
pub mod deep_fool;
pub mod elastic_net;
pub mod ensemble;
pub mod fab;
pub mod fgsm;
pub mod fmn;
pub mod geoda;
pub mod hop_skip_jump;
pub mod mi_fgsm;
pub mod nes;
pub mod patch;
pub mod pgd;
pub mod pointwise;
pub mod saliency;
pub mod sign_opt;
pub mod simba;
pub mod square;
pub mod table_climb;
pub mod table_search;
pub mod tree_exact;
pub mod universal;
pub mod zoo;

/// What the cards of attacks that need the model's file have in common.
const WITH_THE_FILE: About = About {
    name: "",
    title: "",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0043.000", "AML.T0015"],
    owasp: &["ML01:2023"],
    explain: "",
    cases: "",
};

/// And those that need an endpoint's scores or decisions only.
const WITH_ANSWERS: About = About { atlas: &["AML.T0043.001", "AML.T0015", "AML.T0040"], ..WITH_THE_FILE };

/// The public face of an attack: a method under a name of its own.
macro_rules! attack {
    ($name:ident, $method:ty) => {
        /// The attack in progress.
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name($crate::evasion::hunt::Hunt<$method>);

        impl $name {
            /// Prepares the attack.
            ///
            /// # Errors
            /// When the configuration is out of range or the rows do not fit.
            pub fn new(
                config: Config,
                seed: u64,
                material: $crate::Material,
            ) -> Result<Self, $crate::AttackError> {
                $crate::evasion::hunt::Hunt::new(config, seed, material).map(Self)
            }
        }

        impl $crate::Attack for $name {
            fn about(&self) -> &'static mantlet_vocab::About {
                self.0.about()
            }
            fn step(&mut self, answer: Option<$crate::Answer>) -> $crate::Step {
                self.0.step(answer)
            }
            fn stop(&mut self, why: $crate::Stop) -> $crate::Outcome {
                self.0.stop(why)
            }
            fn hits(&self) -> usize {
                self.0.hits()
            }
            fn save(&self) -> serde_json::Value {
                self.0.save()
            }
        }
    };
}
pub(crate) use attack;

#[cfg(test)]
mod known;
#[cfg(test)]
mod moving;
