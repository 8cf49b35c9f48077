//! Shares by time: what a watch over decisions counts, bin after bin, in one pass.

use std::collections::{BTreeMap, HashMap};

use mantlet_drift::NumberSketch;
use mantlet_drift::online::{Bin, Counted, Stream};
use serde::{Deserialize, Serialize};

use crate::decisions::{known, numbers, truth, words};
use crate::measure::first;
use crate::{Column, Dataset, DatasetError, Kind, Labels, Lane};

/// Words of a segment column that are watched: the most frequent ones.
const LEVELS: usize = 24;
/// Words of a segment column that are counted to find these.
const WORDS: usize = 10_000;
/// Rows that a level has in the reference at least.
const LEVEL_ROWS: u64 = 100;
/// Streams at most.
const STREAMS: usize = 600;
/// Numbers from this on are milliseconds since 1970, as the gateway's history has them.
pub(crate) const MILLIS: f64 = 1e11;
/// Bins at most.
const BINS: usize = 20_000;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watching {
    /// The column of the time, or of a whole number that rises with it.
    pub time: String,
    /// Seconds of a bin; a column of numbers is taken as it is.
    pub seconds: u32,
    /// What the model said.
    pub prediction: Option<String>,
    /// What was true; where it is missing, it has not come yet.
    pub label: Option<String>,
    /// The column by which labels in tables of their own belong to decisions.
    pub id: Option<String>,
    /// The word or number of a positive.
    pub positive: String,
    /// Columns that divide the rows.
    pub segments: Vec<String>,
    /// Columns of numbers whose tails are watched.
    pub columns: Vec<String>,
}

/// Streams as a reference laid them out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    watching: Watching,
    /// The streams, in order.
    pub streams: Vec<Stream>,
    /// By watched column: the usual lower and upper tenth begin here.
    tails: Vec<(f64, f64)>,
    /// Whether bins are of time, not numbers as they are.
    pub is_clock: bool,
}

/// Counts by bin, in order of time.
pub(crate) type Counts = Vec<(i64, Vec<Bin>)>;

struct Lanes {
    columns: Vec<Column>,
    prediction: Option<usize>,
    label: Option<usize>,
    id: Option<usize>,
    segments: Vec<usize>,
    numbers: Vec<usize>,
}

impl Lanes {
    fn of(dataset: &Dataset, watching: &Watching, late: bool) -> Result<Self, DatasetError> {
        let time = known(dataset, &watching.time)?;
        if !matches!(time.kind, Kind::Times | Kind::Numbers) {
            return Err(DatasetError::Kind {
                path: first(dataset),
                column: time.name,
                found: time.kind.word(),
                expected: "times or whole numbers",
                other: "a table that is watched".into(),
            });
        }
        let mut columns = vec![time];
        let mut place = |column: Column| {
            columns.push(column);
            columns.len() - 1
        };
        let word = |name: &String| words(dataset, name);
        let prediction = watching.prediction.as_ref().map(word).transpose()?.map(&mut place);
        let label = watching.label.as_ref().filter(|_| !late).map(word).transpose()?.map(&mut place);
        let id = watching.id.as_ref().filter(|_| late).map(word).transpose()?.map(&mut place);
        let mut segments = Vec::new();
        for name in &watching.segments {
            segments.push(place(words(dataset, name)?));
        }
        let mut own = Vec::new();
        for name in &watching.columns {
            own.push(place(numbers(dataset, name)?));
        }
        Ok(Self { columns, prediction, label, id, segments, numbers: own })
    }

    fn is_time(&self) -> bool {
        self.columns.first().is_some_and(|column| column.kind == Kind::Times)
    }
}

impl Series {
    /// Lays out the streams for a reference: all rows, and the most frequent words of each segment column.
    ///
    /// # Errors
    /// When a file cannot be read to its end, a column is missing or holds something else, or nothing is watched.
    pub fn lay_out(dataset: &Dataset, watching: &Watching) -> Result<Self, DatasetError> {
        let lanes_of = Lanes::of(dataset, watching, true)?;
        let mut sketches: Vec<NumberSketch> = vec![NumberSketch::default(); lanes_of.numbers.len()];
        let mut levels: Vec<HashMap<String, u64>> = vec![HashMap::new(); lanes_of.segments.len()];
        let (mut rows, mut is_clock) = (0, lanes_of.is_time());
        dataset.stream(&lanes_of.columns, |row, lanes| {
            if let (false, Some(Lane::Numbers(times))) = (is_clock, lanes.first()) {
                is_clock = times.iter().any(|time| *time >= MILLIS);
            }
            rows += lanes.first().map_or(0, Lane::len) as u64;
            for (sketch, &at) in sketches.iter_mut().zip(&lanes_of.numbers) {
                if let Some(Lane::Numbers(values)) = lanes.get(at) {
                    values.iter().zip(row..).for_each(|(&value, row)| sketch.take(row, value));
                }
            }
            for (levels, &at) in levels.iter_mut().zip(&lanes_of.segments) {
                if let Some(Lane::Words { keys, words }) = lanes.get(at) {
                    let mut times = vec![0_u64; words.len()];
                    keys.iter()
                        .for_each(|&key| times.get_mut(key as usize).into_iter().for_each(|n| *n += 1));
                    for (word, times) in words.iter().zip(times).filter(|(_, times)| *times > 0) {
                        if let Some(count) = levels.get_mut(word) {
                            *count += times;
                        } else if levels.len() < WORDS {
                            levels.insert(word.clone(), times);
                        }
                    }
                }
            }
            Ok(())
        })?;
        if rows == 0 {
            return Err(DatasetError::Empty { path: first(dataset) });
        }
        let tail = |sketch: &NumberSketch| {
            let values = sketch.sorted();
            let at = |part: usize| values.get(values.len() * part / 10).copied().unwrap_or(f64::NAN);
            (at(1), at(9))
        };
        let tails = sketches.iter().map(tail).collect();
        let mut groups: Vec<Option<(String, String)>> = vec![None];
        for (name, levels) in watching.segments.iter().zip(levels) {
            let mut levels: Vec<(String, u64)> =
                levels.into_iter().filter(|(_, rows)| *rows >= LEVEL_ROWS).collect();
            levels.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            groups.extend(levels.into_iter().take(LEVELS).map(|(word, _)| Some((name.clone(), word))));
        }
        let mut streams = Vec::new();
        for segment in groups {
            let mut add = |counted, column: Option<&String>| {
                streams.push(Stream { counted, column: column.cloned(), segment: segment.clone() });
            };
            if watching.prediction.is_some() {
                add(Counted::Decided, None);
                if watching.label.is_some() {
                    add(Counted::Missed, None);
                    add(Counted::FalseAlarms, None);
                }
            }
            for column in &watching.columns {
                add(Counted::High, Some(column));
                add(Counted::Low, Some(column));
            }
        }
        streams.truncate(STREAMS);
        Ok(Self { watching: watching.clone(), streams, tails, is_clock })
    }

    /// What is watched.
    #[must_use]
    pub const fn watching(&self) -> &Watching {
        &self.watching
    }

    /// Counts a table's rows by bin, those of the bins after `after` only; and rows without a time. Labels stand in the
    /// rows, or come in tables of their own (`late`).
    ///
    /// # Errors
    /// When a file cannot be read to its end, a column is missing or holds something else, or there are too many bins.
    pub fn count(
        &self,
        dataset: &Dataset,
        after: Option<i64>,
        late: Option<&Labels>,
    ) -> Result<(Counts, u64), DatasetError> {
        let lanes_of = Lanes::of(dataset, &self.watching, late.is_some())?;
        let unit = match (self.is_clock, lanes_of.is_time()) {
            (false, _) => 1.0,
            (true, true) => f64::from(self.watching.seconds.max(1)),
            (true, false) => f64::from(self.watching.seconds.max(1)) * 1e3,
        };
        let mut bins: BTreeMap<i64, Vec<Bin>> = BTreeMap::new();
        let (mut timeless, mut overflow) = (0_u64, false);
        dataset.stream(&lanes_of.columns, |_, lanes| {
            let Some(Lane::Numbers(times)) = lanes.first() else { return Ok(()) };
            let of = |at: Option<usize>| {
                at.and_then(|at| lanes.get(at)).map(|lane| truth(lane, &self.watching.positive))
            };
            let said = of(lanes_of.prediction);
            let label = match (late, lanes_of.id.and_then(|at| lanes.get(at))) {
                (Some(late), Some(ids)) => Some(late.of(ids)),
                _ => of(lanes_of.label),
            };
            // By stream: whether each row belongs to its segment.
            let inside = |stream: &Stream| -> Option<Vec<bool>> {
                let (name, word) = stream.segment.as_ref()?;
                let at = self.watching.segments.iter().position(|own| own == name)?;
                let lane = lanes.get(*lanes_of.segments.get(at)?)?;
                let Lane::Words { keys, words } = lane else { return Some(vec![false; times.len()]) };
                let place = words.iter().position(|own| own == word).map(|at| at as u64);
                Some(keys.iter().map(|&key| place == Some(u64::from(key))).collect())
            };
            let mut segment: (Option<&(String, String)>, Option<Vec<bool>>) = (None, None);
            let mut numbers: Vec<Option<i64>> = Vec::with_capacity(times.len());
            for &time in times {
                #[expect(clippy::cast_possible_truncation, reason = "a number out of range saturates")]
                let bin = (time / unit).floor() as i64;
                let known = time.is_finite() && after.is_none_or(|after| bin > after);
                timeless += u64::from(!time.is_finite());
                if known && !bins.contains_key(&bin) {
                    if bins.len() >= BINS {
                        overflow = true;
                        numbers.push(None);
                        continue;
                    }
                    bins.insert(bin, vec![Bin::default(); self.streams.len()]);
                }
                numbers.push(known.then_some(bin));
            }
            for (at, stream) in self.streams.iter().enumerate() {
                if segment.0 != stream.segment.as_ref() {
                    segment = (stream.segment.as_ref(), inside(stream));
                }
                let column = stream.column.as_ref().and_then(|name| {
                    let at = self.watching.columns.iter().position(|own| own == name)?;
                    match lanes.get(*lanes_of.numbers.get(at)?)? {
                        Lane::Numbers(values) => Some((values, *self.tails.get(at)?)),
                        Lane::Words { .. } => None,
                    }
                });
                let truth = |of: &Option<Vec<Option<bool>>>, row: usize| {
                    of.as_ref().and_then(|of| of.get(row).copied().flatten())
                };
                let mut open: Option<(i64, Bin)> = None;
                for (row, bin) in numbers.iter().enumerate() {
                    let Some(bin) = *bin else { continue };
                    if segment.1.as_ref().is_some_and(|inside| !inside[row]) {
                        continue;
                    }
                    let hit = match stream.counted {
                        Counted::Decided => truth(&said, row),
                        Counted::Missed => (truth(&label, row) == Some(true))
                            .then(|| truth(&said, row).map(|said| !said))
                            .flatten(),
                        Counted::FalseAlarms => {
                            (truth(&label, row) == Some(false)).then(|| truth(&said, row)).flatten()
                        }
                        Counted::High | Counted::Low => column.and_then(|(values, (low, high))| {
                            let value = *values.get(row)?;
                            let hit =
                                if stream.counted == Counted::High { value > high } else { value < low };
                            (!value.is_nan()).then_some(hit)
                        }),
                    };
                    let Some(hit) = hit else { continue };
                    if open.as_ref().is_none_or(|(own, _)| *own != bin) {
                        if let Some((own, counts)) = open.take() {
                            bins.get_mut(&own).into_iter().for_each(|bins| bins[at].add(counts));
                        }
                        open = Some((bin, Bin::default()));
                    }
                    if let Some((_, counts)) = &mut open {
                        counts.add(Bin { rows: 1, hits: u64::from(hit) });
                    }
                }
                if let Some((own, counts)) = open {
                    bins.get_mut(&own).into_iter().for_each(|bins| bins[at].add(counts));
                }
            }
            Ok(())
        })?;
        if overflow {
            return Err(DatasetError::ManyWindows { path: first(dataset), most: BINS });
        }
        Ok((bins.into_iter().collect(), timeless))
    }
}
