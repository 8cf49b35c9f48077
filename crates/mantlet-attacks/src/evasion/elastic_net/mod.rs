//! A small change of few values as one sum to minimise (Chen and others 2018, EAD).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::penalty::{Penalty, Settings, Style};
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-elastic-net",
    title: "a small change of few values weighed against the decision changes it",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How it searches, in units of each value's permitted interval; distance is the sum of changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The distance within which a changed row counts; a tenth of the interval for each value when absent.
    pub radius: Option<f32>,
    /// Weights tried for each row.
    pub rounds: usize,
    /// Steps of each round.
    pub steps: usize,
    /// The first step length.
    pub step: f32,
    /// The first weight.
    pub constant: f32,
    /// The weight of the sum of changes beside their squares.
    pub sparse: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: None, rounds: 6, steps: 80, step: 0.02, constant: 0.1, sparse: 0.05 }
    }
}

impl From<Config> for Settings {
    fn from(Config { radius, rounds, steps, step, constant, sparse }: Config) -> Self {
        Self { rounds, steps, radius, step, constant, sparse: sparse.max(f32::MIN_POSITIVE) }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(ElasticNet, Penalty<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
