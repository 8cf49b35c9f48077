//! Gradient ascent on rows of a table that keeps to what real rows obey (Simonetto and others 2024, CAPGD):
//! ranges, whole numbers, one-of groups and relations are mended at every step.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::apgd::Aim;
use super::attack;
use super::hunt::{Base, at_least, positive};
use super::ladder::{Ladder, Stage, Style};
pub(crate) use crate::told::turned as say;
use crate::{Constraints, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-table-climb",
    title: "a believable change of a table row, by gradients, changes the decision",
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
    /// Restarts of each loss; the first starts at the row itself.
    pub restarts: usize,
    /// Whether relations are also learned from the rows of the pool.
    pub learn: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.1, steps: 60, restarts: 3, learn: true }
    }
}

/// Adds what holds in the pool to what is declared.
pub(super) fn learn(base: &mut Base) {
    let Some(pool) = &base.pool else { return };
    let learned = Constraints::learn(pool);
    if base.constraints.is_empty() {
        base.constraints.values = learned.values;
    }
    for relation in learned.relations {
        if !base.constraints.relations.contains(&relation) {
            base.constraints.relations.push(relation);
        }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn stages(config: Config, base: &mut Base) -> Result<Vec<Stage>, String> {
        let Config { norm, epsilon, steps, restarts, learn: learns } = config;
        positive("epsilon", epsilon)?;
        at_least("steps", steps, 1)?;
        at_least("restarts", restarts, 1)?;
        if norm == Norm::L0 {
            return Err("norm must be l1, l2 or linf: `evasion-table-search` changes few values".to_owned());
        }
        (base.norm, base.radius) = (norm, epsilon);
        if learns {
            learn(base);
        }
        let mut stages = Vec::new();
        for turn in 0..restarts {
            for aim in [Aim::CrossEntropy, Aim::LogitRatio] {
                stages.push(Stage::Ascend { norm, epsilon, steps, aim, rank: 0, random: turn > 0 });
            }
        }
        Ok(stages)
    }
}

attack!(TableClimb, Ladder<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
