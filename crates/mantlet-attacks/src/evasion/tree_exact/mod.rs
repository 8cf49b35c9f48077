//! The exact smallest change that turns an ensemble of trees, with a proof that no smaller one exists.

use mantlet_vocab::{About, TreeEnsemble};
use serde::{Deserialize, Serialize};

use super::attack;
use super::hunt::{Base, Method, Reply, at_least};
pub(crate) use crate::told::turned as say;
use crate::{Ask, Goal, Norm};

mod leaves;
mod search;

use leaves::Forest;

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
        Self { radius: 0.1, boxes: 40_000 }
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
        if base.goal.column().is_some() {
            return Err("a score to be moved is not supported: classes only".to_owned());
        }
        base.norm = Norm::Linf;
        base.radius = config.radius;
        base.stop_at_hit = false;
        Ok(Self { boxes: config.boxes, next: 0, offset: 0.0 })
    }

    fn begin(&mut self, base: &mut Base) {
        self.offset = base.trees.as_ref().map_or(0.0, |trees| offset(base, trees));
    }

    fn ask(&mut self, base: &mut Base) -> Option<Ask> {
        while self.next < base.rows.len() {
            let row = self.next;
            self.next += 1;
            let label = base.rows[row].label;
            let rivals: Vec<usize> = match base.goal {
                Goal::Class { class } => vec![class],
                _ => (0..base.classes.max(2)).filter(|class| *class != label).collect(),
            };
            let trees = base.trees.clone()?;
            let mut best: Option<(f32, Vec<f32>)> = None;
            let mut proved = f32::MAX;
            for rival in rivals {
                let Ok(forest) = Forest::new(&trees, label, rival, self.offset) else { continue };
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
            if let Some((_, values)) = best {
                base.put(row, values);
                return base.decide();
            }
        }
        None
    }

    fn take(&mut self, _: &mut Base, _: &Reply) {}
}

attack!(TreeExact, Exact);

#[cfg(test)]
pub(super) mod tests;
