//! Small steps along the sign of the gradient from the row itself (Kurakin and others 2017).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::climb::{Climb, Settings, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-bim",
    title: "a few small steps along the model's own gradients change its decision",
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
    /// The radius of the ball.
    pub epsilon: f32,
    /// How many steps.
    pub steps: usize,
    /// The length of a step; twice the radius over the steps when absent.
    pub step: Option<f32>,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.15, steps: 10, step: None }
    }
}

impl From<Config> for Settings {
    fn from(Config { norm, epsilon, steps, step }: Config) -> Self {
        Self { norm, epsilon, steps, step, momentum: 0.0 }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(Bim, Climb<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
