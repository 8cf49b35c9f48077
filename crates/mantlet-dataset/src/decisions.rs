//! Decisions of a model, streamed into tallies: with labels beside them, or with labels that come later in other
//! tables.
//!
//! Long because what is asked of decisions, how it is counted and what is made of the counts belong to one reading.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mantlet_drift::performance::{PARTS, Scale, Tally};
use mantlet_drift::{DriftError, short};
use serde::{Deserialize, Serialize};

use crate::gather::{Counted, Engine, Job, Pass, Sketch, Sketched, Stream, sketched_by};
use crate::labels::{Came, Labels, Late};
use crate::measure::{first, other_counts};
use crate::window::{Cut, Key, Span};
use crate::{Column, Dataset, DatasetError, Kind, Lane, Measured};

/// Windows at most: more are not read by anybody.
pub const WINDOWS_MOST: usize = 1024;

/// The columns of a table of decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The score, rising with the chance of a positive.
    pub score: String,
    /// What the model said; without it, positive from `threshold` on.
    pub prediction: Option<String>,
    /// The score from which a decision is positive.
    pub threshold: f64,
    /// The word or number of a positive in labels and predictions.
    pub positive: String,
}

/// Where labels are.
#[derive(Debug, Clone, Copy)]
pub enum Truth<'a> {
    /// In a column of the decisions; missing ones have not come yet.
    Column(&'a str),
    /// In tables of their own, joined by the identifier in this column of the decisions.
    Late(&'a str, &'a Late),
    /// Not there.
    None,
}

/// How the rows of a pass are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    /// So many rows each.
    Rows(u64),
    /// So many parts of equal length of a table with so many rows.
    Even { rows: u64, parts: u64 },
    /// By the day, week or month of the time.
    Time(Span),
    /// By the value.
    Value,
}

/// Scored decisions as a pass counts them: the score comes first, the others where they stand among the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scored {
    scale: Scale,
    /// The bits of the threshold.
    threshold: u64,
    positive: String,
    prediction: Option<usize>,
    label: Option<usize>,
    /// The identifier by which labels in tables of their own are found.
    id: Option<usize>,
    by: Option<usize>,
    cut: By,
}

/// Decisions by window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    #[serde(with = "pairs")]
    windows: BTreeMap<Key, Tally>,
    /// Decisions in no window.
    nowhere: u64,
    /// Whether there were more windows than are told apart.
    crowded: bool,
    /// What came of labels in tables of their own; nothing where there are none, or no rows yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    came: Option<Came>,
}

/// A map whose keys are no texts, as a list.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Key, Tally};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<Key, Tally>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Key, Tally>, D::Error> {
        Ok(Vec::<(Key, Tally)>::deserialize(from)?.into_iter().collect())
    }
}

impl Windows {
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), DriftError> {
        // Whoever counted read the labels by himself: all have to have seen the same ones.
        match (self.came, other.came) {
            (Some(own), Some(theirs)) if own != theirs => return Err(DriftError::Labels),
            (own, theirs) => self.came = own.or(theirs),
        }
        self.nowhere = self.nowhere.saturating_add(other.nowhere);
        self.crowded |= other.crowded;
        for (key, tally) in other.windows {
            match self.windows.entry(key) {
                Entry::Occupied(mut own) => own.get_mut().merge(&tally)?,
                Entry::Vacant(place) => {
                    place.insert(tally);
                }
            }
        }
        if self.windows.len() > WINDOWS_MOST {
            self.crowded = true;
            self.windows.clear();
        }
        Ok(())
    }

    pub(crate) fn size(&self) -> usize {
        self.windows.values().map(|tally| tally.size() + 64).sum()
    }
}

impl Scored {
    pub(crate) fn fits(&self, columns: usize) -> bool {
        let places = [self.prediction, self.label, self.id, self.by];
        columns > 0 && places.iter().flatten().all(|&at| at < columns)
    }

    pub(crate) const fn is_numbered(&self) -> bool {
        matches!(self.cut, By::Rows(_) | By::Even { .. })
    }

    /// Counts a batch whose first row has this number in the whole table.
    pub(crate) fn add(&self, windows: &mut Windows, first: u64, lanes: &[Lane], late: Option<&Labels>) {
        let Some(Lane::Numbers(scores)) = lanes.first() else { return };
        windows.came = windows.came.or(late.map(Labels::came));
        let of = |at: Option<usize>| at.and_then(|at| lanes.get(at));
        let threshold = f64::from_bits(self.threshold);
        let said: Vec<Option<bool>> = match of(self.prediction) {
            Some(lane) => truth(lane, &self.positive),
            None => scores.iter().map(|score| (!score.is_nan()).then_some(*score >= threshold)).collect(),
        };
        let labels: Vec<Option<bool>> = match (of(self.label), of(self.id), late) {
            (Some(lane), ..) => truth(lane, &self.positive),
            (None, Some(ids), Some(late)) => late.of(ids),
            (None, ..) => vec![None; scores.len()],
        };
        let by = of(self.by);
        for (at, (&score, (said, label))) in scores.iter().zip(said.into_iter().zip(labels)).enumerate() {
            let row = first + at as u64;
            let order = |at: u64| Some(Key::Order(i64::try_from(at).unwrap_or(i64::MAX)));
            let number = match by {
                Some(Lane::Numbers(values)) => values.get(at).copied().filter(|value| !value.is_nan()),
                _ => None,
            };
            let key = match self.cut {
                By::Rows(rows) => order(row / rows.max(1)),
                By::Even { rows, parts } => {
                    let part = u128::from(row) * u128::from(parts) / u128::from(rows.max(1));
                    order(u64::try_from(part).unwrap_or(u64::MAX).min(parts.saturating_sub(1)))
                }
                By::Time(span) => number.and_then(|seconds| span.start(seconds)).map(Key::Order),
                By::Value => match (number, by) {
                    (Some(number), _) => Some(Key::Number(number)),
                    (None, Some(lane)) => lane.word(at).map(|word| Key::Word(short(&word).into_owned())),
                    (None, None) => None,
                },
            };
            let Some(key) = key else {
                windows.nowhere += 1;
                continue;
            };
            let full = windows.windows.len() >= WINDOWS_MOST;
            match windows.windows.entry(key) {
                Entry::Vacant(_) if full => windows.crowded = true,
                entry => {
                    let tally = entry.or_insert_with(|| Tally::empty(&self.scale));
                    tally.take(&self.scale, score, said, label);
                }
            }
        }
    }
}

/// Learns the scale of a reference's scores, and counts its rows in parts of equal length.
///
/// # Errors
/// When a file cannot be read to its end, or a column is missing or holds something else.
pub fn reference(
    dataset: &Dataset,
    decided: &Decided,
    truth: Truth<'_>,
) -> Result<(Scale, Vec<Tally>), DatasetError> {
    reference_by(&Stream, dataset, decided, truth)
}

/// The same, by an engine.
///
/// # Errors
/// As [`reference()`], or as the engine says.
pub fn reference_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    decided: &Decided,
    truth: Truth<'_>,
) -> Result<(Scale, Vec<Tally>), E::Error> {
    let score = numbers(dataset, &decided.score)?;
    let Sketched { rows, sketches, .. } = sketched_by(engine, dataset, &[score], &[false])?;
    let Some(Sketch::Numbers(sketch)) = sketches.first() else { return Err(other_counts().into()) };
    if rows == 0 {
        return Err(DatasetError::Empty { path: first(dataset) }.into());
    }
    let scale = Scale::of(sketch);
    let cut = By::Even { rows, parts: PARTS as u64 };
    let counted = each(engine, dataset, decided, truth, &scale, (None, cut))?;
    let mut parts = vec![Tally::empty(&scale); PARTS];
    for (key, tally) in counted.windows {
        let Key::Order(at) = key else { continue };
        if let Some(part) = usize::try_from(at).ok().and_then(|at| parts.get_mut(at)) {
            *part = tally;
        }
    }
    Ok((scale, parts))
}

/// Counts decisions window by window, in the order of time.
///
/// # Errors
/// When a file cannot be read to its end, a column is missing or holds something else, or there are more than
/// [`WINDOWS_MOST`] windows.
pub fn windows(
    dataset: &Dataset,
    decided: &Decided,
    truth: Truth<'_>,
    scale: &Scale,
    cut: &Cut,
) -> Result<Tallies, DatasetError> {
    Ok(windows_by(&Stream, dataset, decided, truth, scale, cut)?.0)
}

/// The counts of each window, by the window's name.
pub type Tallies = Measured<Vec<(String, Tally)>>;

/// The same, by an engine; and what came of labels in tables of their own.
///
/// # Errors
/// As [`windows`], or as the engine says.
pub fn windows_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    decided: &Decided,
    truth: Truth<'_>,
    scale: &Scale,
    cut: &Cut,
) -> Result<(Tallies, Option<Came>), E::Error> {
    let by = match cut {
        Cut::Rows(rows) => (None, By::Rows(*rows)),
        Cut::Time(column, span) => (Some(times(dataset, column)?), By::Time(*span)),
        Cut::Value(column) => (Some(known(dataset, column)?), By::Value),
    };
    let counted = each(engine, dataset, decided, truth, scale, by)?;
    if counted.crowded {
        return Err(DatasetError::ManyWindows { path: first(dataset), most: WINDOWS_MOST }.into());
    }
    let mut gaps = Vec::new();
    if counted.nowhere > 0 {
        gaps.push(format!("{} decisions lie in no window: their time or value is missing", counted.nowhere));
    }
    let unscored: u64 = counted.windows.values().map(|tally| tally.unscored).sum();
    if unscored > 0 {
        gaps.push(format!("{unscored} decisions have no score or no prediction and were not counted"));
    }
    let value = counted.windows.into_iter().map(|(key, tally)| (key.name(cut), tally)).collect();
    Ok((Measured { value, gaps }, counted.came))
}

/// Counts decisions in one pass; `by` is a further column by which they are cut.
fn each<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    decided: &Decided,
    truth_in: Truth<'_>,
    scale: &Scale,
    (by, cut): (Option<Column>, By),
) -> Result<Windows, E::Error> {
    let mut wanted = vec![numbers(dataset, &decided.score)?];
    let mut place = |column: Column| {
        wanted.push(column);
        wanted.len() - 1
    };
    let prediction = decided.prediction.as_deref().map(|name| words(dataset, name)).transpose()?;
    let prediction = prediction.map(&mut place);
    let (label, id, late) = match truth_in {
        Truth::Column(name) => (Some(place(words(dataset, name)?)), None, None),
        Truth::Late(name, late) => (None, Some(place(words(dataset, name)?)), Some(late)),
        Truth::None => (None, None, None),
    };
    let by = by.map(&mut place);
    let scored = Scored {
        scale: scale.clone(),
        threshold: decided.threshold.to_bits(),
        positive: decided.positive.clone(),
        prediction,
        label,
        id,
        by,
        cut,
    };
    let job = Job { late: late.cloned(), ..Job::new(wanted, Pass::Decisions(scored)) };
    let gathered = engine.gather(dataset, job)?;
    match gathered.counted {
        Counted::Windows(windows) => Ok(windows),
        _ => Err(other_counts().into()),
    }
}

/// Whether each value is the positive one; nothing where it is missing.
pub(crate) fn truth(lane: &Lane, positive: &str) -> Vec<Option<bool>> {
    match lane {
        Lane::Words { keys, words } => {
            let hits: Vec<bool> = words.iter().map(|word| same(word, positive)).collect();
            keys.iter().map(|&key| hits.get(key as usize).copied()).collect()
        }
        Lane::Numbers(_) => (0..lane.len()).map(|row| Some(same(&lane.word(row)?, positive))).collect(),
    }
}

/// The same word, or the same number in another spelling (`1`, `1.0`, `true`).
pub(crate) fn same(word: &str, positive: &str) -> bool {
    let number = |text: &str| match text {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        other => other.parse::<f64>().ok(),
    };
    word == positive
        || number(word).zip(number(positive)).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
}

pub(crate) fn known(dataset: &Dataset, name: &str) -> Result<Column, DatasetError> {
    dataset.column(name).ok_or_else(|| DatasetError::Missing {
        path: first(dataset),
        column: name.to_owned(),
        other: "the command line".into(),
    })
}

/// The column, which must be of a kind.
fn of_kind(dataset: &Dataset, name: &str, kind: Kind) -> Result<Column, DatasetError> {
    let column = known(dataset, name)?;
    if column.kind == kind {
        return Ok(column);
    }
    Err(DatasetError::Kind {
        path: first(dataset),
        column: column.name,
        found: column.kind.word(),
        expected: kind.word(),
        other: "a table of decisions".into(),
    })
}

pub(crate) fn numbers(dataset: &Dataset, name: &str) -> Result<Column, DatasetError> {
    of_kind(dataset, name, Kind::Numbers)
}

fn times(dataset: &Dataset, name: &str) -> Result<Column, DatasetError> {
    of_kind(dataset, name, Kind::Times)
}

/// The column read as words, whatever it holds: whole numbers keep all their digits.
pub(crate) fn words(dataset: &Dataset, name: &str) -> Result<Column, DatasetError> {
    let column = known(dataset, name)?;
    if column.kind == Kind::Other {
        return of_kind(dataset, name, Kind::Words);
    }
    Ok(Column { kind: Kind::Words, ..column })
}
