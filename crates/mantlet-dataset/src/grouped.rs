//! Decisions counted by group and by what may honestly decide, in one pass.

use std::collections::BTreeMap;

use mantlet_drift::fairness::{Decisions, Grouped};
use mantlet_drift::{DriftError, short};
use serde::{Deserialize, Serialize};

use crate::decisions::{truth, words};
use crate::gather::{Counted, Engine, Job, Pass, Stream};
use crate::measure::other_counts;
use crate::{Dataset, DatasetError, Lane, Measured};

/// Words of a group column that are compared: the first ones in the order of words.
const LEVELS: usize = 200;
/// Strata at most: the first ones in the order of words.
const STRATA: usize = 10_000;

/// The columns of decisions about groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// What was decided; for training data the label.
    pub decision: String,
    /// What was true, where that is known.
    pub label: Option<String>,
    /// The word or number of a positive.
    pub positive: String,
    /// Columns whose words are groups.
    pub groups: Vec<String>,
    /// Columns that may honestly decide: only rows that agree in them are compared.
    pub given: Vec<String>,
}

/// Decisions about groups as a pass counts them: the decision comes first, the others where they stand among the
/// columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    positive: String,
    label: Option<usize>,
    groups: Vec<usize>,
    given: Vec<usize>,
}

/// Counts by group and stratum. Of more words than are held, those that come first in the order of words are: the same
/// ones however the rows were divided, because a word that gave way once never comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// By stratum.
    all: BTreeMap<String, Decisions>,
    /// By group column and word.
    groups: Vec<BTreeMap<String, Group>>,
    /// Rows with a decision.
    decided: u64,
    /// Those of them with a word, by group column.
    worded: Vec<u64>,
}

/// One word of a group column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    rows: u64,
    strata: BTreeMap<String, Decisions>,
}

/// The place of a key among the first `most` ones, and the key that gave way to it; nothing when it is not one of them.
fn place<'a, V: Default>(
    map: &'a mut BTreeMap<String, V>,
    key: &str,
    most: usize,
) -> Option<(&'a mut V, Option<String>)> {
    let mut given_way = None;
    if !map.contains_key(key) {
        if map.len() >= most {
            if map.last_key_value().is_none_or(|(last, _)| last.as_str() <= key) {
                return None;
            }
            given_way = map.pop_last().map(|(last, _)| last);
        }
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key).map(|value| (value, given_way))
}

impl Groups {
    pub(crate) fn new(placed: &Placed) -> Self {
        let columns = placed.groups.len();
        Self {
            all: BTreeMap::new(),
            groups: vec![BTreeMap::new(); columns],
            decided: 0,
            worded: vec![0; columns],
        }
    }

    /// The counts of a stratum; those of the one that gave way to it are forgotten in every group.
    fn stratum(&mut self, stratum: &str) -> Option<&mut Decisions> {
        let (all, given_way) = place(&mut self.all, stratum, STRATA)?;
        if let Some(old) = given_way {
            for group in self.groups.iter_mut().flat_map(BTreeMap::values_mut) {
                group.strata.remove(&old);
            }
        }
        Some(all)
    }

    pub(crate) fn merge(&mut self, other: Self) -> Result<(), DriftError> {
        if self.groups.len() != other.groups.len() || self.worded.len() != other.worded.len() {
            return Err(DriftError::Counts);
        }
        self.decided = self.decided.saturating_add(other.decided);
        self.worded.iter_mut().zip(&other.worded).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
        for (stratum, decisions) in &other.all {
            if let Some(own) = self.stratum(stratum) {
                own.merge(decisions);
            }
        }
        for (own, other) in self.groups.iter_mut().zip(other.groups) {
            for (word, group) in other {
                let Some((own, _)) = place(own, &word, LEVELS) else { continue };
                own.rows = own.rows.saturating_add(group.rows);
                for (stratum, decisions) in group.strata {
                    if self.all.contains_key(&stratum) {
                        own.strata.entry(stratum).or_default().merge(&decisions);
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn size(&self) -> usize {
        let strata: usize =
            self.groups.iter().flat_map(BTreeMap::values).map(|group| group.strata.len()).sum();
        (self.all.len() + strata) * 128
    }

    /// The counts, and what is left out of them.
    fn finish(self, names: &[String]) -> Measured<Grouped> {
        let mut gaps = Vec::new();
        let held: u64 = self.groups.iter().flat_map(BTreeMap::values).map(|group| group.rows).sum();
        let crowded = self.worded.iter().sum::<u64>().saturating_sub(held);
        if crowded > 0 {
            gaps.push(format!(
                "{crowded} rows of groups beyond the first {LEVELS} words of their column, in order"
            ));
        }
        let held: u64 = self.all.values().map(|all| all.decided.0).sum();
        let strata_crowded = self.decided.saturating_sub(held);
        if strata_crowded > 0 {
            gaps.push(format!(
                "{strata_crowded} rows beyond the first {STRATA} strata, in order; name fewer columns as given"
            ));
        }
        let mut groups = BTreeMap::new();
        for (name, column) in names.iter().zip(self.groups) {
            for (word, group) in column.into_iter().filter(|(_, group)| !group.strata.is_empty()) {
                groups.insert((name.clone(), word), group.strata);
            }
        }
        Measured { value: Grouped { groups, all: self.all }, gaps }
    }
}

impl Placed {
    pub(crate) fn fits(&self, columns: usize) -> bool {
        let mut places = self.label.iter().chain(&self.groups).chain(&self.given);
        columns > 0 && places.all(|&at| at < columns)
    }

    /// Counts a batch.
    pub(crate) fn add(&self, own: &mut Groups, lanes: &[Lane]) {
        let Some(decision) = lanes.first() else { return };
        let said = truth(decision, &self.positive);
        let labels = self.label.and_then(|at| lanes.get(at)).map(|lane| truth(lane, &self.positive));
        let mut stratum = String::new();
        for (row, said) in said.iter().enumerate() {
            let Some(said) = *said else { continue };
            let label = labels.as_ref().and_then(|labels| labels.get(row).copied().flatten());
            stratum.clear();
            for lane in self.given.iter().filter_map(|&at| lanes.get(at)) {
                stratum.push_str(&short(lane.word(row).as_deref().unwrap_or("")));
                stratum.push('\u{1f}');
            }
            own.decided += 1;
            let is_held = match own.stratum(&stratum) {
                Some(all) => {
                    all.take(said, label);
                    true
                }
                None => false,
            };
            for (at, lane) in self.groups.iter().map(|&at| lanes.get(at)).enumerate() {
                let Some(word) = lane.and_then(|lane| lane.word(row)) else { continue };
                let (Some(words), Some(worded)) = (own.groups.get_mut(at), own.worded.get_mut(at)) else {
                    continue;
                };
                *worded += 1;
                let Some((group, _)) = place(words, &short(&word), LEVELS) else { continue };
                group.rows += 1;
                if is_held {
                    match group.strata.get_mut(&stratum) {
                        Some(decisions) => decisions.take(said, label),
                        None => group.strata.entry(stratum.clone()).or_default().take(said, label),
                    }
                }
            }
        }
    }
}

/// Counts a table's decisions by group and stratum.
///
/// # Errors
/// When a file cannot be read to its end, or a column is missing or holds something else.
pub fn grouped(dataset: &Dataset, grouping: &Grouping) -> Result<Measured<Grouped>, DatasetError> {
    grouped_by(&Stream, dataset, grouping)
}

/// The same, by an engine.
///
/// # Errors
/// As [`grouped`], or as the engine says.
pub fn grouped_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    grouping: &Grouping,
) -> Result<Measured<Grouped>, E::Error> {
    let mut wanted = vec![words(dataset, &grouping.decision)?];
    let label = grouping.label.as_ref().map(|name| words(dataset, name)).transpose()?;
    let label = label.map(|label| {
        wanted.push(label);
        wanted.len() - 1
    });
    let mut places = |names: &[String]| -> Result<Vec<usize>, DatasetError> {
        names
            .iter()
            .map(|name| {
                wanted.push(words(dataset, name)?);
                Ok(wanted.len() - 1)
            })
            .collect()
    };
    let (groups, given) = (places(&grouping.groups)?, places(&grouping.given)?);
    let placed = Placed { positive: grouping.positive.clone(), label, groups, given };
    let gathered = engine.gather(dataset, Job::new(wanted, Pass::Groups(placed)))?;
    match gathered.counted {
        Counted::Groups(groups) => Ok(groups.finish(&grouping.groups)),
        _ => Err(other_counts().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with a word of 300 and one of 11,000 strata: more than are held of either.
    fn lanes(rows: std::ops::Range<u64>) -> Vec<Lane> {
        let column = |words: Vec<String>| Lane::Words { keys: (0..words.len() as u32).collect(), words };
        let random = |row: u64| mantlet_drift::mix(row);
        vec![
            column(rows.clone().map(|row| (random(row) % 2).to_string()).collect()),
            column(rows.clone().map(|row| format!("g{:03}", random(row ^ 77) % 300)).collect()),
            column(rows.map(|row| format!("s{:05}", random(row ^ 99) % 11_000)).collect()),
        ]
    }

    #[test]
    fn of_more_groups_and_strata_than_are_held_the_same_ones_stay_however_rows_were_divided() {
        let placed = Placed { positive: "1".into(), label: None, groups: vec![1], given: vec![2] };
        let count = |rows| {
            let mut groups = Groups::new(&placed);
            placed.add(&mut groups, &lanes(rows));
            groups
        };
        let whole = count(0..40_000);
        assert_eq!((whole.all.len(), whole.groups[0].len()), (STRATA, LEVELS));
        for cuts in [[0, 13_000, 40_000], [0, 39_000, 40_000]] {
            let mut parts = Groups::new(&placed);
            for cut in cuts.windows(2).rev() {
                let text = serde_json::to_vec(&count(cut[0]..cut[1])).unwrap();
                parts.merge(serde_json::from_slice(&text).unwrap()).unwrap();
            }
            // A group without a row in a stratum that is held may be known to one and not to the other.
            let finish = |groups: Groups| groups.finish(&["group".to_owned()]);
            assert_eq!(finish(parts), finish(whole.clone()));
        }
        let gaps = whole.finish(&["group".to_owned()]).gaps;
        assert!(gaps.len() == 2 && gaps[0].contains("beyond the first 200 words"), "{gaps:?}");
    }
}
