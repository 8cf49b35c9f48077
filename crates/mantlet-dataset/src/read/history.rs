//! The history that the gateway writes: its lists become columns of their own, and its `at` a time.
//!
//! Of `features` each value is a column, `features.0` and so on or as the caller names them; so are `scores`. `signals` is
//! read as the name of the strongest signal, and as one column for each signal, `signals.NAME`, that is 1 where it fired.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Float32Array, ListArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
};
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::{Column, DatasetError, Kind};

/// The key of a file's metadata by which a history is known, and how its value begins.
const MARK: (&str, &str) = ("mantlet.schema", "exchanges/");
/// Values of a list that become columns at most; longer lists are left as they are, and not read.
pub(crate) const UNFOLD_MOST: usize = 512;
/// Signals that become columns at most, by name.
const SIGNALS_MOST: usize = 256;
/// Rows by which the length of a list is told.
const HEAD: usize = 1024;
/// Rows of a file of which the signals are named.
const NAMED: usize = 1 << 20;
/// What stands for the strongest of no signals.
const NO_SIGNAL: &str = "none";

/// How the lists of a history are called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unfold {
    /// The features in the order of the model; `features.0` and so on where none are named.
    pub(crate) names: Vec<String>,
}

impl Unfold {
    /// The name of a feature.
    fn feature(&self, at: usize) -> String {
        self.names.get(at).cloned().unwrap_or_else(|| format!("features.{at}"))
    }
}

/// What the lists of some files hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Heads {
    /// Rows by the length of their features, of one row of the request.
    features: BTreeMap<usize, u64>,
    scores: BTreeMap<usize, u64>,
    signals: BTreeSet<String>,
    /// Rows in whose place of a feature the record has nothing, by that place.
    left_out: BTreeMap<usize, u64>,
    /// Whether some request held more than one row.
    pub(crate) together: bool,
}

/// The length that most rows have; the shorter one of two that are as frequent.
fn usual(lengths: &BTreeMap<usize, u64>) -> usize {
    let most = lengths
        .iter()
        .filter(|(length, _)| **length > 0)
        .max_by_key(|(length, rows)| (**rows, usize::MAX - **length));
    most.map_or(0, |(length, _)| *length)
}

impl Heads {
    pub(crate) fn merge(&mut self, other: Self) {
        other
            .features
            .into_iter()
            .for_each(|(length, rows)| *self.features.entry(length).or_default() += rows);
        other.scores.into_iter().for_each(|(length, rows)| *self.scores.entry(length).or_default() += rows);
        self.signals.extend(other.signals);
        other.left_out.into_iter().for_each(|(at, rows)| *self.left_out.entry(at).or_default() += rows);
        self.together |= other.together;
    }

    /// The values of one row of features.
    pub(crate) fn width(&self) -> usize {
        usual(&self.features)
    }

    /// The features that were left out of the record, by name, and whether of all rows that were looked at.
    pub(crate) fn left_out(&self, unfold: &Unfold) -> Vec<(String, bool)> {
        let width = self.width();
        let told = |(&at, &rows): (&usize, &u64)| {
            let all: u64 =
                self.features.iter().filter(|(length, _)| **length > at).map(|(_, rows)| rows).sum();
            (at < width).then(|| (unfold.feature(at), rows >= all))
        };
        self.left_out.iter().filter_map(told).collect()
    }

    /// The columns that stand for one of the file's; nothing where it stays as it is.
    pub(crate) fn columns(&self, of: &Column, unfold: &Unfold) -> Option<Vec<Column>> {
        let column = |name: String, kind| Column { name, kind };
        let short = |length: usize| (length <= UNFOLD_MOST).then_some(length);
        Some(match of.name.as_str() {
            "at" if of.kind == Kind::Numbers => vec![column("at".into(), Kind::Times)],
            "features" => {
                (0..short(self.width())?).map(|at| column(unfold.feature(at), Kind::Numbers)).collect()
            }
            "scores" => (0..short(usual(&self.scores))?)
                .map(|at| column(format!("scores.{at}"), Kind::Numbers))
                .collect(),
            "signals" => {
                let mut all = vec![column("signals".into(), Kind::Words)];
                let names = self.signals.iter().take(SIGNALS_MOST);
                all.extend(names.map(|name| column(format!("signals.{name}"), Kind::Numbers)));
                all
            }
            "signal_scores" => vec![column("signal_scores.0".into(), Kind::Numbers)],
            _ => return None,
        })
    }
}

/// Whether a file is a history.
pub(super) fn is_history(schema: &Schema) -> bool {
    schema.metadata().get(MARK.0).is_some_and(|value| value.starts_with(MARK.1))
}

/// Where a wanted column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    /// A column of the file.
    Plain(String),
    /// Milliseconds since 1970.
    Millis,
    /// One of the features of a request's first row.
    Feature(usize),
    /// A value of a list of numbers.
    Value(&'static str, usize),
    /// The name of the strongest signal.
    Strongest,
    /// Whether a signal fired.
    Fired(String),
}

impl From {
    pub(super) fn of(column: &Column, unfold: Option<&Unfold>) -> Self {
        let name = column.name.as_str();
        let Some(unfold) = unfold else { return Self::Plain(name.to_owned()) };
        let place = |list: &str| name.strip_prefix(list)?.strip_prefix('.')?.parse::<usize>().ok();
        if let Some(at) = unfold.names.iter().position(|own| own == name) {
            return Self::Feature(at);
        }
        match name {
            "at" if column.kind != Kind::Numbers => Self::Millis,
            "signals" => Self::Strongest,
            _ => place("features")
                .map(Self::Feature)
                .or_else(|| place("scores").map(|at| Self::Value("scores", at)))
                .or_else(|| place("signal_scores").map(|at| Self::Value("signal_scores", at)))
                .or_else(|| name.strip_prefix("signals.").map(|signal| Self::Fired(signal.to_owned())))
                .unwrap_or_else(|| Self::Plain(name.to_owned())),
        }
    }

    /// The columns of the file that are read for it.
    pub(super) fn roots(&self) -> Vec<&str> {
        match self {
            Self::Plain(name) => vec![name],
            Self::Millis => vec!["at"],
            Self::Feature(_) => vec!["features", "rows", "features_cut"],
            Self::Value(list, _) => vec![list],
            Self::Strongest | Self::Fired(_) => vec!["signals"],
        }
    }

    /// The column, as an array of its own.
    pub(super) fn array(&self, batch: &RecordBatch) -> Option<ArrayRef> {
        let named = |name: &str| batch.column_by_name(name);
        Some(match self {
            Self::Plain(name) => Arc::clone(named(name)?),
            Self::Millis => {
                let at = named("at")?.as_primitive_opt::<UInt64Type>()?;
                let millis = at.iter().map(|at| at.and_then(|at| i64::try_from(at).ok()));
                Arc::new(millis.collect::<TimestampMillisecondArray>())
            }
            Self::Feature(at) => {
                let lengths = widths(batch)?;
                values(named("features")?.as_list_opt::<i32>()?, *at, Some(&lengths))?
            }
            Self::Value(list, at) => values(named(list)?.as_list_opt::<i32>()?, *at, None)?,
            Self::Strongest => {
                let lists = named("signals")?.as_list_opt::<i32>()?;
                let words = lists.values().as_string_opt::<i32>()?;
                let strongest = |row| within(lists, row).next().filter(|&at| words.is_valid(at));
                let word = |row| Some(strongest(row).map_or(NO_SIGNAL, |at| words.value(at)));
                Arc::new((0..lists.len()).map(word).collect::<StringArray>())
            }
            Self::Fired(signal) => {
                let lists = named("signals")?.as_list_opt::<i32>()?;
                let words = lists.values().as_string_opt::<i32>()?;
                let fired =
                    |row| within(lists, row).any(|at| words.is_valid(at) && words.value(at) == signal);
                Arc::new((0..lists.len()).map(|row| u8::from(fired(row))).collect::<UInt8Array>())
            }
        })
    }
}

/// The places of a row's values.
fn within(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    if lists.is_null(row) {
        return 0..0;
    }
    let offset =
        |at: usize| lists.value_offsets().get(at).and_then(|&at| usize::try_from(at).ok()).unwrap_or(0);
    offset(row)..offset(row + 1).max(offset(row))
}

/// Of each request, the values of its first row.
fn widths(batch: &RecordBatch) -> Option<Vec<usize>> {
    let lists = batch.column_by_name("features")?.as_list_opt::<i32>()?;
    let count = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>();
    let (rows, cut) = (count("rows")?, count("features_cut")?);
    let width = |row| {
        let sent = within(lists, row).len() + cut.value(row) as usize;
        sent / (rows.value(row) as usize).max(1)
    };
    Some((0..lists.len()).map(width).collect())
}

/// One value of each list; none where the list, or what counts of it, is shorter.
fn values(lists: &ListArray, at: usize, lengths: Option<&[usize]>) -> Option<ArrayRef> {
    let all = lists.values().as_primitive_opt::<Float32Type>()?;
    let value = |row| {
        let counts = lengths.and_then(|lengths| lengths.get(row)).is_none_or(|&length| at < length);
        let place = within(lists, row).nth(at).filter(|&place| counts && all.is_valid(place));
        place.map(|place| all.value(place))
    };
    Some(Arc::new((0..lists.len()).map(value).collect::<Float32Array>()))
}

/// What the lists of a history hold, from batches of its first rows.
pub(super) fn heads(
    path: &Path,
    batches: impl FnOnce(&[&str]) -> Result<Batches, DatasetError>,
    signals: impl FnOnce(&[&str]) -> Result<Batches, DatasetError>,
) -> Result<Heads, DatasetError> {
    let odd = || DatasetError::Damaged {
        path: path.to_owned(),
        place: "the columns".into(),
        reason: "they are not those of a history, which its metadata says it is".into(),
    };
    let mut heads = Heads::default();
    let mut seen = 0;
    for batch in batches(&["features", "rows", "features_cut", "scores"])? {
        let batch = batch?;
        let lengths = widths(&batch).ok_or_else(odd)?;
        lengths.iter().for_each(|width| *heads.features.entry(*width).or_default() += 1);
        if let Some(lists) = batch.column_by_name("features").and_then(|column| column.as_list_opt::<i32>())
            && lists.values().null_count() > 0
        {
            for (row, &width) in lengths.iter().enumerate() {
                let own = within(lists, row).take(width.min(UNFOLD_MOST)).enumerate();
                let nothing = own.filter(|(_, place)| lists.values().is_null(*place));
                nothing.for_each(|(at, _)| *heads.left_out.entry(at).or_default() += 1);
            }
        }
        let scores = batch.column_by_name("scores").and_then(|column| column.as_list_opt::<i32>());
        let scores = scores.ok_or_else(odd)?;
        (0..scores.len()).for_each(|row| *heads.scores.entry(within(scores, row).len()).or_default() += 1);
        let rows = batch.column_by_name("rows").and_then(|rows| rows.as_primitive_opt::<UInt32Type>());
        heads.together |= rows.is_some_and(|rows| rows.values().iter().any(|&rows| rows > 1));
        seen += batch.num_rows();
        if seen >= HEAD {
            break;
        }
    }
    seen = 0;
    for batch in signals(&["signals"])? {
        let batch = batch?;
        let lists = batch.column_by_name("signals").and_then(|column| column.as_list_opt::<i32>());
        let words = lists.and_then(|lists| lists.values().as_string_opt::<i32>()).ok_or_else(odd)?;
        let mut own: HashSet<&str> = HashSet::new();
        own.extend(words.iter().flatten());
        heads.signals.extend(own.into_iter().filter(|word| !word.is_empty()).map(str::to_owned));
        seen += batch.num_rows();
        if seen >= NAMED || heads.signals.len() > SIGNALS_MOST {
            break;
        }
    }
    Ok(heads)
}

/// Batches of some columns.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, DatasetError>>>;
