//! The exact smallest change that turns an ensemble of trees, with a proof that no smaller one exists.

use mantlet_vocab::{About, TreeEnsemble};
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, at_least};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Goal, Norm};

mod leaves;
mod link;
mod search;

use leaves::Forest;
use link::Link;

/// The room's card.
pub const ABOUT: About = About {
    name: "evasion-tree-exact",
    title: "the smallest change that turns the trees is computed exactly",
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
    ..super::WITH_THE_FILE
};

/// How long it computes. Distance is the largest single change, in units of each value's permitted interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The distance within which a changed row counts.
    pub radius: f32,
    /// Boxes looked at for each row before the search ends with what it has: a row and a lower bound.
    pub boxes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { radius: 0.1, boxes: 200_000 }
    }
}

/// What is added to the sum of an ensemble with one output before it is compared with zero. Such ensembles compare it with
/// zero (a logarithm of odds) or with a half (a share): what the model said of its rows tells which.
pub(super) fn offset(base: &Base, trees: &TreeEnsemble) -> f32 {
    if trees.outputs != 1 {
        return 0.0;
    }
    let agree = |offset: f32| {
        let rows = base.rows.iter();
        let agrees = rows.filter(|row| {
            let sum = leaves::sum(trees, base.originals.row(row.index)) + offset;
            (sum > 0.0) == (row.label == 1)
        });
        agrees.count()
    };
    if agree(-0.5) > agree(0.0) { -0.5 } else { 0.0 }
}

/// The method.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Exact {
    boxes: usize,
    next: usize,
    /// What is added to the sum of an ensemble with one output before it is compared with zero.
    offset: f32,
    /// How sums and scores hang together, where a score is to be moved.
    link: Option<Link>,
    /// Whether the row at hand is searched once more, for a change that is surely enough: what lay just at the amount
    /// fell short of it.
    again: bool,
}

impl Method for Exact {
    type Config = Config;
    const ABOUT: &'static About = &ABOUT;
    const GRADIENTS: bool = false;

    fn prepare(config: Config, base: &mut Base) -> Result<Self, String> {
        at_least("boxes", config.boxes, 1)?;
        let Some(trees) = &base.trees else {
            return Err("the model is no ensemble of trees, or its file is not at hand".to_owned());
        };
        if trees.features > base.len() {
            return Err(format!("the trees read {} values, a row has {}", trees.features, base.len()));
        }
        Forest::new(trees, 0, 1, 0.0)?;
        Forest::toward(trees, 0, false, 0.0)?;
        base.norm = Norm::Linf;
        base.radius = config.radius;
        base.stop_at_hit = false;
        Ok(Self { boxes: config.boxes, next: 0, offset: 0.0, link: None, again: false })
    }

    fn begin(&mut self, base: &mut Base) {
        let Some(trees) = base.trees.take() else { return };
        match base.goal.column() {
            Some(column) => self.link = Link::of(base, &trees, output(&trees, column)),
            None => self.offset = offset(base, &trees),
        }
        base.trees = Some(trees);
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        let trees = base.trees.take()?;
        let mut asks = false;
        while self.next < base.rows.len() && !asks {
            let row = self.next;
            self.next += 1;
            let best = match base.goal.column() {
                Some(column) => self.moved(base, &trees, row, column),
                None => self.turned(base, &trees, row),
            };
            if let Some(values) = best {
                base.put(row, values);
                asks = true;
            } else {
                self.again = false;
            }
        }
        base.trees = Some(trees);
        if asks { base.decide() } else { None }
    }

    fn take(&mut self, base: &mut Base, reply: &Reply) {
        let short = base.goal.column().is_some() && reply.won.iter().all(|won| !won);
        if short && !self.again {
            self.next -= 1;
        }
        self.again = short && !self.again;
    }
}

/// The output of the ensemble that the score is made of.
fn output(trees: &TreeEnsemble, column: usize) -> usize {
    if trees.outputs == 1 { 0 } else { column }
}

impl Exact {
    /// The smallest change that gives the row another class, its bound noted.
    fn turned(&self, base: &mut Base, trees: &TreeEnsemble, row: usize) -> Option<Vec<f32>> {
        let label = base.rows[row].label;
        let rivals: Vec<usize> = match base.goal {
            Goal::Class { class } => vec![class],
            _ => (0..base.classes.max(2)).filter(|class| *class != label).collect(),
        };
        let mut best: Option<(f32, Vec<f32>)> = None;
        let mut proved = f32::MAX;
        for rival in rivals {
            let Ok(forest) = Forest::new(trees, label, rival, self.offset) else { continue };
            let limit = best.as_ref().map_or(f32::MAX, |(distance, _)| *distance);
            let found = search::smallest(base, row, &forest, limit, self.boxes);
            proved = proved.min(found.proved);
            if let Some((distance, values)) = found.reached
                && distance < limit
            {
                best = Some((distance, values));
            }
        }
        // A bound beyond the whole interval means that no change at all turns the row.
        base.bounds.push((base.rows[row].index, proved.min(1.0)));
        best.map(|(_, values)| values)
    }

    /// The smallest change that moves the row's score as far as it is to, its bound noted.
    fn moved(&self, base: &mut Base, trees: &TreeEnsemble, row: usize, column: usize) -> Option<Vec<f32>> {
        // Scores that are not those of the trees: nothing is proved of them.
        let Some(link) = self.link else {
            base.give_up(row);
            return None;
        };
        let (index, score, by) = (base.rows[row].index, base.rows[row].score, base.rows[row].by);
        let wanted = f64::from(score) + f64::from(by);
        let found = link.sum(wanted).and_then(|aim| {
            let falls = (by < 0.0) != link.turns();
            let mut forest = Forest::toward(trees, output(trees, column), falls, aim).ok()?;
            // The model adds in single precision: a change that ends just at the amount is looked at as enough, so that
            // the bound is true of it, and asked; only when it fell short is one looked for that goes beyond.
            let slack = 2e-6 * (1.0 + aim.abs());
            forest.base += if self.again { -slack } else { slack + search::CLEAR };
            Some(search::smallest(base, row, &forest, f32::MAX, self.boxes))
        });
        let proved = found.as_ref().map_or(1.0, |found| found.proved.min(1.0));
        if !self.again {
            base.bounds.push((index, proved));
        }
        found.and_then(|found| found.reached).map(|(_, values)| values)
    }
}

attack!(TreeExact, Exact);

#[cfg(test)]
pub(super) mod tests;
