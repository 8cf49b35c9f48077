//! What the rows of a table come to for declared ranges, in one pass.

use std::collections::BTreeMap;

use mantlet_drift::range::{Range, Sums};

use crate::decisions::{numbers, same, words};
use crate::{Column, Dataset, DatasetError, Lane, Measured};

/// Words of a segment that are held by themselves at most.
const SEGMENTS_MOST: usize = 1_000;

/// A range, a word of its segment, and what its rows come to.
pub type Summed<'a> = (&'a Range, Option<String>, Sums);

/// Where a range finds what it holds.
struct Places {
    column: usize,
    segment: Option<usize>,
}

/// Sums up what each range holds: over all rows, or for each word of its segment. Rows without the column, or without a
/// word of the segment, count for nothing.
///
/// # Errors
/// When a file cannot be read to its end, or a column is missing or holds something else.
pub fn summed<'a>(dataset: &Dataset, ranges: &'a [Range]) -> Result<Measured<Vec<Summed<'a>>>, DatasetError> {
    let mut wanted: Vec<Column> = Vec::new();
    let mut place = |column: Column| {
        wanted.iter().position(|own| *own == column).unwrap_or_else(|| {
            wanted.push(column);
            wanted.len() - 1
        })
    };
    let mut places = Vec::new();
    for range in ranges {
        let column = match range.word {
            Some(_) => words(dataset, &range.column)?,
            None => numbers(dataset, &range.column)?,
        };
        let segment = range.segment.as_ref().map(|name| words(dataset, name)).transpose()?;
        places.push(Places { column: place(column), segment: segment.map(&mut place) });
    }
    let mut sums: Vec<BTreeMap<Option<String>, Sums>> = vec![BTreeMap::new(); ranges.len()];
    let mut many = vec![false; ranges.len()];
    let unreadable = dataset.stream(&wanted, |_, lanes| {
        for (((range, places), sums), many) in ranges.iter().zip(&places).zip(&mut sums).zip(&mut many) {
            let Some(lane) = lanes.get(places.column) else { continue };
            let segment = places.segment.and_then(|at| lanes.get(at));
            let mut own: BTreeMap<Option<u32>, Sums> = BTreeMap::new();
            let key = |row: usize| match segment {
                None => Some(None),
                Some(Lane::Words { keys, words }) => {
                    keys.get(row).filter(|key| words.get(**key as usize).is_some()).map(|key| Some(*key))
                }
                Some(Lane::Numbers(_)) => None,
            };
            match (lane, &range.word) {
                (Lane::Words { keys, words }, Some(word)) => {
                    let is: Vec<bool> = words.iter().map(|own| same(own, word)).collect();
                    for (row, at) in keys.iter().enumerate() {
                        let (Some(has), Some(key)) = (is.get(*at as usize), key(row)) else { continue };
                        own.entry(key).or_default().hit(*has);
                    }
                }
                (Lane::Numbers(values), None) => {
                    for (row, value) in values.iter().enumerate() {
                        let Some(key) = key(row) else { continue };
                        own.entry(key).or_default().number(*value);
                    }
                }
                _ => continue,
            }
            for (key, more) in own {
                let word = key.and_then(|key| match segment {
                    Some(Lane::Words { words, .. }) => words.get(key as usize).cloned(),
                    _ => None,
                });
                if sums.len() >= SEGMENTS_MOST && !sums.contains_key(&word) {
                    *many = true;
                    continue;
                }
                sums.entry(word).or_default().merge(&more);
            }
        }
        Ok(())
    })?;
    let mut gaps = Vec::new();
    for (column, count) in wanted.iter().zip(unreadable).filter(|(_, count)| *count > 0) {
        gaps.push(format!("{count} cells of column `{}` are no numbers and are left out", column.name));
    }
    for (range, _) in ranges.iter().zip(&many).filter(|(_, many)| **many) {
        let segment = range.segment.as_deref().unwrap_or_default();
        gaps.push(format!(
            "range `{}` is held against the first {SEGMENTS_MOST} words of `{segment}` only",
            range.name
        ));
    }
    let each = ranges.iter().zip(sums).flat_map(|(range, mut sums)| {
        if range.segment.is_none() {
            // A range over all rows is held even where there are none.
            sums.entry(None).or_default();
        }
        sums.into_iter().map(move |(word, sums)| (range, word, sums))
    });
    Ok(Measured { value: each.collect(), gaps })
}
