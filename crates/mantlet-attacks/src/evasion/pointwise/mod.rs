//! From a row of another decision back towards the original, value by value, labels only (Schott and others
//! 2019): what can be taken back without changing the decision is taken back, first in groups.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, at_least, usual_radius};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-pointwise",
    title: "few values, found by taking back the others, change the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How far it looks; distance is the number of changed values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most changed values that count as a success; a twentieth of the row when absent.
    pub radius: Option<f32>,
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// Start rows of another decision the way back is walked from, one after the other.
    pub starts: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: None, queries: 1_000, starts: 3 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    /// Values past the border; empty while a start is looked for.
    here: Vec<f32>,
    starts: usize,
    /// Changed values in random order, the size of the groups and the next group.
    order: Vec<usize>,
    group: usize,
    at: usize,
    progress: bool,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Back {
    config: Config,
    lanes: Vec<Lane>,
}

impl Back {
    /// The values of the next group; ends the way back when no group of one value can be taken back.
    fn next_group(lane: &mut Lane, base: &mut Base, row: usize) -> Vec<usize> {
        loop {
            if lane.here.is_empty() {
                return Vec::new();
            }
            if lane.at >= lane.order.len() {
                let original = base.originals.row(base.rows[row].index);
                lane.order = (0..original.len()).filter(|&at| lane.here[at] != original[at]).collect();
                base.random.shuffle(&mut lane.order);
                lane.at = 0;
                if lane.group > 1 {
                    lane.group = (lane.group / 2).max(1);
                } else if !lane.progress {
                    lane.here.clear();
                    lane.starts += 1;
                    return Vec::new();
                }
                lane.progress = false;
                if lane.order.is_empty() {
                    lane.here.clear();
                    lane.starts += 1;
                    return Vec::new();
                }
            }
            let end = (lane.at + lane.group).min(lane.order.len());
            let group = lane.order[lane.at..end].to_vec();
            lane.at = end;
            if !group.is_empty() {
                return group;
            }
        }
    }
}

impl Method for Back {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        at_least("starts", config.starts, 1)?;
        base.norm = Norm::L0;
        base.radius = config.radius.unwrap_or_else(|| usual_radius(Norm::L0, base.len()));
        base.stop_at_hit = false;
        Ok(Self { config, lanes: Vec::new() })
    }

    fn begin(&mut self, base: &mut Base) {
        let lane = Lane { here: Vec::new(), starts: 0, order: Vec::new(), group: 1, at: 0, progress: false };
        self.lanes = vec![lane; base.rows.len()];
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        for row in base.open() {
            if base.rows[row].queries > self.config.queries {
                continue;
            }
            let group = Self::next_group(&mut self.lanes[row], base, row);
            let lane = &self.lanes[row];
            if lane.here.is_empty() {
                // Starts that are on the same side cost a query each, so their number is bounded too.
                let tried = base.rows[row].queries > 40 && lane.starts == 0;
                if lane.starts >= self.config.starts || tried {
                    continue;
                }
                let start = base.start(row);
                base.put(row, start);
                continue;
            }
            let mut values = lane.here.clone();
            group.iter().for_each(|&at| values[at] = base.original(row)[at]);
            base.put(row, values);
        }
        base.decide()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        for (place, &row) in reply.rows.iter().enumerate() {
            let lane = &mut self.lanes[row];
            if !reply.won[place] {
                continue;
            }
            if lane.here.is_empty() {
                lane.group = (base.len() / 2).max(1);
                lane.order.clear();
                lane.at = 0;
            }
            lane.progress = true;
            lane.here = reply.values(place).to_vec();
        }
    }
}

attack!(Pointwise, Back);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
