//! The smallest Euclidean change as one sum to minimise (Carlini and Wagner 2017).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::penalty::{Penalty, Settings, Style};
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-carlini-wagner",
    title: "the smallest change weighed against the decision changes it",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How it searches, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// Weights tried for each row.
    pub rounds: usize,
    /// Steps of each round.
    pub steps: usize,
    /// The first step length.
    pub step: f32,
    /// The first weight.
    pub constant: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: None, rounds: 6, steps: 60, step: 0.02, constant: 0.1 }
    }
}

impl From<Config> for Settings {
    fn from(Config { radius, rounds, steps, step, constant }: Config) -> Self {
        Self { rounds, steps, radius, step, constant, sparse: 0.0 }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(CarliniWagner, Penalty<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
