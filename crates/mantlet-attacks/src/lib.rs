//! Attacks on classifiers as seeded state machines: they ask for a batch, are told the answers, and never
//! touch a network, a clock or a file. Same seed and same answers, same questions.
//!
//! Each attack is a room with its own folder; [`all`] lists them and [`create`] makes one by name.

use mantlet_vocab::About;

mod constraints;
mod loss;
mod material;
mod outcome;
mod play;
mod random;
mod stats;

pub use constraints::{Constraint, Constraints};
pub use loss::{Loss, ScoreKind, softmax};
pub use material::Material;
pub use outcome::{Detail, Distances, Norm, Outcome, RowOutcome, State, Stop, Trigger};
pub use play::{Answer, Ask, Attack, AttackError, Step};
pub use random::Random;
pub use stats::{Interval, RocPoint, auc_interval, roc, roc_auc, true_positive_at, wilson};

/// Every attack's card.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    all().to_vec()
}

/// Every attack's card, in the order they are run.
#[must_use]
pub fn all() -> &'static [&'static About] {
    &[]
}

/// Makes the attack of this name.
///
/// # Errors
/// When there is none, or the configuration or material does not fit.
pub fn create(
    name: &str,
    config: &serde_json::Value,
    seed: u64,
    material: Material,
) -> Result<Box<dyn Attack>, AttackError> {
    let _ = (config, seed, material);
    Err(AttackError::Unknown(name.to_owned()))
}

/// Goes on from what [`Attack::save`] gave.
///
/// # Errors
/// When the name is unknown or the state cannot be read.
pub fn restore(name: &str, saved: serde_json::Value) -> Result<Box<dyn Attack>, AttackError> {
    let _ = saved;
    Err(AttackError::Unknown(name.to_owned()))
}
