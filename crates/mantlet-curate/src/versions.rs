//! Two versions of a table, or one feed beside all others: units, clocks and names that changed.

use std::collections::BTreeMap;

use mantlet_datachecks::version::{
    Changed, Company, Hours, How, Named, Scaled, Shifted, pairs, renamed, scaled, shifted,
};
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
/// Levels of a column that a word's company is told by.
const LEVELS: usize = 8;
/// Columns in which names are looked for at once.
const NAMES: usize = 64;

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
    changes.extend(names(before, now, &columns, &old, &new)?);
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

/// How a column's values fall into few levels.
enum Level {
    Numbers(Vec<f64>),
    Words(BTreeMap<String, usize>),
}

fn names(
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use mantlet_datachecks::version::look;
    use mantlet_vocab::Place;

    use super::*;
    use crate::mix_share;

    /// Payments of four feeds; `change` gives the cells of a row of one feed.
    fn table(
        seed: u64,
        change: impl Fn(usize, f64, u64, &'static str) -> (f64, u64, &'static str),
    ) -> Dataset {
        let mut text = String::from("feed,amount,time,kind\n");
        for row in 0..8_000_u64 {
            let share = |stream: u64| mix_share(row, seed * 100 + stream);
            let feed = (share(1) * 4.0) as usize;
            let kind = ["travel", "grocery", "fuel"][(share(2) * share(3) * 3.0) as usize];
            let of = if kind == "travel" { 1.2 } else { 0.0 };
            let amount = (3.0 + of + 1.7 * (share(4) + share(5) + share(6) - 1.5)).exp();
            let minutes = (((share(7) + share(8)) * 0.5 * 1440.0) as u64 + 600) % 1440;
            let (amount, minutes, kind) = change(feed, amount, minutes, kind);
            let (hour, minute) = (minutes % 1440 / 60, minutes % 60);
            let day = 1 + row % 28;
            writeln!(text, "b{feed},{amount:.2},2024-03-{day:02}T{hour:02}:{minute:02}:00Z,{kind}").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let copies = vec![(folder.path().join("t.csv"), "t.csv".to_owned())];
        Dataset::open_copies(copies, std::sync::Arc::new(folder)).unwrap()
    }

    fn said(found: &Versions) -> Vec<(String, String)> {
        let place = Place::artifact("t");
        let one = |own: mantlet_vocab::Finding| (own.name, own.place.part.unwrap_or_default());
        let mut said: Vec<(String, String)> = look(&found.changes, &place).into_iter().map(one).collect();
        said.sort();
        said
    }

    #[test]
    fn units_clocks_and_names_are_told_with_their_feed() {
        let plain = |_: usize, amount: f64, minutes: u64, kind: &'static str| (amount, minutes, kind);
        let before = table(1, plain);
        let same = versions(&before, &table(2, plain), Some("feed"), &[]).unwrap();
        assert_eq!((said(&same), same.rows), (vec![], [8_000, 8_000]));
        let now = table(3, |feed, amount, minutes, kind| {
            let amount = if feed == 2 { amount * 100.0 } else { amount };
            let minutes = if feed == 1 { minutes + 120 } else { minutes };
            (amount, minutes, if kind == "travel" { "trips" } else { kind })
        });
        let found = versions(&before, &now, Some("feed"), &[]).unwrap();
        let part = |name: &str, part: &str| (name.to_owned(), part.to_owned());
        assert_eq!(
            said(&found),
            [
                part("version-renamed-words", "column kind"),
                part("version-time-shift", "column time of feed=b1"),
                part("version-unit-change", "column amount of feed=b2"),
            ]
        );
        // The same in one table, beside the other feeds; a name nobody else uses is no matter of feeds.
        let alone = feeds_apart(&now, "feed", &[]).unwrap();
        assert_eq!(said(&alone), said(&found)[1..].to_vec());
        assert_eq!(said(&feeds_apart(&before, "feed", &[]).unwrap()), vec![]);
        // Without a feed, the share of the rows is said.
        let found = versions(&before, &now, None, &["time".into()]).unwrap();
        let Some(How::Unit(own)) = found.changes.iter().map(|change| &change.how).next() else { panic!() };
        assert!((own.share - 0.25).abs() < 0.03 && own.unit.times == 100.0, "{own:?}");
        assert!(versions(&before, &now, Some("nobody"), &[]).is_err());
    }
}
