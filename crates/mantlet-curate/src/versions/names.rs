//! Words that went while others came: whose company they keep.

use std::collections::BTreeMap;

use mantlet_datachecks::version::{Changed, Company, How, Named, pairs, renamed};
use mantlet_dataset::{Dataset, Lane};

use super::{Columns, Seen};
use crate::CurateError;

/// Levels of a column that a word's company is told by.
const LEVELS: usize = 8;
/// Columns in which names are looked for at once.
const NAMES: usize = 64;

/// How a column's values fall into few levels.
enum Level {
    Numbers(Vec<f64>),
    Words(BTreeMap<String, usize>),
}

pub(super) fn names(
    before: &Dataset,
    now: &Dataset,
    columns: &Columns,
    old: &Seen,
    new: &Seen,
) -> Result<Vec<Changed>, CurateError> {
    let rows = [old.whole.rows, new.whole.rows];
    let mut asked: Vec<(usize, Vec<Named>, Vec<Named>)> = Vec::new();
    for (at, (old, new)) in old.words.iter().zip(&new.words).enumerate() {
        if let (Some(old), Some(new)) = (old, new)
            && let Some((gone, came)) = pairs(old, new, rows)
            && asked.len() < NAMES
        {
            asked.push((at, gone, came));
        }
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut levels: Vec<Level> = Vec::new();
    for sample in &old.whole.numbers {
        let sorted = sample.clone().sorted();
        let edges = (1..LEVELS).filter_map(|at| sorted.get(at * sorted.len() / LEVELS).copied());
        levels.push(Level::Numbers(edges.collect()));
    }
    for words in &old.words {
        let mut ranked: Vec<(&String, &u64)> = words.iter().flatten().collect();
        ranked.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let places = ranked.iter().take(LEVELS - 1).enumerate().map(|(at, (word, _))| ((*word).clone(), at));
        levels.push(Level::Words(places.collect()));
    }
    let kept = Columns {
        numbers: columns.numbers.clone(),
        times: Vec::new(),
        words: columns.words.clone(),
        feed: None,
    };
    let lookup = |side: usize| -> Vec<BTreeMap<&str, usize>> {
        asked
            .iter()
            .map(|(_, gone, came)| {
                let words = if side == 0 { gone } else { came };
                words.iter().enumerate().map(|(at, named)| (named.word.as_str(), at)).collect()
            })
            .collect()
    };
    let company = |dataset: &Dataset, side: usize| -> Result<(Vec<Vec<Company>>, Company), CurateError> {
        let places = lookup(side);
        let many = levels.len();
        let mut whole = Company::new(many, LEVELS);
        let mut own: Vec<Vec<Company>> =
            places.iter().map(|words| vec![Company::new(many, LEVELS); words.len()]).collect();
        dataset.stream(&kept.wanted(), |_, lanes| {
            let codes: Vec<Vec<usize>> =
                lanes.iter().zip(&levels).map(|(lane, level)| coded(lane, level)).collect();
            let rows = lanes.first().map_or(0, Lane::len);
            let add = |company: &mut Company, row: usize, except: usize| {
                company.rows += 1;
                for (at, (counts, codes)) in company.levels.iter_mut().zip(&codes).enumerate() {
                    if at != except {
                        codes.get(row).into_iter().for_each(|&code| counts[code] += 1);
                    }
                }
            };
            (0..rows).for_each(|row| add(&mut whole, row, usize::MAX));
            for (((at, ..), words), own) in asked.iter().zip(&places).zip(&mut own) {
                let lane = columns.numbers.len() + at;
                let (keys, known) = lanes[lane].keyed();
                let which: Vec<Option<usize>> =
                    known.iter().map(|word| words.get(word.as_str()).copied()).collect();
                for (row, key) in keys.iter().enumerate() {
                    if let Some(Some(which)) = which.get(*key as usize) {
                        add(&mut own[*which], row, lane);
                    }
                }
            }
            Ok(())
        })?;
        Ok((own, whole))
    };
    let ((old, all_old), (new, all_new)) = (company(before, 0)?, company(now, 1)?);
    let mut changes = Vec::new();
    for (((at, gone, came), old), new) in asked.iter().zip(&old).zip(&new) {
        // The column itself is no company of its words.
        let without = |all: &Company| {
            let mut all = all.clone();
            all.levels[columns.numbers.len() + at].fill(0);
            all
        };
        let found = renamed(gone, came, old, new, [&without(&all_old), &without(&all_new)]);
        if !found.is_empty() {
            changes.push(Changed {
                column: columns.words[*at].clone(),
                who: String::new(),
                beside: "the earlier version".to_owned(),
                how: How::Names(found),
            });
        }
    }
    Ok(changes)
}

fn coded(lane: &Lane, level: &Level) -> Vec<usize> {
    match (lane, level) {
        (Lane::Numbers(values), Level::Numbers(edges)) => {
            values.iter().map(|value| edges.partition_point(|edge| edge <= value).min(LEVELS - 1)).collect()
        }
        (lane, Level::Words(places)) => {
            let (keys, words) = lane.keyed();
            let codes: Vec<usize> =
                words.iter().map(|word| places.get(word).copied().unwrap_or(LEVELS - 1)).collect();
            keys.iter().map(|&key| codes.get(key as usize).copied().unwrap_or(LEVELS - 1)).collect()
        }
        (lane, Level::Numbers(_)) => vec![0; lane.len()],
    }
}
