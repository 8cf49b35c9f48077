//! Attacks on classifiers as seeded state machines: they ask for a batch, are told the answers, and never
//! touch a network, a clock or a file. Same seed and same answers, same questions.
//!
//! Each attack is a room with its own folder; [`abouts`] lists them and [`create`] makes one by name.

use mantlet_vocab::About;

pub mod backdoor;
pub mod evasion;
pub mod extraction;
pub mod membership;
pub mod privacy;
pub mod robustness;
pub mod text;

mod constraints;
mod inquiry;
mod loss;
mod material;
mod outcome;
mod picture;
mod play;
mod random;
mod rows;
mod stats;
mod told;

pub use constraints::{Constraint, Constraints, Relation, Term};
pub use inquiry::{Inquired, Inquiry};
pub use loss::{Loss, ScoreKind, softmax};
pub use material::{Goal, Material};
pub use outcome::{
    AtRisk, Detail, Distances, LowerBound, Measure, Method, Norm, Outcome, RowOutcome, State, Stop, Trigger,
    Unit,
};
pub use picture::Warp;
pub use play::{Answer, Ask, Attack, AttackError, Lesson, Purpose, Step};
pub use random::Random;
pub use stats::{Interval, RocPoint, at_least, auc_interval, roc, roc_auc, true_positive_at, wilson};
pub use told::{Told, tell};

type Made = Result<Box<dyn Attack>, AttackError>;

/// An attack's card, and how it is made and gone on with.
struct Room {
    about: &'static About,
    say: fn(&Told<'_>) -> String,
    create: fn(&serde_json::Value, u64, Material) -> Made,
    restore: fn(serde_json::Value) -> Made,
}

macro_rules! rooms {
    ($($($step:ident)::+ :: <$attack:ident>),+ $(,)?) => {
        /// Every attack, in the order they are run.
        const ROOMS: &[Room] = &[$(Room {
            about: &$($step)::+::ABOUT,
            say: $($step)::+::say,
            create: |config, seed, material| {
                use $($step)::+ as room;
                let config: room::Config = read(room::ABOUT.name, config)?;
                Ok(Box::new(room::$attack::new(config, seed, material)?))
            },
            restore: |saved| {
                use $($step)::+ as room;
                load::<room::$attack>(room::ABOUT.name, saved)
            },
        }),+];
    };
}

rooms! {
    evasion::fgsm::<Fgsm>,
    evasion::bim::<Bim>,
    evasion::mi_fgsm::<MiFgsm>,
    evasion::pgd::<Pgd>,
    evasion::apgd::<Apgd>,
    evasion::fab::<Fab>,
    evasion::deep_fool::<DeepFool>,
    evasion::carlini_wagner::<CarliniWagner>,
    evasion::elastic_net::<ElasticNet>,
    evasion::ddn::<Ddn>,
    evasion::fmn::<Fmn>,
    evasion::saliency::<Saliency>,
    evasion::universal::<Universal>,
    evasion::patch::<Patch>,
    evasion::ensemble::<Ensemble>,
    evasion::square::<Square>,
    evasion::nes::<Nes>,
    evasion::simba::<Simba>,
    evasion::zoo::<Zoo>,
    evasion::hop_skip_jump::<HopSkipJump>,
    evasion::boundary::<Boundary>,
    evasion::geoda::<GeoDa>,
    evasion::sign_opt::<SignOpt>,
    evasion::pointwise::<Pointwise>,
    evasion::table_climb::<TableClimb>,
    evasion::table_search::<TableSearch>,
    evasion::tree_exact::<TreeExact>,
    text::characters::<Characters>,
    text::words::<Words>,
    text::homoglyphs::<Homoglyphs>,
    text::unseen::<Invisible>,
    extraction::query_copy::<QueryCopy>,
    extraction::score_copy::<ScoreCopy>,
    extraction::active::<Active>,
    extraction::transfer::<Transfer>,
    extraction::linear::<Linear>,
    extraction::tree_paths::<TreePaths>,
    membership::threshold::<Threshold>,
    membership::label_only::<LabelOnly>,
    membership::shadow::<Shadow>,
    membership::likelihood_ratio::<LikelihoodRatio>,
    membership::relative::<Relative>,
    privacy::attribute::<Attribute>,
    privacy::inversion::<Inversion>,
    robustness::corruptions::<Corruptions>,
    robustness::segments::<Segments>,
    robustness::calibration::<Calibration>,
    robustness::smoothing::<Smoothing>,
    robustness::interval::<IntervalBound>,
    backdoor::trigger::<TriggerSearch>,
    backdoor::blend::<BlendSearch>,
    backdoor::all_to_all::<AllToAll>,
    backdoor::one_source::<OneSource>,
    backdoor::column_pair::<ColumnPair>,
    backdoor::degraded_class::<DegradedClass>,
    backdoor::weight_outliers::<WeightOutliers>,
    backdoor::activation_clusters::<ActivationClusters>,
    backdoor::spectral_rows::<SpectralRows>,
    text::trigger_word::<TriggerWord>,
    backdoor::poisoned_rows::<PoisonedRows>,
    backdoor::stubborn_rows::<StubbornRows>,
}

/// Every attack's card, in the order they are run.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    ROOMS.iter().map(|room| room.about).collect()
}

fn room(name: &str) -> Result<&'static Room, AttackError> {
    ROOMS.iter().find(|room| room.about.name == name).ok_or_else(|| AttackError::Unknown(name.to_owned()))
}

/// The words of a room for its outcome.
fn saying(name: &str) -> Option<fn(&Told<'_>) -> String> {
    room(name).ok().map(|room| room.say)
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
    (room(name)?.create)(config, seed, material)
}

/// Goes on from what [`Attack::save`] gave.
///
/// # Errors
/// When the name is unknown or the state cannot be read.
pub fn restore(name: &str, saved: serde_json::Value) -> Result<Box<dyn Attack>, AttackError> {
    (room(name)?.restore)(saved)
}

fn load<A: serde::de::DeserializeOwned + Attack + 'static>(
    attack: &'static str,
    saved: serde_json::Value,
) -> Result<Box<dyn Attack>, AttackError> {
    match serde_json::from_value::<A>(saved) {
        Ok(attack) => Ok(Box::new(attack)),
        Err(error) => Err(AttackError::Saved { attack, reason: error.to_string() }),
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
mod hostile;
#[cfg(test)]
mod testing;
