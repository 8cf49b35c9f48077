//! The nearest border, walked along and pulled back to the original (Croce and Hein 2020, FAB).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::frontier::Gait;
use super::hunt::{Base, at_least, usual_radius};
use super::ladder::{Ladder, Stage, Style};
use crate::Norm;
pub(crate) use crate::told::turned as say;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-fab",
    title: "the nearest decision border is found by walking along it",
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
    /// Steps of each walk.
    pub steps: usize,
    /// Walks: the first from the row, the others from random points around it.
    pub restarts: usize,
    /// How many other classes are looked at in each step.
    pub rivals: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::Linf, radius: None, steps: 50, restarts: 1, rivals: 4 }
    }
}

/// The gait of FAB.
pub(super) const fn gait(norm: Norm, steps: usize, rivals: usize) -> Gait {
    Gait { norm, steps, overshoot: 1.05, pull: 0.1, shrink: 0.9, rivals }
}

/// Tells this room's attack from its relatives.
#[derive(Debug, Clone, Copy)]
struct Room;

impl Style for Room {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn stages(config: Config, base: &mut Base) -> Result<Vec<Stage>, String> {
        let Config { norm, radius, steps, restarts, rivals } = config;
        at_least("steps", steps, 1)?;
        at_least("restarts", restarts, 1)?;
        at_least("rivals", rivals, 1)?;
        base.norm = norm;
        base.radius = radius.unwrap_or_else(|| usual_radius(norm, base.len()));
        base.stop_at_hit = false;
        let (gait, reach) = (gait(norm, steps, rivals), base.radius);
        let walk = |turn| Stage::Walk { gait, spread: (turn > 0).then_some(0.5 * reach), only: None };
        Ok((0..restarts).map(walk).collect())
    }
}

attack!(Fab, Ladder<Room>);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
