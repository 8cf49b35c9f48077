//! The cheapest believable change of a table row, seen through scores or labels (after Simonetto and others 2022,
//! MOEVA): from the nearest real rows of another decision, keeping what real rows obey. Where the model is an ensemble of
//! trees and its file is at hand, the change is looked for over the thresholds, and the model only confirms it; where it
//! is not, over the thresholds of a copy grown from the decisions seen so far.

use mantlet_vocab::About;
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, at_least, usual_radius};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Norm};
use thresholds::Effort;

mod copy;
mod propose;
mod steps;
mod study;
#[cfg(test)]
mod tests;
mod thresholds;

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
    /// Whether the trees of the model are read, where it is an ensemble of trees and its file is at hand.
    pub trees: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            norm: Norm::L2,
            radius: None,
            queries: 1_500,
            starts: 6,
            scores: true,
            learn: true,
            trees: true,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Phase {
    /// Asking whether what the trees say is so.
    Confirming(Vec<Vec<f32>>),
    /// Asking which of the starts are past the border.
    Meeting,
    /// Taking over values of a start, the one that brings most for its distance first.
    Greedy { target: usize, here: Vec<f32>, margin: Option<f32> },
    /// Putting the changed values back one by one, each as far as it goes.
    Paring(Paring),
    /// Asking what single values do around the nearest success.
    Probing(steps::Around),
    /// Asking rows put together from what they do.
    Combining(Vec<Vec<f32>>),
    /// Waiting for the others, to be studied with them.
    Waiting,
    /// Asking rows that a copy of the target says turn; `before` is the distance of the nearest success until then.
    Offering { rows: Vec<Vec<f32>>, before: f32 },
    /// Changing the best row at random in ways that bring it nearer.
    Polishing,
    /// Nothing nearer is looked for.
    Over,
}

/// How far each changed value of a row can be put back: wholly, else by halving.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Paring {
    /// Columns still to try, the next one last.
    columns: Vec<usize>,
    /// The share of the change of the last of them that is too little, and one that is enough.
    little: Option<f32>,
    enough: f32,
    /// The change in widths from which the share is taken.
    whole: f32,
    /// How near the two are brought to each other.
    near: f32,
}

/// How near the two shares are brought to each other: at first, and once the row was put back before.
const COARSE: f32 = 1.0 / 24.0;
const FINE: f32 = 1.0 / 160.0;
/// Random changes between two parings.
const BETWEEN: u64 = 150;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lane {
    phase: Phase,
    /// Rows of another decision, nearest first.
    targets: Vec<Vec<f32>>,
    /// Rows past the border that were met.
    met: Vec<Vec<f32>>,
    /// Queries spent, and the distance reached, when values were last put back.
    pared: (u64, f32),
    /// Whether single values were asked around the original.
    wide: bool,
    /// Studies in a row that brought nothing.
    idle: usize,
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cheapest {
    config: Config,
    lanes: Vec<Lane>,
    /// What was asked about each group of rows, and what was learned of it.
    studies: Vec<study::Study>,
}

impl Paring {
    /// The changed values of the nearest success, the largest change first; `None` where there is none.
    fn of(base: &Base, row: usize, near: f32) -> Option<Self> {
        let best = base.rows[row].best.as_ref()?;
        let shift = base.shift_of(row, &best.values);
        let mut columns: Vec<usize> = (0..shift.len()).filter(|&at| shift[at] != 0.0).collect();
        columns.sort_by(|a, b| shift[*a].abs().total_cmp(&shift[*b].abs()));
        let whole = shift[*columns.last()?];
        Some(Self { columns, little: None, enough: 1.0, whole, near })
    }

    /// The nearest success with the value at hand put back: wholly at first.
    fn proposal(&self, base: &Base, row: usize) -> Option<Vec<f32>> {
        let mut shift = base.shift_of(row, &base.rows[row].best.as_ref()?.values);
        let at = *self.columns.last()?;
        shift[at] = self.whole * self.little.map_or(0.0, |little| little.midpoint(self.enough));
        Some(base.shifted(row, &shift))
    }

    /// Learns whether that still was a success, and goes on; `None` when every value was tried.
    fn told(mut self, base: &Base, row: usize, won: bool) -> Option<Self> {
        let tried = self.little.map_or(0.0, |little| little.midpoint(self.enough));
        if won {
            self.enough = tried;
        } else {
            self.little = Some(tried);
        }
        if self.enough > 0.0 && self.enough - self.little.unwrap_or(0.0) > self.near {
            return Some(self);
        }
        self.columns.pop();
        let best = base.rows[row].best.as_ref()?;
        let shift = base.shift_of(row, &best.values);
        while let Some(&at) = self.columns.last() {
            if shift[at] != 0.0 {
                return Some(Self { little: None, enough: 1.0, whole: shift[at], ..self });
            }
            self.columns.pop();
        }
        None
    }
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
        Ok(Self { config, lanes: Vec::new(), studies: Vec::new() })
    }

    fn begin(&mut self, base: &mut Base) {
        let trees = base.trees.take().filter(|_| self.config.trees && base.goal.column().is_none());
        let offset = trees.as_ref().map_or(0.0, |trees| super::tree_exact::offset(base, trees));
        self.studies = study::groups(base.rows.len());
        for row in 0..base.rows.len() {
            let targets = propose::targets(base, row, self.config.starts);
            let known = trees.as_ref().map_or_else(Vec::new, |trees| {
                let seed = base.random.below(1 << 32) as u64;
                let (work, within, kept) = (thresholds::WORK, f32::MAX, thresholds::KEPT);
                let effort = Effort { work, within, up: None, offset, seed, kept, ends: false };
                thresholds::nearest(base, trees, row, effort)
            });
            let phase = if known.is_empty() { Phase::Meeting } else { Phase::Confirming(known) };
            self.lanes.push(Lane {
                phase,
                targets,
                met: Vec::new(),
                pared: (0, f32::MAX),
                wide: false,
                idle: 0,
            });
        }
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        self.study(base);
        for row in base.open() {
            let left = self.config.queries.saturating_sub(base.rows[row].queries);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let lane = &mut self.lanes[row];
            let proposals = match &lane.phase {
                _ if left == 0 => Vec::new(),
                Phase::Over | Phase::Waiting => Vec::new(),
                Phase::Offering { rows, .. } => rows.clone(),
                Phase::Confirming(known) => known.clone(),
                Phase::Paring(paring) => paring.proposal(base, row).into_iter().collect(),
                Phase::Probing(around) => around.rows(base, row),
                Phase::Combining(rows) => rows.clone(),
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
        study::remember(&mut self.studies, reply, base.len());
        let mut place = 0;
        let scored = reply.scores.is_some() && base.goal.column().is_none();
        while place < reply.rows.len() {
            let row = reply.rows[place];
            let run = reply.rows[place..].iter().take_while(|&&other| other == row).count();
            let places = place..place + run;
            place += run;
            let lane = &mut self.lanes[row];
            let original = base.original(row).to_vec();
            let phase = std::mem::replace(&mut lane.phase, Phase::Polishing);
            lane.phase = match phase {
                Phase::Over | Phase::Waiting => phase,
                Phase::Offering { before, .. } => {
                    let far = base.best_distance(row);
                    lane.idle = if far < before * 0.998 { 0 } else { lane.idle + 1 };
                    let paring = if far < before { Paring::of(base, row, FINE) } else { None };
                    paring.map_or(Phase::Waiting, Phase::Paring)
                }
                Phase::Confirming(_) if places.clone().any(|place| reply.won[place]) => Phase::Over,
                // The trees of the file are not those that answer, or something rounds before them.
                Phase::Confirming(_) => Phase::Meeting,
                Phase::Paring(paring) => match paring.told(base, row, reply.won[places.start]) {
                    Some(on) => Phase::Paring(on),
                    None => {
                        let before = std::mem::replace(
                            &mut lane.pared,
                            (base.rows[row].queries, base.best_distance(row)),
                        );
                        // Again while it brings the row nearer; then by chance, and later once more.
                        let nearer = lane.pared.1 < before.1 * 0.998;
                        let around = match (scored, nearer) {
                            (true, true) => steps::Around::of(base, row),
                            (true, false) if !std::mem::replace(&mut lane.wide, true) => {
                                steps::Around::wide(base, row)
                            }
                            _ => None,
                        };
                        around.map_or(Phase::Waiting, Phase::Probing)
                    }
                },
                Phase::Probing(around) => {
                    let margins: Vec<f32> =
                        places.clone().map(|place| base.margin(row, reply.scores(place))).collect();
                    let rows = around.combined(base, row, &margins);
                    if rows.is_empty() {
                        Paring::of(base, row, FINE).map_or(Phase::Waiting, Phase::Paring)
                    } else {
                        Phase::Combining(rows)
                    }
                }
                Phase::Combining(_) => Paring::of(base, row, FINE).map_or(Phase::Waiting, Phase::Paring),
                Phase::Meeting => {
                    lane.met = places
                        .filter(|&place| reply.won[place])
                        .map(|place| reply.values(place).to_vec())
                        .collect();
                    if self.config.scores && !lane.met.is_empty() {
                        Phase::Greedy { target: 0, here: original, margin: None }
                    } else {
                        Paring::of(base, row, COARSE).map_or(Phase::Waiting, Phase::Paring)
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
                        _ => Paring::of(base, row, COARSE).map_or(Phase::Waiting, Phase::Paring),
                    }
                }
                Phase::Polishing => {
                    let (queries, far) = lane.pared;
                    let due = base.rows[row].queries >= queries + BETWEEN && base.best_distance(row) < far;
                    let paring = if due { Paring::of(base, row, FINE) } else { None };
                    paring.map_or(Phase::Polishing, Phase::Paring)
                }
            };
        }
    }
}

attack!(TableSearch, Cheapest);
