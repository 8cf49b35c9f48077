//! One step along the sign of the gradient (Goodfellow and others 2015).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::climb::{Climb, Settings, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-fgsm",
    title: "one small step along the model's own gradient changes its decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How far it steps, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The length of the step.
    pub epsilon: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.15 }
    }
}

impl From<Config> for Settings {
    fn from(Config { norm, epsilon }: Config) -> Self {
        Self { norm, epsilon, steps: 1, step: Some(epsilon), momentum: 0.0 }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(Fgsm, Climb<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
