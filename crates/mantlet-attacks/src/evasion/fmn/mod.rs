//! The smallest change in any norm by a ball that finds its own radius (Pintor and others 2021, FMN).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::norms::{Norms, Settings, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-fmn",
    title: "the smallest change in a chosen measure changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How it searches, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured: `l0`, `l1`, `l2` or `linf`.
    pub norm: Norm,
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// How many steps.
    pub steps: usize,
    /// The first step length.
    pub step: f32,
    /// By what share the ball shrinks or grows in a step, at first.
    pub gamma: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, radius: None, steps: 100, step: 1.0, gamma: 0.05 }
    }
}

impl From<Config> for Settings {
    fn from(Config { norm, radius, steps, step, gamma }: Config) -> Self {
        Self { norm, steps, radius, gamma, step, sphere: false }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(Fmn, Norms<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
