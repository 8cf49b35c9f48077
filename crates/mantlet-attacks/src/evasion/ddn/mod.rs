//! The smallest Euclidean change, direction and distance apart (Rony and others 2019, DDN).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::norms::{Norms, Settings, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-ddn",
    title: "the smallest change on a sphere that shrinks changes the decision",
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
    /// How many steps.
    pub steps: usize,
    /// By what share the sphere shrinks or grows in a step.
    pub gamma: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: None, steps: 100, gamma: 0.05 }
    }
}

impl From<Config> for Settings {
    fn from(Config { radius, steps, gamma }: Config) -> Self {
        Self { norm: Norm::L2, steps, radius, gamma, step: 1.0, sphere: true }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(Ddn, Norms<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
