//! Two versions of a table, or one feed beside all others: units, clocks and names that changed.

mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mantlet_datachecks::version::{Changed, Hours, How, Scaled, Shifted, scaled, shifted};
use mantlet_dataset::{Column, Dataset, Kind, Lane};
use mantlet_drift::mix;

use crate::CurateError;
use crate::coding::find;

/// Values kept of a column, and of a column in one feed.
const SAMPLE: [usize; 2] = [1 << 15, 1 << 11];
/// Feeds told apart.
const FEEDS: usize = 64;
/// Columns times feeds that are told apart.
const CELLS: usize = 8_192;
/// Words counted of a column.
const WORDS: usize = 5_000;

/// What changed.
#[derive(Debug, Clone)]
pub struct Versions {
    /// Column after column.
    pub changes: Vec<Changed>,
    /// Rows before and now.
    pub rows: [u64; 2],
    /// What was not looked at.
    pub gaps: Vec<String>,
}

/// The rows whose hashed numbers are smallest: the same however they are divided.
#[derive(Debug, Clone)]
struct Sample {
    kept: Vec<(u64, f64)>,
    most: usize,
    bound: u64,
}

impl Sample {
    const fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most, bound: u64::MAX }
    }

    fn take(&mut self, row: u64, value: f64) {
        let hash = mix(row);
        if value.is_finite() && hash <= self.bound {
            self.kept.push((hash, value));
            if self.kept.len() >= self.most * 2 {
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > self.most {
            self.kept.select_nth_unstable_by_key(self.most - 1, |&(hash, _)| hash);
            self.kept.truncate(self.most);
            self.bound = self.kept.iter().map(|&(hash, _)| hash).max().unwrap_or(u64::MAX);
        }
    }

    fn sorted(mut self) -> Vec<f64> {
        self.shrink();
        let mut values: Vec<f64> = self.kept.into_iter().map(|(_, value)| value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

/// Samples and hours of a group of rows, by column.
#[derive(Debug, Clone)]
struct Group {
    rows: u64,
    numbers: Vec<Sample>,
    hours: Vec<Hours>,
}

impl Group {
    fn new(columns: &Columns, most: usize) -> Self {
        Self {
            rows: 0,
            numbers: vec![Sample::new(most); columns.numbers.len()],
            hours: vec![Hours::default(); columns.times.len()],
        }
    }
}

/// The columns of both versions that are looked at, by what they hold.
struct Columns {
    numbers: Vec<String>,
    times: Vec<String>,
    words: Vec<String>,
    feed: Option<String>,
}

impl Columns {
    fn wanted(&self) -> Vec<Column> {
        let of = |names: &[String], kind: Kind| {
            names.iter().map(|name| Column { name: name.clone(), kind }).collect::<Vec<_>>()
        };
        let mut wanted = of(&self.numbers, Kind::Numbers);
        wanted.extend(of(&self.times, Kind::Times));
        wanted.extend(of(&self.words, Kind::Words));
        wanted.extend(of(self.feed.as_slice(), Kind::Words));
        wanted
    }
}

/// What one pass over a version gives.
struct Seen {
    whole: Group,
    feeds: BTreeMap<String, Group>,
    /// Words with their rows; nothing where there are too many.
    words: Vec<Option<BTreeMap<String, u64>>>,
    crowded: bool,
}

fn see(dataset: &Dataset, columns: &Columns) -> Result<Seen, CurateError> {
    let (numbers, times) = (columns.numbers.len(), columns.times.len());
    let most = FEEDS.min(CELLS / (numbers + times).max(1));
    let mut seen = Seen {
        whole: Group::new(columns, SAMPLE[0]),
        feeds: BTreeMap::new(),
        words: vec![Some(BTreeMap::new()); columns.words.len()],
        crowded: false,
    };
    dataset.stream(&columns.wanted(), |first, lanes| {
        let rows = lanes.first().map_or(0, Lane::len);
        let feeds = columns.feed.as_ref().and_then(|_| lanes.last()).map(Lane::keyed);
        seen.whole.rows += rows as u64;
        if let Some((keys, words)) = &feeds {
            for word in words.iter() {
                if seen.feeds.contains_key(word) {
                    continue;
                }
                if seen.feeds.len() < most {
                    seen.feeds.insert(word.clone(), Group::new(columns, SAMPLE[1]));
                } else {
                    seen.crowded = true;
                }
            }
            for &key in keys.iter() {
                let group = words.get(key as usize).and_then(|word| seen.feeds.get_mut(word));
                group.into_iter().for_each(|group| group.rows += 1);
            }
        }
        for (at, lane) in lanes.iter().take(numbers + times).enumerate() {
            let Lane::Numbers(values) = lane else { continue };
            for (row, &value) in values.iter().enumerate() {
                let number = first + row as u64;
                let group = feeds.as_ref().and_then(|(keys, words)| words.get(*keys.get(row)? as usize));
                let group = group.and_then(|word| seen.feeds.get_mut(word));
                for own in std::iter::once(&mut seen.whole).chain(group) {
                    if at < numbers {
                        own.numbers[at].take(number, value);
                    } else {
                        own.hours[at - numbers].take(value);
                    }
                }
            }
        }
        for (counts, lane) in seen.words.iter_mut().zip(lanes.iter().skip(numbers + times)) {
            let Some(own) = counts else { continue };
            let (keys, words) = lane.keyed();
            let mut rows = vec![0_u64; words.len()];
            keys.iter().for_each(|&key| rows.get_mut(key as usize).into_iter().for_each(|rows| *rows += 1));
            for (word, rows) in words.iter().zip(rows).filter(|(_, rows)| *rows > 0) {
                *own.entry(word.clone()).or_default() += rows;
            }
            if own.len() > WORDS {
                *counts = None;
            }
        }
        Ok(())
    })?;
    Ok(seen)
}

fn columns(
    before: &Dataset,
    now: &Dataset,
    feed: Option<&str>,
    without: &[String],
) -> Result<Columns, CurateError> {
    let mut own = Columns { numbers: Vec::new(), times: Vec::new(), words: Vec::new(), feed: None };
    if let Some(feed) = feed {
        find(now, feed)?;
        find(before, feed)?;
        own.feed = Some(feed.to_owned());
    }
    for column in before.columns() {
        let same = now.columns().iter().any(|other| other.name == column.name && other.kind == column.kind);
        if !same || without.contains(&column.name) || own.feed.as_ref() == Some(&column.name) {
            continue;
        }
        match column.kind {
            Kind::Numbers => own.numbers.push(column.name.clone()),
            Kind::Times => own.times.push(column.name.clone()),
            Kind::Words => own.words.push(column.name.clone()),
            Kind::Other => {}
        }
    }
    Ok(own)
}

/// What a comparison of two groups found, by column.
fn compared(columns: &Columns, before: &Group, now: &Group, looks: usize) -> Vec<(String, How, f64)> {
    let mut found = Vec::new();
    for ((name, before), now) in columns.numbers.iter().zip(&before.numbers).zip(&now.numbers) {
        if let Some(own) = scaled(&before.clone().sorted(), &now.clone().sorted(), looks) {
            let Scaled { share, .. } = own;
            found.push((name.clone(), How::Unit(own), share));
        }
    }
    for ((name, before), now) in columns.times.iter().zip(&before.hours).zip(&now.hours) {
        if let Some(own) = shifted(before, now) {
            let Shifted { share, .. } = own;
            found.push((name.clone(), How::Clock(own), share));
        }
    }
    found
}

/// Compares two versions of a table; with `feed` each feed with itself before, too. Columns that only one of them has, or
/// that hold something else, are passed over: what is missing is told by a schema.
///
/// # Errors
/// When a table cannot be read, or has no such feed.
pub fn versions(
    before: &Dataset,
    now: &Dataset,
    feed: Option<&str>,
    without: &[String],
) -> Result<Versions, CurateError> {
    let columns = columns(before, now, feed, without)?;
    let (old, new) = (see(before, &columns)?, see(now, &columns)?);
    let mut changes: Vec<Changed> = Vec::new();
    let looks = (columns.numbers.len() * (1 + new.feeds.len())).max(1);
    let change = |column: String, who: String, how: How| Changed {
        column,
        who,
        beside: "the earlier version".to_owned(),
        how,
    };
    for (column, how, share) in compared(&columns, &old.whole, &new.whole, looks) {
        if share > 0.9 || feed.is_none() {
            changes.push(change(column, String::new(), how));
        } else {
            // A part of the rows: whose they are is told below, or here when no feed stands out.
            changes.push(change(column, "?".to_owned(), how));
        }
    }
    for (name, group) in &new.feeds {
        let Some(earlier) = old.feeds.get(name) else { continue };
        for (column, how, _) in compared(&columns, earlier, group, looks) {
            if !changes.iter().any(|other| other.column == column && other.who.is_empty()) {
                changes.push(change(column, format!("{}={name}", feed.unwrap_or_default()), how));
            }
        }
    }
    settle(&mut changes);
    changes.extend(names::names(before, now, &columns, &old, &new)?);
    Ok(Versions { changes, rows: [old.whole.rows, new.whole.rows], gaps: gaps(&old, &new) })
}

fn gaps(old: &Seen, new: &Seen) -> Vec<String> {
    let crowded = old.crowded || new.crowded;
    crowded.then(|| "feeds after the first were not compared one by one".to_owned()).into_iter().collect()
}

/// Of a column in which a feed stands out, what is said of all rows is left out.
fn settle(changes: &mut Vec<Changed>) {
    let named: Vec<String> = changes
        .iter()
        .filter(|change| !change.who.is_empty() && change.who != "?")
        .map(|change| change.column.clone())
        .collect();
    changes.retain(|change| change.who != "?" || !named.contains(&change.column));
    changes.iter_mut().filter(|change| change.who == "?").for_each(|change| change.who.clear());
}

/// Compares each feed of one table with all others.
///
/// # Errors
/// When the table cannot be read, or has no such feed.
pub fn feeds_apart(dataset: &Dataset, feed: &str, without: &[String]) -> Result<Versions, CurateError> {
    let columns = columns(dataset, dataset, Some(feed), without)?;
    let seen = see(dataset, &columns)?;
    let looks = (columns.numbers.len() * seen.feeds.len()).max(1);
    let mut changes = Vec::new();
    for (name, group) in &seen.feeds {
        let mut others = Group::new(&columns, SAMPLE[0]);
        for (_, other) in seen.feeds.iter().filter(|(other, _)| *other != name) {
            others.rows += other.rows;
            for (sum, own) in others.numbers.iter_mut().zip(&other.numbers) {
                let mut own = own.clone();
                own.shrink();
                // What a feed gave up of its rows is given up of all: the sample stays even.
                sum.bound = sum.bound.min(own.bound);
                sum.kept.extend(own.kept);
                let bound = sum.bound;
                sum.kept.retain(|&(hash, _)| hash <= bound);
            }
            for (sum, own) in others.hours.iter_mut().zip(&other.hours) {
                sum.0.iter_mut().zip(&own.0).for_each(|(sum, own)| *sum += own);
            }
        }
        // One of two feeds: nobody can say which of them is right, and it is said of the smaller.
        if others.rows < group.rows {
            continue;
        }
        for (column, how, share) in compared(&columns, &others, group, looks) {
            // Feeds have customers of their own; a part of one that looks like another unit is none. Of a clock the share
            // is less sure.
            if share > if matches!(how, How::Clock(_)) { 0.6 } else { 0.9 } {
                let who = format!("{feed}={name}");
                changes.push(Changed { column, who, beside: "all other feeds".to_owned(), how });
            }
        }
    }
    let rows = seen.whole.rows;
    Ok(Versions { changes, rows: [rows, rows], gaps: gaps(&seen, &seen) })
}
