//! Floods of near copies: counted in one pass, grouped in a second, put into words in a third.
//!
//! Long because three passes over one table share what they read.

use std::collections::HashMap;

use mantlet_datachecks::flood::{
    Flood, From, Group, Groups, KeyCounts, Tokens, Totals, fewest, fewest_of_key, look,
};
use mantlet_dataset::{Column, Dataset, Kind, Lane};
use mantlet_vocab::{Finding, Place, Severity};

use crate::coding::{find, keyed};
use crate::{CurateError, Roles};

/// Groups told at most.
const TOLD: usize = 20;
/// Words of a feed, batch or label column at most.
const WORDS: usize = 100_000;
/// Bytes of a row at least, for the size of the counters.
const ROW: u64 = 32;

/// What was found.
#[derive(Debug, Clone)]
pub struct Flooded {
    groups: Vec<Group>,
    examples: HashMap<u64, String>,
    totals: Totals,
    what: &'static str,
    /// The group of each row told, with the row's number, when rows were asked for.
    pub rows: Vec<(u64, u32)>,
    /// Rows that belong to a told group.
    pub flooded: u64,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

impl Flooded {
    /// Rows of the table.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.totals.rows
    }

    /// The rows of groups that are told as more than a note, with the number of their group, in order of the rows. Empty
    /// unless rows were asked for.
    #[must_use]
    pub fn suspicious(&self) -> Vec<(u64, u32)> {
        let place = Place::artifact("");
        let is_loud = |group: &&Group| {
            let flood = Flood { group, totals: &self.totals, example: String::new(), what: self.what };
            look(&flood, &place).iter().any(|finding| finding.severity > Severity::Note)
        };
        let number = |group: &Group| {
            let at = self.rows.binary_search_by_key(&group.row, |(row, _)| *row).ok()?;
            self.rows.get(at).map(|(_, number)| *number)
        };
        let loud: Vec<u32> = self.groups.iter().filter(is_loud).filter_map(number).collect();
        self.rows.iter().filter(|(_, group)| loud.contains(group)).copied().collect()
    }

    /// The findings of the rooms, the largest group first.
    #[must_use]
    pub fn findings(&self, place: &Place) -> Vec<Finding> {
        let mut found = Vec::new();
        for group in &self.groups {
            let example = self.examples.get(&group.row).cloned().unwrap_or_default();
            let flood = Flood { group, totals: &self.totals, example, what: self.what };
            found.extend(look(&flood, place));
        }
        found
    }
}

/// Words with a place in their order, and how many rows have each.
#[derive(Debug, Default)]
struct Counted {
    places: HashMap<String, u32>,
    rows: Vec<(String, u64)>,
}

impl Counted {
    fn take(&mut self, lane: &Lane) {
        let (keys, words) = keyed(lane);
        let mut times = vec![0_u64; words.len()];
        keys.iter().for_each(|&key| times.get_mut(key as usize).into_iter().for_each(|n| *n += 1));
        for (word, times) in words.into_iter().zip(times) {
            if let Some(&place) = self.places.get(&word) {
                self.rows[place as usize].1 += times;
            } else if self.rows.len() < WORDS && times > 0 {
                self.places.insert(word.clone(), u32::try_from(self.rows.len()).unwrap_or(u32::MAX));
                self.rows.push((word, times));
            }
        }
    }

    /// Numbers by size, words by their letters.
    fn sort(&mut self) {
        let numbers = self.rows.iter().all(|(word, _)| word.parse::<f64>().is_ok());
        let number = |word: &str| word.parse::<f64>().unwrap_or(f64::NAN);
        self.rows.sort_by(|(a, _), (b, _)| if numbers { number(a).total_cmp(&number(b)) } else { a.cmp(b) });
        self.places = self
            .rows
            .iter()
            .enumerate()
            .map(|(at, (word, _))| (word.clone(), u32::try_from(at).unwrap_or(u32::MAX)))
            .collect();
    }

    fn of(&self, lane: &Lane) -> Vec<u32> {
        let (keys, words) = keyed(lane);
        let places: Vec<u32> =
            words.iter().map(|word| self.places.get(word).copied().unwrap_or(u32::MAX)).collect();
        keys.into_iter().map(|key| places.get(key as usize).copied().unwrap_or(u32::MAX)).collect()
    }
}

struct Reading {
    columns: Vec<Column>,
    /// Lanes of feed, batch and label.
    roles: [Option<usize>; 3],
    text: Option<usize>,
    cells: Vec<usize>,
}

impl Reading {
    fn new(dataset: &Dataset, roles: &Roles, text: Option<&str>) -> Result<Self, CurateError> {
        let mut places: Vec<usize> = Vec::new();
        let mut lane = |place: usize| {
            places.iter().position(|&other| other == place).unwrap_or_else(|| {
                places.push(place);
                places.len() - 1
            })
        };
        let text = text.map(|name| find(dataset, name)).transpose()?.map(&mut lane);
        let role = |name: Option<&String>| name.map(|name| find(dataset, name)).transpose();
        let label = (!roles.label.is_empty()).then_some(&roles.label);
        let found = [role(roles.feed.as_ref())?, role(roles.time.as_ref())?, role(label)?];
        let lanes = found.map(|place| place.map(&mut lane));
        let mut cells = Vec::new();
        if text.is_none() {
            let without =
                roles.without.iter().map(|name| find(dataset, name)).collect::<Result<Vec<_>, _>>()?;
            let labeler = role(roles.labeler.as_ref())?;
            for (place, column) in dataset.columns().iter().enumerate() {
                let taken =
                    found.contains(&Some(place)) || labeler == Some(place) || without.contains(&place);
                if !taken && matches!(column.kind, Kind::Numbers | Kind::Words) {
                    cells.push(lane(place));
                }
            }
        }
        let columns = places.iter().map(|&place| {
            let column = &dataset.columns()[place];
            let kind = if column.kind == Kind::Times { Kind::Words } else { column.kind };
            Column { name: column.name.clone(), kind }
        });
        Ok(Self { columns: columns.collect(), roles: lanes, text, cells })
    }

    /// Hands the tokens of each row to `each`.
    fn tokens(&self, lanes: &[Lane], tokens: &mut Tokens, mut each: impl FnMut(usize, &Tokens)) {
        if let Some(text) = self.text {
            let (keys, words) = keyed(&lanes[text]);
            for (row, key) in keys.into_iter().enumerate() {
                tokens.text(words.get(key as usize).map_or("", String::as_str));
                each(row, tokens);
            }
            return;
        }
        let cells: Vec<Vec<u32>> = self.cells.iter().map(|&lane| quantised(&lanes[lane])).collect();
        for row in 0..lanes.first().map_or(0, Lane::len) {
            tokens.row(cells.iter().map(|cells| cells[row]));
            each(row, tokens);
        }
    }
}

/// Cells as codes: numbers to two digits, words by their hashes.
fn quantised(lane: &Lane) -> Vec<u32> {
    #[expect(clippy::cast_possible_truncation, reason = "a hash is cut to its low half")]
    let code = |value: u64| mantlet_drift::mix(value) as u32;
    match lane {
        Lane::Numbers(values) => values
            .iter()
            .map(|&value| {
                if value == 0.0 || !value.is_finite() {
                    return code(value.to_bits());
                }
                let unit = 10_f64.powi(value.abs().log10().floor().clamp(-300.0, 300.0) as i32 - 1);
                code((value / unit).round().to_bits() ^ mantlet_drift::mix(unit.to_bits()))
            })
            .collect(),
        Lane::Words { keys, words } => {
            let codes: Vec<u32> = words
                .iter()
                .map(|word| {
                    code(word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                    }))
                })
                .collect();
            keys.iter().map(|&key| codes.get(key as usize).copied().unwrap_or(0)).collect()
        }
    }
}

/// Looks for floods: of texts in the column `text`, or of whole rows without one. The label may be left empty.
/// With `rows`, the number and group of every flooded row are kept.
///
/// # Errors
/// When the table cannot be read, or a column is missing.
pub fn floods(
    dataset: &Dataset,
    roles: &Roles,
    text: Option<&str>,
    rows: bool,
) -> Result<Flooded, CurateError> {
    let reading = Reading::new(dataset, roles, text)?;
    let size: u64 = dataset.files().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
    let mut counts = KeyCounts::new(size / ROW);
    let mut counted = [Counted::default(), Counted::default(), Counted::default()];
    let mut files = vec![0_u64; dataset.files().count()];
    let mut tokens = Tokens::default();
    let mut all = 0;
    let mut is_written = text.is_none();
    dataset.stream_files(&reading.columns, |file, row, lanes| {
        let many = lanes.first().map_or(0, Lane::len) as u64;
        all = row + many;
        files[file] += many;
        if let (false, Some(lane)) = (is_written, reading.text.and_then(|at| lanes.get(at))) {
            is_written =
                (0..lane.len()).any(|row| lane.word(row).is_some_and(|word| !word.trim().is_empty()));
        }
        for (counted, lane) in counted.iter_mut().zip(reading.roles) {
            lane.into_iter().for_each(|lane| counted.take(&lanes[lane]));
        }
        reading.tokens(&lanes, &mut tokens, |_, tokens| {
            tokens.keys().iter().for_each(|keys| counts.add(keys));
        });
        Ok(())
    })?;
    counted.iter_mut().for_each(Counted::sort);
    let (least, key) = (fewest(all), fewest_of_key(all));
    let mut groups = Groups::default();
    let mut of: Vec<(u64, u32)> = Vec::new();
    dataset.stream_files(&reading.columns, |file, first, lanes| {
        let [feed, batch, label] =
            [0, 1, 2].map(|at| reading.roles[at].map(|lane| counted[at].of(&lanes[lane])));
        let file = u32::try_from(file).unwrap_or(u32::MAX);
        reading.tokens(&lanes, &mut tokens, |row, tokens| {
            let Some(keys) = tokens.keys() else { return };
            let own = |codes: &Option<Vec<u32>>, other: u32| codes.as_ref().map_or(other, |codes| codes[row]);
            let from = From {
                row: first + row as u64,
                feed: own(&feed, u32::MAX),
                batch: own(&batch, file),
                label: own(&label, u32::MAX),
            };
            if let Some(group) = groups.add(tokens, &keys, &counts, key, from)
                && rows
            {
                of.push((from.row, group));
            }
        });
        Ok(())
    })?;
    let mut gaps = Vec::new();
    if let (false, Some(text)) = (is_written, text) {
        gaps.push(format!("no row has a text in column `{text}`"));
    }
    if groups.crowded > 0 {
        gaps.push(format!("{} rows were in no group: there are too many groups", groups.crowded));
    }
    let (groups, joined) = groups.finish(least);
    of.retain_mut(|(_, group)| {
        *group = joined[*group as usize];
        groups[*group as usize].total >= least
    });
    let mut told: Vec<Group> = groups.into_iter().filter(|group| group.total >= least).collect();
    let flooded = told.iter().map(|group| group.total).sum();
    told.sort_by_key(|group| (std::cmp::Reverse(group.total), group.row));
    if told.len() > TOLD {
        gaps.push(format!("{} smaller groups of near copies are not told one by one", told.len() - TOLD));
        told.truncate(TOLD);
    }
    let [feeds, batches, labels] = counted.map(|counted| counted.rows);
    let names = dataset.names().map(str::to_owned);
    let batches = if reading.roles[1].is_some() { batches } else { names.zip(files).collect() };
    let totals =
        Totals { feeds, batches, labels: labels.into_iter().map(|(word, _)| word).collect(), rows: all };
    let examples = examples(dataset, &reading, &told)?;
    let what = if text.is_some() { "texts" } else { "rows" };
    Ok(Flooded { groups: told, examples, totals, what, rows: of, flooded, gaps })
}

/// The first row of each group, in words.
fn examples(
    dataset: &Dataset,
    reading: &Reading,
    groups: &[Group],
) -> Result<HashMap<u64, String>, CurateError> {
    let mut examples = HashMap::new();
    if groups.is_empty() {
        return Ok(examples);
    }
    dataset.stream(&reading.columns, |first, lanes| {
        let rows = lanes.first().map_or(0, Lane::len) as u64;
        for group in groups.iter().filter(|group| (first..first + rows).contains(&group.row)) {
            let row = usize::try_from(group.row - first).unwrap_or(0);
            let word = |lane: usize| lanes[lane].word(row).map(|word| word.into_owned()).unwrap_or_default();
            let example = match reading.text {
                Some(text) => word(text),
                None => {
                    let cell = |&lane: &usize| format!("{}={}", reading.columns[lane].name, word(lane));
                    reading.cells.iter().map(cell).collect::<Vec<_>>().join(", ")
                }
            };
            examples.insert(group.row, example);
        }
        Ok(())
    })?;
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn uniform(row: u64, stream: u64) -> f64 {
        ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    #[test]
    fn a_flood_of_texts_is_found_with_its_feed_and_time_and_a_footer_is_not_an_attack() {
        let mut text = String::from("week,feed,text,label\n");
        for row in 0..4000_u64 {
            let week = row / 500;
            let words: Vec<String> = (0..14)
                .map(|at| format!("w{}", (uniform(row * 32 + at, 1).powi(2) * 300.0) as u64))
                .collect();
            let mut words = words.join(" ");
            let mut feed = row % 5;
            if week == 5 && row % 4 == 0 {
                words = format!(
                    "cheap pills for everyone order today from our shop number{row} and save much more money"
                );
                feed = 3;
            } else if row % 20 == 1 {
                words =
                    "this message was sent automatically please do not answer it thank you very much".into();
                feed = row / 20 % 5;
            }
            writeln!(text, "{week},F{feed},{words},{}", row % 2).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
        let roles = Roles {
            label: "label".into(),
            feed: Some("feed".into()),
            time: Some("week".into()),
            ..Roles::default()
        };
        let flooded = floods(&dataset, &roles, Some("text"), true).unwrap();
        assert_eq!((flooded.all(), flooded.flooded), (4000, 325));
        assert_eq!(flooded.rows.len(), 325);
        let findings = flooded.findings(&Place::artifact("t"));
        let names: Vec<_> = findings.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(names, ["flood-boilerplate", "flood-near-copies"]);
        assert_eq!((&findings[1].facts["feed"], &findings[1].facts["rows"]), (&"F3".into(), &125.into()));
        // The footer's 200 rows are no matter for a person.
        assert_eq!(flooded.suspicious().len(), 125);
        assert!(findings[1].message.contains("batches 5 to 5"), "{}", findings[1].message);
        assert!(findings[1].trace[0].contains("cheap pills"), "{:?}", findings[1].trace);
    }

    #[test]
    fn near_equal_rows_of_numbers_are_found() {
        let mut text = String::from("feed,a,b,c,d,e,f,label\n");
        for row in 0..3000_u64 {
            let copy = row % 25 == 0;
            let cell = |at: u64| {
                let free = uniform(row, at) * 1000.0;
                if copy && at != 1 + row / 25 % 6 {
                    100.0 + at as f64 * 37.0 + uniform(row, at + 50) * 0.1
                } else {
                    free
                }
            };
            let feed = if copy { 2 } else { row % 4 };
            let cells: Vec<String> = (1..=6).map(|at| format!("{:.2}", cell(at))).collect();
            writeln!(text, "F{feed},{},1", cells.join(",")).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
        let roles = Roles { label: "label".into(), feed: Some("feed".into()), ..Roles::default() };
        let flooded = floods(&dataset, &roles, None, false).unwrap();
        let findings = flooded.findings(&Place::artifact("t"));
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(
            (findings[0].name.as_str(), &findings[0].facts["feed"]),
            ("flood-near-copies", &"F2".into())
        );
        assert!(flooded.flooded >= 115, "{}", flooded.flooded);
    }
}
