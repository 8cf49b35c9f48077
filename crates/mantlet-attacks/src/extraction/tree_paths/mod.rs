//! Reads a decision tree off its scores exactly (path finding, Tramèr and others, 2016): every leaf gives scores of its
//! own, so the borders of a leaf are where the scores change, and behind each border lies the next leaf.
//!
//! Long because the walk and the copy it makes are one.

use mantlet_vocab::{About, Confidence, Impact, Severity, Tensor};
use serde::{Deserialize, Serialize};

use crate::inquiry::{needs, wrong};
use crate::rows::RowShape;
use crate::told::{Told, rows};
use crate::{
    Answer, Ask, AttackError, Constraints, Detail, Inquired, Inquiry, Material, Measure, Outcome, RowOutcome,
    State, Stop, Unit,
};

/// The room's card.
pub const ABOUT: About = About {
    name: "extraction-tree-paths",
    title: "scores give away every split of a decision tree",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0024.002", "AML.T0040"],
    owasp: &["ML05:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// What is said of its outcome.
pub(crate) fn say(told: &Told<'_>) -> String {
    if told.hits() == 0 {
        return "The scores do not give away the splits of a decision tree".to_owned();
    }
    format!(
        "A decision tree was read off the scores: the copy gives the very same scores on {} of {}",
        told.hits(),
        rows(told.all())
    )
}

/// How it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How exactly a border is found, as a share of the value's interval.
    pub exact: f32,
    /// The most leaves followed.
    pub leaves: usize,
    /// The most rows on which the copy is tried.
    pub tries: usize,
    /// Leaves followed at the same time.
    pub together: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { exact: 1e-5, leaves: 256, tries: 300, together: 8 }
    }
}

/// A box of inputs that get the same scores.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Leaf {
    low: Vec<f32>,
    high: Vec<f32>,
    scores: Vec<f32>,
}

impl Leaf {
    fn holds(&self, row: &[f32]) -> bool {
        row.iter()
            .zip(self.low.iter().zip(&self.high))
            .all(|(value, (low, high))| low < value && value <= high)
    }
}

/// One side of a leaf: the farthest value known to be inside and the nearest known to be outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Side {
    value: usize,
    inside: f32,
    outside: Option<f32>,
    /// The end of the value's interval.
    end: f32,
}

/// A leaf whose borders are being found from a point inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Walk {
    point: Vec<f32>,
    scores: Vec<f32>,
    sides: Vec<Side>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// The rows it is tried on are asked first: they tell whether this is a tree at all.
    Looking,
    /// Points and the ends of their values.
    Opening,
    /// Halving towards borders.
    Halving,
    Over,
}

/// The inquiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paths {
    config: Config,
    shape: RowShape,
    constraints: Constraints,
    rows: Tensor,
    /// Scores of the rows it is tried on.
    given: Vec<Vec<f32>>,
    queue: Vec<Vec<f32>>,
    walks: Vec<Walk>,
    leaves: Vec<Leaf>,
    /// Walk and side of each row of the open question; no side for a walk's own point.
    asked: Vec<(usize, Option<usize>)>,
    sent: Vec<f32>,
    phase: Phase,
    stepped: bool,
    queries: u64,
}

/// The room's attack.
pub type TreePaths = Inquired<Paths>;

impl Paths {
    /// Whether a border is known exactly enough.
    fn settled(&self, side: &Side) -> bool {
        let Some(outside) = side.outside else { return true };
        let gap = (outside - side.inside).abs();
        let exact = self.config.exact * self.constraints.width(side.value);
        // Whole numbers have nothing between neighbours, and neither have neighbouring floats.
        let whole = self.constraints.at(side.value).integer && gap <= 1.0;
        gap <= exact || whole || f32::midpoint(outside, side.inside) == side.inside
    }

    fn middle(&self, side: &Side) -> f32 {
        let middle = f32::midpoint(side.inside, side.outside.unwrap_or(side.inside));
        if self.constraints.at(side.value).integer { middle.floor() } else { middle }
    }

    /// Turns walks whose borders are all known into leaves, and queues a point behind each border.
    fn settle(&mut self) {
        let done: Vec<Walk> = {
            let (done, rest) = std::mem::take(&mut self.walks)
                .into_iter()
                .partition(|walk| walk.sides.iter().all(|side| self.settled(side)));
            self.walks = rest;
            done
        };
        for walk in done {
            // Several walks may have begun in one leaf, one of them within the little by which its border is not known.
            let same = |leaf: &Leaf| {
                leaf.scores == walk.scores && self.outside(leaf, &walk.point) <= 2.0 * self.config.exact
            };
            if self.leaves.iter().any(same) {
                continue;
            }
            let len = self.shape.len();
            let mut leaf = Leaf { low: vec![f32::MIN; len], high: vec![f32::MAX; len], scores: walk.scores };
            for side in &walk.sides {
                let Some(outside) = side.outside else { continue };
                // A split sends values up to its threshold left, so the upper border belongs to the leaf.
                if outside > side.inside {
                    leaf.high[side.value] = leaf.high[side.value].min(side.inside);
                } else {
                    leaf.low[side.value] = leaf.low[side.value].max(outside);
                }
                let mut behind = walk.point.clone();
                behind[side.value] = outside;
                self.queue.push(behind);
            }
            self.leaves.push(leaf);
        }
    }

    fn leaf(&self, row: &[f32]) -> Option<&Leaf> {
        // Borders are known to a little; a row between two leaves is given to the one it is least outside of.
        self.leaves.iter().find(|leaf| leaf.holds(row)).or_else(|| {
            let outside = |leaf: &Leaf| self.outside(leaf, row);
            let near = self.leaves.iter().min_by(|a, b| outside(a).total_cmp(&outside(b)))?;
            (outside(near) <= 2.0 * self.config.exact).then_some(near)
        })
    }

    /// How far a row is outside of a leaf, as a share of the value's interval.
    fn outside(&self, leaf: &Leaf, row: &[f32]) -> f32 {
        row.iter().enumerate().fold(0.0_f32, |most, (at, value)| {
            let gap = (leaf.low[at] - value).max(value - leaf.high[at]).max(0.0);
            most.max(gap / self.constraints.width(at))
        })
    }

    /// Whether so few different answers came back that this may be a tree.
    fn looks_like_a_tree(&self) -> bool {
        let mut seen: Vec<&Vec<f32>> = Vec::new();
        for scores in &self.given {
            if !seen.contains(&scores) {
                seen.push(scores);
            }
        }
        seen.len() <= self.config.leaves && seen.len() * 2 <= self.given.len().max(2)
    }

    fn open(&mut self) -> Option<Ask> {
        while self.walks.len() < self.config.together
            && self.leaves.len() + self.walks.len() < self.config.leaves
        {
            let Some(point) = self.queue.pop() else { break };
            if self.leaves.iter().any(|leaf| leaf.holds(&point)) {
                continue;
            }
            let mut sides = Vec::new();
            for (value, inside) in point.iter().enumerate() {
                let bounds = self.constraints.at(value);
                if bounds.immutable || bounds.lower >= bounds.upper {
                    continue;
                }
                for end in [bounds.lower, bounds.upper] {
                    sides.push(Side { value, inside: *inside, outside: None, end });
                }
            }
            self.walks.push(Walk { point, scores: Vec::new(), sides });
        }
        (self.asked, self.sent) = (Vec::new(), Vec::new());
        for (index, walk) in self.walks.iter().enumerate() {
            self.asked.push((index, None));
            self.sent.extend_from_slice(&walk.point);
            for (at, side) in walk.sides.iter().enumerate() {
                self.asked.push((index, Some(at)));
                let from = self.sent.len();
                self.sent.extend_from_slice(&walk.point);
                self.sent[from + side.value] = side.end;
            }
        }
        self.phase = Phase::Opening;
        (!self.asked.is_empty()).then(|| Ask::Scores(self.shape.batch(self.sent.clone())))
    }

    fn halve(&mut self) -> Option<Ask> {
        let (mut asked, mut sent) = (Vec::new(), Vec::new());
        for (index, walk) in self.walks.iter().enumerate() {
            for (at, side) in walk.sides.iter().enumerate().filter(|(_, side)| !self.settled(side)) {
                asked.push((index, Some(at)));
                let from = sent.len();
                sent.extend_from_slice(&walk.point);
                sent[from + side.value] = self.middle(side);
            }
        }
        (self.asked, self.sent) = (asked, sent);
        (!self.asked.is_empty()).then(|| Ask::Scores(self.shape.batch(self.sent.clone())))
    }
}

impl Inquiry for Paths {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;

    fn prepare(config: Config, _seed: u64, material: Material) -> Result<Self, AttackError> {
        if !(config.exact > 0.0 && config.exact < 0.1)
            || config.leaves == 0
            || config.tries == 0
            || config.together == 0
        {
            return Err(wrong(
                ABOUT.name,
                "exact must be above 0 and below 0.1, leaves, tries and together at least 1",
            ));
        }
        if material.rows.shape().len() != 2 || material.rows.rows() < 2 {
            return Err(needs(ABOUT.name, "at least two rows of a table"));
        }
        let bounded = |at: usize| {
            let bounds = material.constraints.at(at);
            (bounds.upper - bounds.lower).is_finite()
        };
        if !(0..material.rows.row_len()).all(bounded) {
            return Err(needs(ABOUT.name, "bounds for each value"));
        }
        let few: Vec<usize> = (0..material.rows.rows().min(config.tries)).collect();
        let rows = material.rows.select(&few);
        Ok(Self {
            shape: RowShape::of(&rows),
            config,
            constraints: material.constraints,
            queue: vec![rows.row(0).to_vec()],
            rows,
            given: Vec::new(),
            walks: Vec::new(),
            leaves: Vec::new(),
            asked: Vec::new(),
            sent: Vec::new(),
            phase: Phase::Looking,
            stepped: false,
            queries: 0,
        })
    }

    fn ask(&mut self) -> Option<Ask> {
        let ask = match self.phase {
            Phase::Looking => Some(Ask::Scores(self.rows.clone())),
            Phase::Over => None,
            Phase::Opening if !self.stepped => self.open(),
            Phase::Opening | Phase::Halving => {
                self.phase = Phase::Halving;
                match self.halve() {
                    Some(ask) => Some(ask),
                    None => {
                        self.settle();
                        self.stepped = false;
                        self.open()
                    }
                }
            }
        };
        if ask.is_none() {
            self.phase = Phase::Over;
        }
        self.queries += ask.as_ref().map_or(0, |ask| ask.rows().rows() as u64);
        ask
    }

    fn take(&mut self, answer: Answer) -> bool {
        let Answer::Scores(scores) = answer else { return false };
        let finite = scores.data().iter().all(|value| value.is_finite());
        if self.phase == Phase::Looking {
            if scores.rows() != self.rows.rows() || scores.row_len() == 0 || !finite {
                return false;
            }
            self.given = (0..scores.rows()).map(|row| scores.row(row).to_vec()).collect();
            self.phase = if self.looks_like_a_tree() { Phase::Opening } else { Phase::Over };
            return true;
        }
        if scores.rows() != self.asked.len() || !finite {
            return false;
        }
        let len = self.shape.len();
        for (place, (walk, side)) in std::mem::take(&mut self.asked).into_iter().enumerate() {
            let given = scores.row(place);
            let walk = &mut self.walks[walk];
            let Some(side) = side else {
                walk.scores = given.to_vec();
                continue;
            };
            let same = walk.scores == given;
            let side = &mut walk.sides[side];
            let value = self.sent[place * len + side.value];
            if same {
                side.inside = value;
            } else {
                side.outside = Some(value);
            }
        }
        self.stepped = true;
        true
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let tree = self.given.is_empty() || self.looks_like_a_tree();
        let count = self.rows.rows();
        let same = |row: usize| {
            let leaf = self.leaf(self.rows.row(row));
            leaf.is_some_and(|leaf| self.given.get(row).is_some_and(|given| *given == leaf.scores))
        };
        let rows: Vec<RowOutcome> = (0..count)
            .map(|row| {
                let state = match stopped {
                    Some(why) => why.state(),
                    None if self.given.is_empty() => State::Error,
                    None if same(row) && tree => State::Hit,
                    None => State::Miss,
                };
                RowOutcome {
                    queries: self.queries / count.max(1) as u64,
                    ..RowOutcome::without_result(row, state)
                }
            })
            .collect();
        let hits = rows.iter().filter(|row| row.state == State::Hit).count();
        let plain = |name: &str, value: f64| Measure::plain(name, value, count).unit(Unit::Count);
        #[expect(clippy::cast_precision_loss, reason = "counts of leaves and questions")]
        let figures = vec![
            Measure::share("rows on which the copy gives the very same scores", hits, count),
            plain("leaves read", self.leaves.len() as f64),
            plain("rows asked", self.queries as f64),
        ];
        let mut notes = Vec::new();
        if !tree {
            notes.push(
                "the scores take too many different values to be those of one tree: an ensemble or another model, which \
                 `extraction-active` copies"
                    .to_owned(),
            );
        } else if self.leaves.len() >= self.config.leaves {
            notes.push(format!("the search ended at {} leaves; raise `leaves` for more", self.config.leaves));
        }
        Outcome { attack: ABOUT.name.to_owned(), stopped, rows, detail: Detail::Measured { figures, notes } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cases, hold};

    #[test]
    fn cases_hold() {
        hold(ABOUT.name, ABOUT.cases);
    }

    #[test]
    fn every_split_is_read_to_the_stated_exactness() {
        let case = cases(ABOUT.cases).remove(0).body;
        let mut attack = TreePaths::new(Config::default(), 1, case.material()).unwrap();
        let (outcome, queries) = case.model.play(&mut attack);
        let Detail::Measured { figures, .. } = &outcome.detail else { panic!() };
        assert_eq!(figures[1].value.value, 5.0, "{figures:?}");
        assert!(queries < 1_500, "{queries}");
    }
}
