//! One change added to every row (Moosavi-Dezfooli and others 2017; made by ascent as in Shafahi and others 2020).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::shared::{Kind, Settings, Shared, Style};
use crate::Norm;
use crate::told::{Told, turned};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-universal",
    title: "one and the same small change alters the decision on many rows",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    format!("One and the same change for all rows: {}", turned(told))
}

/// What is added, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The radius of the ball.
    pub epsilon: f32,
    /// How many steps.
    pub steps: usize,
    /// Share of the rows it is made on; the others show whether it carries over to rows it has not seen.
    pub made_on: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 0.2, steps: 60, made_on: 0.5 }
    }
}

impl From<Config> for Settings {
    fn from(Config { norm, epsilon, steps, made_on }: Config) -> Self {
        Self { kind: Kind::Added { norm, epsilon }, steps, made_on }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(Universal, Shared<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
