//! Attacks on classifiers as seeded state machines: they ask for a batch, are told the answers, and never
//! touch a network, a clock or a file. Same seed and same answers, same questions.
//!
//! Each attack is a room with its own folder; [`all`] lists them and [`create`] makes one by name.

use mantlet_vocab::About;

pub mod backdoor;
pub mod evasion;
pub mod extraction;
pub mod membership;

mod constraints;
mod loss;
mod material;
mod outcome;
mod play;
mod random;
mod rows;
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
pub const fn all() -> &'static [&'static About] {
    const ALL: [&About; 5] = [
        &evasion::pgd::ABOUT,
        &evasion::hop_skip_jump::ABOUT,
        &extraction::query_copy::ABOUT,
        &membership::threshold::ABOUT,
        &backdoor::trigger::ABOUT,
    ];
    &ALL
}

/// Makes the attack of this name; absent configuration keys take their defaults.
///
/// # Errors
/// When there is none, or the configuration or material does not fit.
pub fn create(
    name: &str,
    config: &serde_json::Value,
    seed: u64,
    material: Material,
) -> Result<Box<dyn Attack>, AttackError> {
    macro_rules! make {
        ($($room:path => $attack:ty),+) => {{
            $({
                use $room as room;
                if name == room::ABOUT.name {
                    let config: room::Config = read(room::ABOUT.name, config)?;
                    return Ok(Box::new(<$attack>::new(config, seed, material)?));
                }
            })+
            Err(AttackError::Unknown(name.to_owned()))
        }};
    }
    make! {
        evasion::pgd => evasion::pgd::Pgd,
        evasion::hop_skip_jump => evasion::hop_skip_jump::HopSkipJump,
        extraction::query_copy => extraction::query_copy::QueryCopy,
        membership::threshold => membership::threshold::Threshold,
        backdoor::trigger => backdoor::trigger::TriggerSearch
    }
}

/// Goes on from what [`Attack::save`] gave.
///
/// # Errors
/// When the name is unknown or the state cannot be read.
pub fn restore(name: &str, saved: serde_json::Value) -> Result<Box<dyn Attack>, AttackError> {
    fn load<A: serde::de::DeserializeOwned + Attack + 'static>(
        attack: &'static str,
        saved: serde_json::Value,
    ) -> Result<Box<dyn Attack>, AttackError> {
        match serde_json::from_value::<A>(saved) {
            Ok(attack) => Ok(Box::new(attack)),
            Err(error) => Err(AttackError::Saved { attack, reason: error.to_string() }),
        }
    }
    let about = all().iter().find(|about| about.name == name);
    match about.map(|about| about.name) {
        Some("evasion-pgd") => load::<evasion::pgd::Pgd>("evasion-pgd", saved),
        Some("evasion-hop-skip-jump") => {
            load::<evasion::hop_skip_jump::HopSkipJump>("evasion-hop-skip-jump", saved)
        }
        Some("extraction-query-copy") => {
            load::<extraction::query_copy::QueryCopy>("extraction-query-copy", saved)
        }
        Some("membership-threshold") => {
            load::<membership::threshold::Threshold>("membership-threshold", saved)
        }
        Some("backdoor-trigger") => load::<backdoor::trigger::TriggerSearch>("backdoor-trigger", saved),
        _ => Err(AttackError::Unknown(name.to_owned())),
    }
}

fn read<C: serde::de::DeserializeOwned>(
    attack: &'static str,
    config: &serde_json::Value,
) -> Result<C, AttackError> {
    let config = if config.is_null() { serde_json::json!({}) } else { config.clone() };
    serde_json::from_value(config).map_err(|error| AttackError::Config { attack, reason: error.to_string() })
}

/// An attack's state holds finite numbers only, so that it can always be written.
fn saved(state: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(state).unwrap_or(serde_json::Value::Null)
}

#[cfg(test)]
mod testing;
