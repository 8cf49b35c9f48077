//! Feedback read into acts, and the accounts that act together.

use std::collections::HashMap;

use mantlet_datachecks::feedback::{ACTS, Act, Acts, look, rings};
use mantlet_dataset::{Column, Dataset, Kind, Lane};
use mantlet_vocab::{Finding, Place};

use crate::CurateError;
use crate::coding::{find, keyed};

/// Seconds of a span of time.
const DAY: f64 = 86_400.0;

/// What the columns of a table of feedback stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackRoles {
    /// Who.
    pub account: String,
    /// Of what.
    pub item: String,
    /// What was said: a rating, a click, a report.
    pub value: String,
    /// When; days of a time, or the values themselves.
    pub time: Option<String>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Feedback {
    /// The findings of the rooms, the largest ring first.
    pub findings: Vec<Finding>,
    /// The accounts of each ring.
    pub rings: Vec<Vec<String>>,
    /// Acts looked at.
    pub acts: u64,
    /// Accounts.
    pub accounts: u64,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

#[derive(Default)]
struct Places {
    places: HashMap<String, u32>,
    words: Vec<String>,
}

impl Places {
    /// The places of the words of a lane.
    fn of(&mut self, lane: &Lane) -> Vec<u32> {
        let (keys, words) = keyed(lane);
        let own: Vec<u32> = words
            .into_iter()
            .map(|word| {
                let next = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
                *self.places.entry(word).or_insert_with_key(|word| {
                    self.words.push(word.clone());
                    next
                })
            })
            .collect();
        keys.into_iter().map(|key| own.get(key as usize).copied().unwrap_or(u32::MAX)).collect()
    }
}

/// Looks for accounts that act together.
///
/// # Errors
/// When the table cannot be read, or a column is missing.
pub fn feedback(dataset: &Dataset, roles: &FeedbackRoles, place: &Place) -> Result<Feedback, CurateError> {
    let words = |name: &str| -> Result<Column, CurateError> {
        let own = &dataset.columns()[find(dataset, name)?];
        Ok(Column { name: own.name.clone(), kind: Kind::Words })
    };
    let mut wanted = vec![words(&roles.account)?, words(&roles.item)?, words(&roles.value)?];
    let mut is_clock = false;
    if let Some(time) = &roles.time {
        let own = dataset.columns()[find(dataset, time)?].clone();
        is_clock = own.kind == Kind::Times;
        wanted.push(own);
    }
    let (mut accounts, mut items, mut values, mut times) =
        (Places::default(), Places::default(), Places::default(), Places::default());
    let mut acts: Vec<Act> = Vec::new();
    let (mut cut, mut missing) = (0_u64, 0_u64);
    dataset.stream(&wanted, |_, lanes| {
        let own = [accounts.of(&lanes[0]), items.of(&lanes[1]), values.of(&lanes[2])];
        let spans: Vec<i32> = match lanes.get(3) {
            Some(Lane::Numbers(seconds)) => {
                #[expect(clippy::cast_possible_truncation, reason = "a number out of range saturates")]
                let span = |time: &f64| (if is_clock { time / DAY } else { *time }).floor() as i32;
                seconds.iter().map(span).collect()
            }
            Some(lane) => times.of(lane).into_iter().map(|at| i32::try_from(at).unwrap_or(0)).collect(),
            None => vec![0; own[0].len()],
        };
        for (row, time) in spans.into_iter().enumerate() {
            let [account, item, value] = [own[0][row], own[1][row], own[2][row]];
            if account == u32::MAX || item == u32::MAX || value == u32::MAX {
                missing += 1;
            } else if acts.len() >= ACTS {
                cut += 1;
            } else {
                acts.push(Act { account, item, value, time });
            }
        }
        Ok(())
    })?;
    let acts = Acts { acts, accounts: accounts.words, items: items.words, values: values.words };
    let (found, crowded) = rings(&acts);
    let mut gaps = Vec::new();
    if cut > 0 {
        gaps.push(format!("{cut} acts after the first {ACTS}: they do not fit into memory"));
    }
    if crowded {
        gaps.push("not every pair of accounts could be counted: they do not fit into memory".into());
    }
    if missing > 0 {
        gaps.push(format!("{missing} rows without account, item or value"));
    }
    let findings = found.iter().flat_map(|ring| look(ring, &acts, place)).collect();
    let names = |accounts: &[u32]| {
        accounts.iter().filter_map(|&at| acts.accounts.get(at as usize).cloned()).collect::<Vec<_>>()
    };
    let rings = found.iter().map(|ring| names(&ring.accounts)).collect();
    Ok(Feedback { findings, rings, acts: acts.acts.len() as u64, accounts: acts.accounts.len() as u64, gaps })
}
