//! The cheapest believable change of a table row, seen through scores or labels (after Simonetto and others 2022,
//! MOEVA): from the nearest real rows of another decision, keeping what real rows obey.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, at_least, usual_radius};
use crate::{Ask, Norm};

mod propose;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-table-search",
    title: "a believable and cheap change of a table row changes the decision",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_ANSWERS
};

/// How it searches, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How distance is measured.
    pub norm: Norm,
    /// The distance within which a changed row counts; a tenth of the interval for each value on average when
    /// absent.
    pub radius: Option<f32>,
    /// The most rows asked for each row attacked.
    pub queries: u64,
    /// Real rows of another decision that are tried as directions.
    pub starts: usize,
    /// Whether scores are asked; labels otherwise.
    pub scores: bool,
    /// Whether relations are also learned from the rows of the pool.
    pub learn: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { norm: Norm::L2, radius: None, queries: 1_500, starts: 6, scores: true, learn: true }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Phase {
    /// Asking which of the starts are past the border.
    Meeting,
    /// Taking over values of a start, the one that brings most for its distance first.
    Greedy { target: usize, here: Vec<f32>, margin: Option<f32> },
    /// Changing the best row at random in ways that bring it nearer.
    Polishing,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    phase: Phase,
    /// Rows of another decision, nearest first.
    targets: Vec<Vec<f32>>,
    /// Rows past the border that were met.
    met: Vec<Vec<f32>>,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cheapest {
    config: Config,
    lanes: Vec<Lane>,
}

impl Method for Cheapest {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        at_least("starts", config.starts, 1)?;
        base.norm = config.norm;
        base.radius = config.radius.unwrap_or_else(|| usual_radius(config.norm, base.len()));
        base.stop_at_hit = false;
        if config.learn {
            super::table_climb::learn(base);
        }
        Ok(Self { config, lanes: Vec::new() })
    }

    fn begin(&mut self, base: &mut Base) {
        for row in 0..base.rows.len() {
            let targets = propose::targets(base, row, self.config.starts);
            self.lanes.push(Lane { phase: Phase::Meeting, targets, met: Vec::new() });
        }
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        for row in base.open() {
            let left = (self.config.queries + 1).saturating_sub(base.rows[row].queries);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let lane = &mut self.lanes[row];
            let proposals = match &lane.phase {
                _ if left == 0 => Vec::new(),
                Phase::Meeting => lane.targets.clone(),
                Phase::Greedy { target, here, margin } => {
                    if margin.is_none() {
                        vec![here.clone()]
                    } else {
                        propose::takeovers(base, row, here, &lane.met[*target])
                    }
                }
                Phase::Polishing => propose::changes(base, row, &lane.met, 12),
            };
            for proposal in proposals.into_iter().take(left) {
                base.put(row, proposal);
            }
        }
        if self.config.scores || base.goal.column().is_some() { base.score() } else { base.decide() }
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let mut place = 0;
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            let places = place..place + run;
            place += run;
            let lane = &mut self.lanes[row];
            let original = base.original(row).to_vec();
            let phase = std::mem::replace(&mut lane.phase, Phase::Polishing);
            lane.phase = match phase {
                Phase::Meeting => {
                    lane.met = places
                        .filter(|&place| reply.won[place])
                        .map(|place| reply.values(place).to_vec())
                        .collect();
                    if self.config.scores && !lane.met.is_empty() {
                        Phase::Greedy { target: 0, here: original, margin: None }
                    } else {
                        Phase::Polishing
                    }
                }
                Phase::Greedy { target, here, margin: None } => {
                    let margin = base.margin(row, reply.scores(places.start));
                    Phase::Greedy { target, here, margin: Some(margin) }
                }
                Phase::Greedy { target, here, margin: Some(margin) } => {
                    let from = base.constraints.distances(&original, &here).of(base.norm);
                    let worth = |place: usize| {
                        let own = base.margin(row, reply.scores(place));
                        let far = base.constraints.distances(&original, reply.values(place)).of(base.norm);
                        (own - margin) / (far * far - from * from).max(1e-6)
                    };
                    let reached = places.clone().any(|place| reply.won[place]);
                    let best = places
                        .clone()
                        .filter(|&place| reply.values(place) != &here[..])
                        .max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
                    match best {
                        Some(place) if !reached && worth(place) > 0.0 => Phase::Greedy {
                            target,
                            here: reply.values(place).to_vec(),
                            margin: Some(base.margin(row, reply.scores(place))),
                        },
                        // Past the border, or no value helps by itself: the next start, then polishing.
                        _ if target + 1 < lane.met.len().min(2) => {
                            Phase::Greedy { target: target + 1, here: original, margin: None }
                        }
                        _ => Phase::Polishing,
                    }
                }
                Phase::Polishing => Phase::Polishing,
            };
        }
    }
}

attack!(TableSearch, Cheapest);

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        crate::testing::hold(super::ABOUT.name, super::ABOUT.cases);
    }
}
