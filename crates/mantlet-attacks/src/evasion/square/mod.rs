//! Random squares seen through scores only (Andriushchenko and others 2020), for images, tables and embeddings.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, at_least, positive};
use super::ladder::{Ladder, Stage, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-square",
    title: "random changes chosen by watching scores change the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How it searches, in units of each value's permitted interval; distance is the largest single change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The largest change.
    pub epsilon: f32,
    /// The most rows asked for each row attacked.
    pub queries: usize,
    /// The share of a row changed at once in the first turn.
    pub share: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { epsilon: 0.15, queries: 1_000, share: 0.8 }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn stages(config: Config, base: &mut Base) -> Result<Vec<Stage>, String> {
        positive("epsilon", config.epsilon)?;
        positive("share", config.share)?;
        at_least("queries", config.queries, 1)?;
        (base.norm, base.radius) = (Norm::Linf, config.epsilon);
        let Config { epsilon, queries, share } = config;
        Ok(vec![Stage::Squares { epsilon, turns: queries, share: share.min(1.0) }])
    }
}

attack!(Square, Ladder<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
