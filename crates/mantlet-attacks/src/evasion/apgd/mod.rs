//! Gradient ascent without a step length to choose (Croce and Hein 2020, APGD).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, at_least, positive};
use super::ladder::{Ladder, Stage, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

pub use super::ascent::Aim;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-apgd",
    title: "gradient ascent that tunes its own steps changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How it climbs, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The radius of the ball.
    pub epsilon: f32,
    /// Steps of each ascent.
    pub steps: usize,
    /// The losses, each on the rows the earlier ones left standing.
    pub losses: Vec<Aim>,
    /// Restarts of each loss.
    pub restarts: usize,
    /// How many other classes a targeted loss climbs to, one after the other.
    pub targets: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            norm: Norm::Linf,
            epsilon: 0.15,
            steps: 100,
            losses: vec![Aim::CrossEntropy, Aim::LogitRatio],
            restarts: 1,
            targets: 9,
        }
    }
}

/// Stages of ascents.
pub(super) fn ascents(config: &Config, classes: usize) -> Vec<Stage> {
    let Config { norm, epsilon, steps, ref losses, restarts, targets } = *config;
    let mut stages = Vec::new();
    for &aim in losses {
        let ranks = if aim == Aim::Targeted { targets.min(classes.saturating_sub(1)).max(1) } else { 1 };
        for _ in 0..restarts {
            stages.extend((0..ranks).map(|rank| Stage::Ascend {
                norm,
                epsilon,
                steps,
                aim,
                rank,
                random: true,
            }));
        }
    }
    stages
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn stages(config: Config, base: &mut Base) -> Result<Vec<Stage>, String> {
        positive("epsilon", config.epsilon)?;
        at_least("steps", config.steps, 1)?;
        at_least("restarts", config.restarts, 1)?;
        at_least("losses", config.losses.len(), 1)?;
        if config.norm == Norm::L0 {
            return Err("norm must be l1, l2 or linf: `evasion-saliency` changes few values".to_owned());
        }
        (base.norm, base.radius) = (config.norm, config.epsilon);
        Ok(ascents(&config, base.classes))
    }
}

attack!(Apgd, Ladder<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
