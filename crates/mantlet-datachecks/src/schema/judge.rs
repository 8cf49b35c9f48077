//! A table held against its schema, batch after batch.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::promise::{Column, Holds, Schema, SchemaError, Spelling};
use crate::cell::bounded;

/// Rows shown of each fault.
const SHOWN: usize = 5;
/// Keys remembered of one rule.
const KEYS: usize = 20_000_000;

/// What can be wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is missing more often than it may be.
    Missing,
    /// It is not what the column holds.
    Kind,
    /// A number or time beyond the bounds.
    Range,
    /// A word that may not be.
    Word,
    /// Spelled otherwise, or too long.
    Spelling,
}

/// The values of one column in one batch: each word once, and the place of every row's word; a place beyond the words
/// is a missing value.
#[derive(Debug, Clone, Copy)]
pub struct Lane<'a> {
    /// One for each row.
    pub keys: &'a [u32],
    /// The words.
    pub words: &'a [String],
}

impl<'a> Lane<'a> {
    fn word(&self, row: usize) -> Option<&'a str> {
        self.words.get(*self.keys.get(row)? as usize).map(String::as_str)
    }
}

/// The values that stand in some columns of a table, by their digests (64 bits of `SipHash`).
#[derive(Debug, Clone, Default)]
pub struct Keys {
    known: HashSet<u64>,
    full: bool,
}

impl Keys {
    /// Takes in a batch.
    pub fn batch(&mut self, lanes: &[Lane<'_>]) {
        for row in 0..lanes.first().map_or(0, |lane| lane.keys.len()) {
            if let Some(key) = key(lanes, row) {
                self.add(key);
            }
        }
    }

    /// Whether the key is new.
    fn add(&mut self, key: u64) -> bool {
        if self.known.len() >= KEYS && !self.known.contains(&key) {
            self.full = true;
            return true;
        }
        self.known.insert(key)
    }
}

/// The digest of a row's values; nothing when one is missing.
fn key(lanes: &[Lane<'_>], row: usize) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for lane in lanes {
        let word = lane.word(row)?;
        // `7` and `7.0` are one value, whichever format they come from.
        match word.parse::<f64>() {
            Ok(number) if number.is_finite() && word.len() < 15 => number.to_bits().hash(&mut hasher),
            _ => word.hash(&mut hasher),
        }
    }
    Some(hasher.finish())
}

/// What was found of one column.
#[derive(Debug, Clone)]
pub struct ColumnJudged {
    /// What was promised.
    pub promised: Column,
    /// Faults: how many, and the first rows (counted from 0) with what they hold.
    pub faults: BTreeMap<Fault, (u64, Vec<(u64, String)>)>,
}

/// What was found of a rule over several columns.
#[derive(Debug, Clone)]
pub struct PairJudged {
    /// The columns.
    pub columns: Vec<String>,
    /// The table they refer to; empty where they refer to none.
    pub table: String,
    /// Rows that break the rule.
    pub count: u64,
    /// The first of them, counted from 0, with what they hold.
    pub examples: Vec<(u64, String)>,
}

impl PairJudged {
    fn new(columns: Vec<String>, table: &str) -> Self {
        Self { columns, table: table.to_owned(), count: 0, examples: Vec::new() }
    }

    fn tell(&mut self, row: u64, lanes: &[Lane<'_>], at: usize) {
        self.count += 1;
        if self.examples.len() < SHOWN {
            let words: Vec<String> =
                lanes.iter().map(|lane| lane.word(at).map(bounded).unwrap_or_default()).collect();
            self.examples.push((row, words.join(", ")));
        }
    }
}

/// What was found of the whole table.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Rows.
    pub rows: u64,
    /// By column, in the schema's order; those that the table has.
    pub columns: Vec<ColumnJudged>,
    /// Columns that are promised and not there.
    pub absent: Vec<String>,
    /// Columns that are there and not promised, where that is not allowed.
    pub unknown: Vec<String>,
    /// Keys that occur twice.
    pub doubled: Vec<PairJudged>,
    /// Values that no other table has.
    pub dangling: Vec<PairJudged>,
    /// Rows out of order.
    pub disordered: Vec<PairJudged>,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

/// A column's promise, ready to be asked.
struct Asked {
    place: usize,
    spelling: Option<Spelling>,
    words: Option<HashSet<String>>,
}

/// Holds a table against its schema.
pub struct Judge {
    asked: Vec<Asked>,
    keys: Vec<(Vec<usize>, Keys)>,
    references: Vec<(Vec<usize>, Keys)>,
    orders: Vec<[usize; 2]>,
    judged: Judged,
}

impl Judge {
    /// Starts. `header` are the table's columns in the order of the lanes; `foreign` are the values of each reference,
    /// in order.
    ///
    /// # Errors
    /// When the schema makes no sense.
    pub fn new(schema: &Schema, header: &[String], foreign: Vec<Keys>) -> Result<Self, SchemaError> {
        schema.check()?;
        let place = |name: &String| header.iter().position(|other| other == name);
        let places = |names: &[String]| names.iter().map(place).collect::<Option<Vec<usize>>>();
        let mut judged = Judged {
            rows: 0,
            columns: Vec::new(),
            absent: Vec::new(),
            unknown: Vec::new(),
            doubled: Vec::new(),
            dangling: Vec::new(),
            disordered: Vec::new(),
            gaps: Vec::new(),
        };
        let mut asked = Vec::new();
        for column in &schema.columns {
            let spelling =
                column.pattern.as_ref().map(|pattern| Spelling::new(&column.name, pattern)).transpose()?;
            let Some(place) = place(&column.name) else {
                if !column.optional {
                    judged.absent.push(column.name.clone());
                }
                continue;
            };
            let words = column.words.as_ref().map(|words| words.iter().cloned().collect());
            asked.push(Asked { place, spelling, words });
            judged.columns.push(ColumnJudged { promised: column.clone(), faults: BTreeMap::new() });
        }
        if !schema.open {
            let promised: HashSet<&String> = schema.columns.iter().map(|column| &column.name).collect();
            judged.unknown = header.iter().filter(|name| !promised.contains(name)).cloned().collect();
        }
        let (mut keys, mut references, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for unique in &schema.keys {
            if let Some(places) = places(&unique.columns) {
                keys.push((places, Keys::default()));
                judged.doubled.push(PairJudged::new(unique.columns.clone(), ""));
            }
        }
        for (reference, known) in schema.references.iter().zip(foreign) {
            if let Some(places) = places(&reference.columns) {
                if known.full {
                    judged.gaps.push(format!("{} has more than {KEYS} keys", reference.table));
                }
                references.push((places, known));
                judged.dangling.push(PairJudged::new(reference.columns.clone(), &reference.table));
            }
        }
        for order in &schema.orders {
            let names = vec![order.first.clone(), order.then.clone()];
            if let (Some(first), Some(then)) = (place(&order.first), place(&order.then)) {
                orders.push([first, then]);
                judged.disordered.push(PairJudged::new(names, ""));
            }
        }
        Ok(Self { asked, keys, references, orders, judged })
    }

    /// Takes in a batch: a lane for each column of the header.
    pub fn batch(&mut self, lanes: &[Lane<'_>]) {
        let rows = lanes.first().map_or(0, |lane| lane.keys.len());
        let first = self.judged.rows;
        for (asked, judged) in self.asked.iter().zip(&mut self.judged.columns) {
            let Some(lane) = lanes.get(asked.place) else { continue };
            let promised = &judged.promised;
            // A value that stands in many rows is looked at once.
            let faults: Vec<Option<Fault>> =
                lane.words.iter().map(|word| fault(promised, asked, word)).collect();
            for (at, &key) in lane.keys.iter().enumerate() {
                let fault = match faults.get(key as usize) {
                    Some(fault) => *fault,
                    None => Some(Fault::Missing),
                };
                let Some(fault) = fault else { continue };
                let (count, examples) = judged.faults.entry(fault).or_default();
                *count += 1;
                if examples.len() < SHOWN {
                    examples.push((first + at as u64, lane.word(at).map(bounded).unwrap_or_default()));
                }
            }
        }
        let of = |places: &[usize]| -> Option<Vec<Lane<'_>>> {
            places.iter().map(|&place| lanes.get(place).copied()).collect()
        };
        for ((places, known), judged) in self.keys.iter_mut().zip(&mut self.judged.doubled) {
            let Some(lanes) = of(places) else { continue };
            for at in 0..rows {
                if key(&lanes, at).is_some_and(|key| !known.add(key)) {
                    judged.tell(first + at as u64, &lanes, at);
                }
            }
        }
        for ((places, known), judged) in self.references.iter().zip(&mut self.judged.dangling) {
            let Some(lanes) = of(places) else { continue };
            for at in 0..rows {
                // A missing value refers to nothing; whether it may be missing is the column's own matter.
                if key(&lanes, at).is_some_and(|key| !known.known.contains(&key)) {
                    judged.tell(first + at as u64, &lanes, at);
                }
            }
        }
        for (places, judged) in self.orders.iter().zip(&mut self.judged.disordered) {
            let Some(lanes) = of(places) else { continue };
            for at in 0..rows {
                if let (Some(one), Some(other)) = (lanes[0].word(at), lanes[1].word(at))
                    && is_above(one, other)
                {
                    judged.tell(first + at as u64, &lanes, at);
                }
            }
        }
        self.judged.rows += rows as u64;
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Judged {
        let rows = self.judged.rows;
        for column in &mut self.judged.columns {
            let missing = column.faults.get(&Fault::Missing).map_or(0, |(count, _)| *count);
            if crate::datacheck::share(missing, rows) <= column.promised.missing {
                column.faults.remove(&Fault::Missing);
            }
        }
        for ((places, known), judged) in self.keys.iter().zip(&self.judged.doubled) {
            if known.full && !places.is_empty() {
                let what = super::named(&judged.columns);
                self.judged.gaps.push(format!("{what}: rows after the first {KEYS} different keys"));
            }
        }
        self.judged
    }
}

fn fault(promised: &Column, asked: &Asked, word: &str) -> Option<Fault> {
    let word = word.trim();
    match promised.kind {
        Holds::Numbers | Holds::Whole => {
            let Some(number) = number(word) else { return Some(Fault::Kind) };
            if promised.kind == Holds::Whole && number.fract() != 0.0 {
                return Some(Fault::Kind);
            }
            // An infinity is beyond any bound.
            if !number.is_finite() || promised.range.is_some_and(|[low, high]| number < low || number > high)
            {
                return Some(Fault::Range);
            }
        }
        Holds::Times => {
            if !is_time(word) {
                return Some(Fault::Kind);
            }
            let before = promised.earliest.as_deref().is_some_and(|earliest| word < earliest);
            // `2024-01-31` as the latest includes that day.
            let after = promised
                .latest
                .as_deref()
                .is_some_and(|latest| word.get(..latest.len().min(word.len())).unwrap_or(word) > latest);
            if before || after {
                return Some(Fault::Range);
            }
        }
        Holds::Words => {}
    }
    if asked.words.as_ref().is_some_and(|words| !words.contains(word)) {
        return Some(Fault::Word);
    }
    let long = promised.longest.is_some_and(|longest| word.chars().nth(longest).is_some());
    let spelled = asked.spelling.as_ref().is_none_or(|spelling| spelling.matches(word));
    (long || !spelled).then_some(Fault::Spelling)
}

pub(super) fn number(word: &str) -> Option<f64> {
    match word {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        _ => word.parse().ok().filter(|number: &f64| !number.is_nan()),
    }
}

/// Whether a text is a date, or a date and a time, as in ISO 8601.
pub(super) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let two = |at: usize| -> Option<u32> { text.get(at..at + 2)?.parse().ok() };
    let dated = bytes.len() >= 10
        && bytes.iter().take(10).enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && two(5).is_some_and(|month| (1..=12).contains(&month))
        && two(8).is_some_and(|day| (1..=31).contains(&day));
    if !dated || bytes.len() == 10 {
        return dated;
    }
    matches!(bytes[10], b'T' | b't' | b' ')
        && bytes.len() >= 16
        && bytes[13] == b':'
        && two(11).is_some_and(|hour| hour < 24)
        && two(14).is_some_and(|minute| minute < 60)
}

/// Whether one value is above another, both numbers or both times.
fn is_above(one: &str, other: &str) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one > other,
        _ if is_time(one) && is_time(other) => {
            // A day alone is compared with the day of a time.
            let length = if one.len() == 10 || other.len() == 10 { 10 } else { usize::MAX };
            let cut = |text: &str| text.replacen(' ', "T", 1).chars().take(length).collect::<String>();
            cut(one) > cut(other)
        }
        _ => false,
    }
}
