//! Decisions counted by group and by what may honestly decide, in one pass.

use std::collections::BTreeMap;

use mantlet_drift::fairness::{Decisions, Grouped};

use crate::decisions::{truth, words};
use crate::{Dataset, DatasetError, Measured};

/// Words of a group column that are compared.
const LEVELS: usize = 200;
/// Strata at most.
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

/// Counts a table's decisions by group and stratum.
///
/// # Errors
/// When a file cannot be read to its end, or a column is missing or holds something else.
pub fn grouped(dataset: &Dataset, grouping: &Grouping) -> Result<Measured<Grouped>, DatasetError> {
    let mut wanted = vec![words(dataset, &grouping.decision)?];
    let label = grouping.label.as_ref().map(|name| words(dataset, name)).transpose()?;
    let label_at = label.map(|label| {
        wanted.push(label);
        wanted.len() - 1
    });
    let mut place = |names: &[String]| -> Result<Vec<usize>, DatasetError> {
        names
            .iter()
            .map(|name| {
                wanted.push(words(dataset, name)?);
                Ok(wanted.len() - 1)
            })
            .collect()
    };
    let (groups, given) = (place(&grouping.groups)?, place(&grouping.given)?);
    let mut own = Grouped::default();
    let mut levels: BTreeMap<String, usize> = BTreeMap::new();
    let (mut crowded, mut strata_crowded) = (0_u64, 0_u64);
    dataset.stream(&wanted, |_, lanes| {
        let Some(decision) = lanes.first() else { return Ok(()) };
        let said = truth(decision, &grouping.positive);
        let labels = label_at.and_then(|at| lanes.get(at)).map(|lane| truth(lane, &grouping.positive));
        let mut stratum = String::new();
        for (row, said) in said.iter().enumerate() {
            let Some(said) = *said else { continue };
            let label = labels.as_ref().and_then(|labels| labels.get(row).copied().flatten());
            stratum.clear();
            for lane in given.iter().filter_map(|&at| lanes.get(at)) {
                stratum.push_str(lane.word(row).as_deref().unwrap_or(""));
                stratum.push('\u{1f}');
            }
            if !own.all.contains_key(&stratum) {
                if own.all.len() >= STRATA {
                    strata_crowded += 1;
                    continue;
                }
                own.all.insert(stratum.clone(), Decisions::default());
            }
            own.all.get_mut(&stratum).into_iter().for_each(|all| all.take(said, label));
            for (name, lane) in grouping.groups.iter().zip(groups.iter().filter_map(|&at| lanes.get(at))) {
                let Some(word) = lane.word(row) else { continue };
                let group = (name.clone(), word.into_owned());
                if !own.groups.contains_key(&group) {
                    let known = levels.entry(name.clone()).or_default();
                    if *known >= LEVELS {
                        crowded += 1;
                        continue;
                    }
                    *known += 1;
                }
                own.groups.entry(group).or_default().entry(stratum.clone()).or_default().take(said, label);
            }
        }
        Ok(())
    })?;
    let mut gaps = Vec::new();
    if crowded > 0 {
        gaps.push(format!("{crowded} rows of groups beyond the first {LEVELS} words of their column"));
    }
    if strata_crowded > 0 {
        gaps.push(format!(
            "{strata_crowded} rows beyond the first {STRATA} strata; name fewer columns as given"
        ));
    }
    Ok(Measured { value: own, gaps })
}
