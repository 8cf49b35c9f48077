//! The rows of a batch that are most worth a person's look, from everything its gate found.
//!
//! No global ranking: the rows of each cell that turned, each trigger, each flood and each kind of contradicted label
//! stand together, and each such group has its share of the room, so that a loud one does not hide the others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mantlet_datachecks::trigger::Mined;
use mantlet_dataset::{Column, Dataset, Kind, Lane};

use crate::feeds::Studied;
use crate::floods::Flooded;
use crate::labels::Found;
use crate::triggers::Triggers;
use crate::{CurateError, keyed};

/// Letters of a value that is shown.
const SHOWN: usize = 300;
/// Columns that are shown.
const COLUMNS: usize = 40;
/// Rows of a flood: they are alike.
const ALIKE: usize = 8;

/// What the checks of a batch gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked<'a> {
    /// The scan over feeds, labelers and segments, with the number of the batch's first row in it.
    pub studied: Option<(&'a Studied, u64)>,
    /// Floods of the batch's own rows, with their rows.
    pub flooded: Option<&'a Flooded>,
    /// Triggers in the batch's own rows.
    pub triggers: Option<&'a Triggers>,
    /// Contradicted labels of the batch's own rows.
    pub labels: Option<&'a Found>,
}

/// A row that is worth a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Worth {
    /// Its number in the batch, from 0.
    pub row: u64,
    /// What it shares with others, in words.
    pub group: String,
    /// The chance that its label is wrong, where it is known.
    pub chance: Option<f64>,
    /// Its label, where the check that found it knows it.
    pub label: Option<String>,
    /// The label it should have.
    pub suggested: Option<String>,
}

/// At most `most` rows, group after group, a row in the first group it belongs to; and what found no room.
#[must_use]
pub fn worth(checked: &Checked<'_>, most: usize) -> (Vec<Worth>, Vec<String>) {
    let mut groups: Vec<(String, Vec<Worth>)> = Vec::new();
    let mut add = |worth: Worth| match groups.iter_mut().find(|(group, _)| *group == worth.group) {
        Some((_, rows)) => rows.push(worth),
        None => groups.push((worth.group.clone(), vec![worth])),
    };
    if let Some((studied, first)) = checked.studied {
        for suspect in &studied.review {
            let Some(row) = suspect.row.checked_sub(first) else { continue };
            add(Worth {
                row,
                group: format!("labels turned in {}", suspect.cell),
                chance: Some(suspect.chance),
                label: Some(suspect.label.clone()),
                suggested: suspect.suggested.clone(),
            });
        }
    }
    for beside in checked.triggers.map(|triggers| triggers.beside.as_slice()).unwrap_or_default() {
        for mined in &beside.mined {
            let (what, rows) = match mined {
                Mined::Phrase(own) | Mined::Inserted(own, _) => {
                    (format!("the phrase `{}`", own.item), &own.rows)
                }
                Mined::Form(own) => (format!("the form `{}`", own.item), &own.rows),
                Mined::Pair(own) | Mined::Patch(own) => (own.item.clone(), &own.rows),
                Mined::Hidden { what, rows, .. } => ((*what).to_owned(), rows),
            };
            for &row in rows {
                let group = format!("{what} decides `{}`", beside.label);
                add(Worth { row, group, chance: None, label: None, suggested: None });
            }
        }
    }
    let mut alike: BTreeMap<u32, usize> = BTreeMap::new();
    for (row, flood) in checked.flooded.map(Flooded::suspicious).unwrap_or_default() {
        let seen = alike.entry(flood).or_default();
        *seen += 1;
        if *seen <= ALIKE {
            let group = format!("near copies, group {}", flood + 1);
            add(Worth { row, group, chance: None, label: None, suggested: None });
        }
    }
    if let Some(found) = checked.labels {
        let mut rows: Vec<_> = found.confident.rows.iter().collect();
        rows.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.row.cmp(&b.row)));
        for own in rows {
            let class = |at: usize| found.classes.get(at).cloned().unwrap_or_default();
            let Some(&row) = found.rows.get(own.row) else { continue };
            add(Worth {
                row,
                group: format!("says `{}`, other rows speak for `{}`", class(own.given), class(own.meant)),
                chance: None,
                label: Some(class(own.given)),
                suggested: Some(class(own.meant)),
            });
        }
    }
    share_out(groups, most)
}

/// Gives every group an equal share of the room; what one does not need goes to the others, in order.
pub(crate) fn share_out(groups: Vec<(String, Vec<Worth>)>, most: usize) -> (Vec<Worth>, Vec<String>) {
    let mut taken: BTreeSet<u64> = BTreeSet::new();
    let mut groups: Vec<(String, Vec<Worth>)> = groups
        .into_iter()
        .map(|(group, rows)| (group, rows.into_iter().filter(|worth| taken.insert(worth.row)).collect()))
        .filter(|(_, rows): &(String, Vec<Worth>)| !rows.is_empty())
        .collect();
    let mut gaps = Vec::new();
    if groups.len() > most {
        gaps.push(format!("{} groups of rows have no room on the list", groups.len() - most));
        groups.truncate(most);
    }
    let mut given = vec![0; groups.len()];
    let mut room = most;
    loop {
        let open: Vec<usize> = (0..groups.len()).filter(|&at| given[at] < groups[at].1.len()).collect();
        if open.is_empty() || room == 0 {
            break;
        }
        let each = (room / open.len()).max(1);
        for at in open {
            let more = each.min(groups[at].1.len() - given[at]).min(room);
            given[at] += more;
            room -= more;
        }
    }
    let mut rows = Vec::new();
    for ((group, own), given) in groups.into_iter().zip(given) {
        if own.len() > given {
            gaps.push(format!("{} further rows: {group}", own.len() - given));
        }
        rows.extend(own.into_iter().take(given));
    }
    (rows, gaps)
}

/// Rows of a table as people see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The values, as many in each row as there are columns.
    pub cells: Vec<Vec<String>>,
    /// How many rows the whole table has.
    pub of: u64,
}

/// The rows asked for, in the order of `rows`, the column `first` before the others. Values longer than 300 letters are cut, and so is a table of more than 40 columns.
///
/// # Errors
/// When the table cannot be read again.
pub fn shown(dataset: &Dataset, first: &str, rows: &[u64]) -> Result<Shown, CurateError> {
    let mut columns = as_words(dataset);
    columns.sort_by_key(|column| column.name != first);
    columns.truncate(COLUMNS);
    let mut wanted: HashMap<u64, Vec<usize>> = HashMap::new();
    rows.iter().enumerate().for_each(|(at, &row)| wanted.entry(row).or_default().push(at));
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); rows.len()];
    let mut all = 0;
    dataset.stream(&columns, |before, lanes| {
        let many = lanes.first().map_or(0, Lane::len);
        all = before + many as u64;
        for at in 0..many {
            let Some(places) = wanted.get(&(before + at as u64)) else { continue };
            let own: Vec<String> = lanes.iter().map(|lane| short(lane, at)).collect();
            places.iter().for_each(|&place| cells[place].clone_from(&own));
        }
        Ok(())
    })?;
    Ok(Shown { columns: columns.into_iter().map(|column| column.name).collect(), cells, of: all })
}

fn short(lane: &Lane, row: usize) -> String {
    let Some(word) = lane.word(row) else { return String::new() };
    let mut letters = word.chars();
    let mut text: String = letters.by_ref().take(SHOWN).collect();
    if letters.next().is_some() {
        text.push('…');
    }
    text
}

/// The columns that can be written as words.
fn as_words(dataset: &Dataset) -> Vec<Column> {
    let own = dataset.columns().iter().filter(|column| column.kind != Kind::Other);
    own.map(|column| Column {
        kind: if column.kind == Kind::Times { Kind::Words } else { column.kind },
        name: column.name.clone(),
    })
    .collect()
}

/// Visits every row as words, a missing value empty: the names of the columns first. What a text file says is given
/// as it stands there; numbers of Parquet and Arrow are written as the 64-bit float they are read as.
///
/// # Errors
/// When the table cannot be read, has a column that text cannot hold, or `each` fails.
pub fn every_row(
    dataset: &Dataset,
    mut each: impl FnMut(Option<u64>, &[&str]) -> Result<(), std::io::Error>,
) -> Result<(), CurateError> {
    let is_text = |path: &std::path::Path| {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        extension
            .is_some_and(|own| ["csv", "tsv", "txt", "jsonl", "ndjson"].iter().any(|other| own == *other))
    };
    let columnar = !dataset.files().all(is_text);
    let lost = |column: &&Column| column.kind == Kind::Other || (columnar && column.kind == Kind::Times);
    if let Some(column) = dataset.columns().iter().find(lost) {
        let why = format!("it holds {}, which text does not hold whole", column.kind.word());
        return Err(CurateError::Role { column: column.name.clone(), role: "column of a CSV file", why });
    }
    let own = |column: &Column| Column {
        kind: if columnar { column.kind } else { Kind::Words },
        name: column.name.clone(),
    };
    let columns: Vec<Column> = dataset.columns().iter().map(own).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut broke = each(None, &names).err();
    dataset.stream(&columns, |first, lanes| {
        let keyed: Vec<(Vec<u32>, Vec<String>)> = lanes.iter().map(keyed).collect();
        let mut cells: Vec<&str> = Vec::with_capacity(keyed.len());
        for at in 0..lanes.first().map_or(0, Lane::len) {
            if broke.is_some() {
                break;
            }
            cells.clear();
            cells.extend(keyed.iter().map(|(keys, words)| {
                keys.get(at).and_then(|&key| words.get(key as usize)).map_or("", String::as_str)
            }));
            broke = each(Some(first + at as u64), &cells).err();
        }
        Ok(())
    })?;
    broke.map_or(Ok(()), |source| Err(CurateError::Write(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, rows: std::ops::Range<u64>) -> (String, Vec<Worth>) {
        let own = |row| Worth { row, group: name.into(), chance: None, label: None, suggested: None };
        (name.into(), rows.map(own).collect())
    }

    #[test]
    fn a_loud_group_does_not_hide_the_others_and_no_row_stands_twice() {
        let groups = vec![group("loud", 0..900), group("small", 895..905), group("middle", 1_000..1_080)];
        let (rows, gaps) = share_out(groups, 100);
        let of = |name: &str| rows.iter().filter(|worth| worth.group == name).count();
        assert_eq!((rows.len(), of("loud"), of("small"), of("middle")), (100, 48, 5, 47));
        assert_eq!(gaps, ["852 further rows: loud", "33 further rows: middle"]);
        let numbers: BTreeSet<u64> = rows.iter().map(|worth| worth.row).collect();
        assert_eq!(numbers.len(), 100);
        assert_eq!(share_out(vec![group("only", 0..7)], 100).0.len(), 7);
        assert_eq!(share_out(Vec::new(), 100), (Vec::new(), Vec::new()));
        let many: Vec<_> = (0..9).map(|at| group(&format!("g{at}"), at * 10..at * 10 + 5)).collect();
        let (rows, gaps) = share_out(many, 4);
        assert_eq!((rows.len(), gaps[0].as_str()), (4, "5 groups of rows have no room on the list"));
    }
}
