//! Labels only: the direction in which the border is nearest, by signs of small turns (Cheng and others 2020, Sign-OPT).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::sensing::{Sense, Settings, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-sign-opt",
    title: "turning the way to the border until it is short, decisions only, changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How it feels its way, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured: `l2` or `linf`.
    pub norm: Norm,
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// The most start rows tried.
    pub starts: u64,
    /// Random directions asked in the first round; they grow with the root of the round.
    pub directions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::L2, radius: None, queries: 1_800, starts: 40, directions: 40 }
    }
}

impl From<Config> for Settings {
    fn from(Config { norm, radius, queries, starts, directions }: Config) -> Self {
        Self { norm, radius, queries, starts, directions, straight: false }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(SignOpt, Sense<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
