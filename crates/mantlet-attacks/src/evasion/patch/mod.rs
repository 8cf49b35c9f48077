//! A patch put over the same place of every row (Brown and others 2017).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::shared::{Kind, Settings, Shared, Style};
use crate::told::{Told, turned};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-patch",
    title: "a patch on one place alters the decision on many rows",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    format!("One and the same patch for all rows: {}", turned(told))
}

/// How large the patch is. For images it is a square, for other rows the values with the largest gradients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Share of the row it covers.
    pub share: f32,
    /// How many steps.
    pub steps: usize,
    /// Share of the rows it is made on; the others show whether it carries over to rows it has not seen.
    pub made_on: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { share: 0.07, steps: 80, made_on: 0.5 }
    }
}

impl From<Config> for Settings {
    fn from(Config { share, steps, made_on }: Config) -> Self {
        Self { kind: Kind::Put { share }, steps, made_on }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
}

attack!(Patch, Shared<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
