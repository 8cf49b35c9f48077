//! As few changed values as possible: the most telling value goes to its bound, one after the other, then what
//! was not needed is taken back (after Papernot and others 2016, JSMA).

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, usual_radius};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Loss, Norm};

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-saliency",
    title: "changing very few values changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How many values may change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most changed values that count as a success; a twentieth of the row when absent.
    pub radius: Option<f32>,
    /// The most values changed in the search; a quarter of the row when absent.
    pub most: Option<usize>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    values: Vec<f32>,
    changed: Vec<usize>,
    /// Values already tried for taking back; set once the row is past the border.
    back: Option<usize>,
    done: bool,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Greedy {
    most: usize,
    lanes: Vec<Lane>,
    climbing: bool,
}

impl Method for Greedy {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = true;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        base.norm = Norm::L0;
        base.radius = config.radius.unwrap_or_else(|| usual_radius(Norm::L0, base.len()));
        base.stop_at_hit = false;
        let most = config.most.unwrap_or_else(|| (base.len() / 4).max(1)).min(base.len());
        Ok(Self { most, lanes: Vec::new(), climbing: true })
    }

    fn begin(&mut self, base: &mut Base) {
        let lane = |row: usize| Lane {
            values: base.original(row).to_vec(),
            changed: Vec::new(),
            back: None,
            done: false,
        };
        self.lanes = (0..base.rows.len()).map(lane).collect();
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        let open: Vec<usize> = base.open().into_iter().filter(|&row| !self.lanes[row].done).collect();
        let climbers: Vec<usize> =
            open.iter().copied().filter(|&row| self.lanes[row].back.is_none()).collect();
        self.climbing = !climbers.is_empty();
        if self.climbing {
            for row in climbers {
                base.put(row, self.lanes[row].values.clone());
            }
            return base.gradient(|labels| Loss::Margin { labels });
        }
        for row in open {
            let lane = &self.lanes[row];
            let mut values = lane.values.clone();
            if let Some(&at) = lane.back.and_then(|back| lane.changed.get(back)) {
                values[at] = base.original(row)[at];
                base.put(row, values);
            }
        }
        base.decide()
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        for (place, &row) in reply.rows.iter().enumerate() {
            let lane = &mut self.lanes[row];
            if !self.climbing {
                if reply.won[place] {
                    // It was not needed.
                    lane.values = reply.values(place).to_vec();
                }
                let next = lane.back.unwrap_or(0) + 1;
                lane.back = Some(next);
                lane.done = next >= lane.changed.len();
                continue;
            }
            if reply.won[place] {
                lane.back = Some(0);
                lane.done = lane.changed.len() < 2;
                continue;
            }
            if lane.changed.len() >= self.most || !base.is_open(row) {
                lane.done = true;
                continue;
            }
            let slope = base.widen(reply.slope(place));
            let shift = base.shift_of(row, &lane.values);
            let gain = |at: usize| {
                let room = base.room(row, at, shift[at], slope[at] > 0.0).min(1e3);
                if lane.changed.contains(&at) { 0.0 } else { slope[at].abs() * room.max(0.0) }
            };
            let best = (0..slope.len()).max_by(|a, b| gain(*a).total_cmp(&gain(*b)));
            let Some(at) = best.filter(|&at| gain(at) > 0.0) else {
                lane.done = true;
                continue;
            };
            let up = slope[at] > 0.0;
            let by = base.room(row, at, shift[at], up).min(1e3) * base.constraints.width(at);
            lane.values[at] += if up { by } else { -by };
            base.constraints.repair(base.originals.row(base.rows[row].index), &mut lane.values);
            lane.changed.push(at);
        }
    }
}

attack!(Saliency, Greedy);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
