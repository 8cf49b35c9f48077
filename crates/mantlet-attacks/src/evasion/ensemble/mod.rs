//! Different attacks one after the other, each on the rows the earlier ones left standing: the standard
//! measurement of robustness (Croce and Hein 2020, AutoAttack), for any number of classes and any shape of row.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::apgd::Aim;
use super::attack;
use super::hunt::{Base, at_least, positive};
use super::ladder::{Ladder, Stage, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-ensemble",
    title: "one of several strong attacks in turn changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How hard it tries, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The radius of the ball.
    pub epsilon: f32,
    /// Steps of each ascent and each walk.
    pub steps: usize,
    /// How many other classes are tried as targets.
    pub targets: usize,
    /// Random squares at the end, which see scores only; for `linf`.
    pub squares: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.15, steps: 100, targets: 9, squares: 5_000 }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn stages(config: Config, base: &mut Base) -> Result<Vec<Stage>, String> {
        let Config { norm, epsilon, steps, targets, squares } = config;
        positive("epsilon", epsilon)?;
        at_least("steps", steps, 1)?;
        at_least("targets", targets, 1)?;
        if norm == Norm::L0 {
            return Err("norm must be l1, l2 or linf: `evasion-saliency` changes few values".to_owned());
        }
        (base.norm, base.radius) = (norm, epsilon);
        let targets = targets.min(base.classes.saturating_sub(1)).max(1);
        let losses = vec![Aim::CrossEntropy, Aim::LogitRatio, Aim::Targeted];
        let ascents = super::apgd::Config { norm, epsilon, steps, losses, restarts: 1, targets };
        let mut stages = super::apgd::ascents(&ascents, base.classes);
        let gait = super::fab::gait(norm, steps, 1);
        stages.extend((0..targets).map(|rank| Stage::Walk { gait, spread: None, only: Some(rank) }));
        if norm == Norm::Linf && squares > 0 {
            stages.push(Stage::Squares { epsilon, turns: squares, share: 0.8 });
        }
        Ok(stages)
    }
}

attack!(Ensemble, Ladder<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
