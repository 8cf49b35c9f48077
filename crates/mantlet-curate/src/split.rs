//! Rows to test with, looked up among those that are learned from.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher as _};

use mantlet_datachecks::split::{Known, Row, Shared, SharedKeys};
use mantlet_dataset::{Column, Dataset, Kind, Lane};

use crate::CurateError;
use crate::coding::find;

/// Different rows remembered.
const ROWS: usize = 2 << 20;
/// Different keys remembered.
const KEYS: usize = 8 << 20;

/// What two tables share.
#[derive(Debug, Clone)]
pub struct Splits {
    /// Rows.
    pub rows: Shared,
    /// Values of the key.
    pub keys: Option<SharedKeys>,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A word to the last letter, and without case and signs; a missing one is the same everywhere.
fn forms(lane: &Lane) -> Vec<(u64, u64)> {
    match lane {
        Lane::Numbers(values) => values
            .iter()
            .map(|value| {
                if value.is_nan() {
                    (0, 0)
                } else {
                    (hash(&(value + 0.0).to_bits()), hash(&format!("{value:.3e}")))
                }
            })
            .collect(),
        Lane::Words { keys, words } => {
            let form = |word: &String| {
                let plain: String =
                    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
                (hash(word), hash(&plain))
            };
            let forms: Vec<(u64, u64)> = words.iter().map(form).collect();
            keys.iter().map(|&key| forms.get(key as usize).copied().unwrap_or((0, 0))).collect()
        }
    }
}

fn rows(
    dataset: &Dataset,
    features: &[Column],
    label: Option<&Column>,
    mut each: impl FnMut(Row),
) -> Result<(), CurateError> {
    let wanted: Vec<Column> = features.iter().chain(label).cloned().collect();
    dataset.stream(&wanted, |_, lanes| {
        let forms: Vec<Vec<(u64, u64)>> = lanes.iter().map(forms).collect();
        for row in 0..lanes.first().map_or(0, Lane::len) {
            let (mut exact, mut near) = (0_u64, 0_u64);
            for column in &forms[..features.len()] {
                exact = mantlet_drift::mix(exact ^ column[row].0);
                near = mantlet_drift::mix(near ^ column[row].1);
            }
            let label = if label.is_some() { forms[features.len()][row].0 } else { 0 };
            each(Row { exact, near, label });
        }
        Ok(())
    })?;
    Ok(())
}

/// Looks up the rows of `test` in `train`, by all columns that both have but the label, the key and `without`.
///
/// # Errors
/// When a table cannot be read, a column is missing, or there is no feature in common.
pub fn split(
    train: &Dataset,
    test: &Dataset,
    label: Option<&str>,
    key: Option<&str>,
    without: &[String],
) -> Result<Splits, CurateError> {
    let aside =
        |name: &String| without.contains(name) || Some(name.as_str()) == label || Some(name.as_str()) == key;
    let both = |column: &&Column| {
        column.kind != Kind::Other
            && !aside(&column.name)
            && test.columns().iter().any(|other| other.name == column.name && other.kind == column.kind)
    };
    let features: Vec<Column> = train.columns().iter().filter(both).cloned().collect();
    let mut gaps = Vec::new();
    let others = train.columns().iter().filter(|column| !aside(&column.name)).count() - features.len();
    if others > 0 {
        gaps.push(format!("{others} columns that {} does not have, or holds otherwise", test.name()));
    }
    let words = |dataset: &Dataset, name: &str| -> Result<Column, CurateError> {
        let at = find(dataset, name)?;
        Ok(Column { name: dataset.columns()[at].name.clone(), kind: Kind::Words })
    };
    let label =
        label.map(|label| words(train, label).and_then(|own| words(test, label).map(|_| own))).transpose()?;
    let mut known = Known::with_room(ROWS);
    let mut shared = Shared::default();
    if features.is_empty() {
        gaps.push(format!("rows: no column of {} stands in {}", train.name(), test.name()));
    } else {
        rows(train, &features, label.as_ref(), |row| known.add(row))?;
        shared = known.shared();
        rows(test, &features, label.as_ref(), |row| known.look(row, &mut shared))?;
        if known.is_full() {
            gaps.push(format!("rows after the first {ROWS} different ones"));
        }
    }
    let mut keys = None;
    if let Some(key) = key {
        let mut seen: HashSet<u64> = HashSet::new();
        let mut full = false;
        train.stream(&[words(train, key)?], |_, lanes| {
            for (exact, _) in forms(&lanes[0]).into_iter().filter(|form| *form != (0, 0)) {
                if seen.len() < KEYS {
                    seen.insert(exact);
                } else {
                    full |= !seen.contains(&exact);
                }
            }
            Ok(())
        })?;
        if full {
            gaps.push(format!("values of `{key}` after the first {KEYS}"));
        }
        let mut own = SharedKeys { column: key.to_owned(), keys: 0, shared: 0, rows: 0, test: 0 };
        let mut asked: HashSet<u64> = HashSet::new();
        test.stream(&[words(test, key)?], |_, lanes| {
            own.test += lanes[0].len() as u64;
            for (exact, _) in forms(&lanes[0]).into_iter().filter(|form| *form != (0, 0)) {
                let is = seen.contains(&exact);
                own.rows += u64::from(is);
                if asked.len() < KEYS && asked.insert(exact) {
                    own.keys += 1;
                    own.shared += u64::from(is);
                }
            }
            Ok(())
        })?;
        keys = Some(own);
    }
    Ok(Splits { rows: shared, keys, gaps })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::mix_share;

    #[test]
    fn copies_and_customers_on_both_sides_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let table = |name: &str, first: u64, count: u64, copied: u64| {
            let mut text = String::from("customer,amount,note,label\n");
            for at in 0..count {
                let row = if at < copied { at } else { first + at };
                let amount = mix_share(row, 3) * 1000.0;
                // A copy that was rounded and set in capitals.
                let note = if at < copied { format!("NOTE {row}!") } else { format!("note {row}") };
                let digits = if at < copied { 3 } else { 6 };
                writeln!(text, "c{},{amount:.digits$},{note},{}", row / 10, row % 2).unwrap();
            }
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Dataset::open(&[path]).unwrap()
        };
        let train = table("train.csv", 0, 3_000, 0);
        let apart =
            split(&train, &table("test.csv", 5_000, 500, 0), Some("label"), Some("customer"), &[]).unwrap();
        assert_eq!((apart.rows.near, apart.rows.test, apart.keys.unwrap().shared), (0, 500, 0));
        let leaked =
            split(&train, &table("test.csv", 5_000, 500, 40), Some("label"), Some("customer"), &[]).unwrap();
        assert_eq!((leaked.rows.near, leaked.rows.exact, leaked.gaps.len()), (40, 0, 0));
        let keys = leaked.keys.unwrap();
        assert_eq!((keys.shared, keys.rows), (4, 40));
        assert!(split(&train, &train, None, Some("nobody"), &[]).is_err());
    }
}
