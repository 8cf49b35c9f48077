//! Steps along the gathered gradient (Dong and others 2018): momentum carries over to models not seen.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::climb::{Climb, Settings, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-mi-fgsm",
    title: "steps along gathered gradients, as used on copies, change the decision",
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
    /// How much of the gathered gradient is kept at each step.
    pub momentum: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.15, steps: 10, step: None, momentum: 1.0 }
    }
}

impl From<Config> for Settings {
    fn from(Config { norm, epsilon, steps, step, momentum }: Config) -> Self {
        Self { norm, epsilon, steps, step, momentum }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(MiFgsm, Climb<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
