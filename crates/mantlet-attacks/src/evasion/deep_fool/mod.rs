//! Steps to the nearest linearised border (Moosavi-Dezfooli and others 2016).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::frontier::Gait;
use super::hunt::{Base, at_least, positive, usual_radius};
use super::ladder::{Ladder, Stage, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-deep-fool",
    title: "a few steps to the nearest decision border change the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How it walks, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// The most steps.
    pub steps: usize,
    /// How far past the border a step goes, as a share of it.
    pub overshoot: f32,
    /// How many other classes are looked at in each step.
    pub rivals: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::L2, radius: None, steps: 50, overshoot: 0.02, rivals: 9 }
    }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn stages(config: Config, base: &mut Base) -> Result<Vec<Stage>, String> {
        let Config { norm, radius, steps, overshoot, rivals } = config;
        at_least("steps", steps, 1)?;
        at_least("rivals", rivals, 1)?;
        positive("overshoot", overshoot)?;
        base.norm = norm;
        base.radius = radius.unwrap_or_else(|| usual_radius(norm, base.len()));
        base.stop_at_hit = false;
        let gait = Gait { norm, steps, overshoot: 1.0 + overshoot, pull: 0.0, shrink: 1.0, rivals };
        Ok(vec![Stage::Walk { gait, spread: None, only: None }])
    }
}

attack!(DeepFool, Ladder<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
