//! Decisions of a model, streamed into tallies: with labels beside them, or with labels that come later in other
//! tables.

use std::collections::{BTreeMap, HashMap};

use mantlet_drift::NumberSketch;
use mantlet_drift::performance::{PARTS, Scale, Tally};
use sha2::{Digest as _, Sha256};

use crate::measure::first;
use crate::window::{Cut, Key};
use crate::{Column, Dataset, DatasetError, Kind, Lane, Measured};

/// Windows at most: more are not read by anybody.
pub const WINDOWS_MOST: usize = 1024;
/// Labels held at once, some 32 bytes each.
pub const LABELS_MOST: usize = 50_000_000;

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
    Late(&'a str, &'a Labels),
    /// Not there.
    None,
}

/// Labels that came, by identifier. A later row replaces an earlier one.
#[derive(Debug, Default)]
pub struct Labels {
    known: HashMap<[u8; 16], bool>,
    /// Rows whose identifier had another label before.
    pub corrected: u64,
    /// Rows without an identifier or a label.
    pub incomplete: u64,
}

impl Labels {
    /// Identifiers with a label.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The labels of these identifiers.
    pub(crate) fn of(&self, ids: &Lane) -> Vec<Option<bool>> {
        keys(ids).into_iter().map(|key| self.known.get(&key?).copied()).collect()
    }

    /// Reads tables of labels in the order of their files and rows.
    ///
    /// # Errors
    /// When a file cannot be read to its end, a column is missing, or there are more than [`LABELS_MOST`].
    pub fn read(dataset: &Dataset, id: &str, label: &str, positive: &str) -> Result<Self, DatasetError> {
        let wanted = [words(dataset, id)?, words(dataset, label)?];
        let mut labels = Self::default();
        let mut overflow = false;
        dataset.stream(&wanted, |_, lanes| {
            let [ids, truths] = lanes.as_slice() else { return Ok(()) };
            for (key, truth) in keys(ids).into_iter().zip(truth(truths, positive)) {
                let (Some(key), Some(truth)) = (key, truth) else {
                    labels.incomplete += 1;
                    continue;
                };
                if labels.known.len() >= LABELS_MOST && !labels.known.contains_key(&key) {
                    overflow = true;
                    continue;
                }
                if labels.known.insert(key, truth).is_some_and(|before| before != truth) {
                    labels.corrected += 1;
                }
            }
            Ok(())
        })?;
        if overflow {
            return Err(DatasetError::ManyLabels { path: first(dataset), most: LABELS_MOST });
        }
        Ok(labels)
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
    let mut sketch = NumberSketch::default();
    let mut rows = 0_u64;
    dataset.stream(&[numbers(dataset, &decided.score)?], |row, lanes| {
        if let Some(Lane::Numbers(scores)) = lanes.first() {
            scores.iter().zip(row..).for_each(|(&score, row)| sketch.take(row, score));
            rows += scores.len() as u64;
        }
        Ok(())
    })?;
    if rows == 0 {
        return Err(DatasetError::Empty { path: first(dataset) });
    }
    let scale = Scale::of(&sketch);
    let mut parts = vec![Tally::empty(&scale); PARTS];
    each(dataset, decided, truth, None, |row, decision| {
        let part = usize::try_from(row * PARTS as u64 / rows).unwrap_or(0).min(PARTS - 1);
        parts[part].take(&scale, decision.score, decision.said, decision.label);
        Ok(())
    })?;
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
) -> Result<Measured<Vec<(String, Tally)>>, DatasetError> {
    let mut windows: BTreeMap<Key, Tally> = BTreeMap::new();
    let mut nowhere = 0_u64;
    let by = match cut {
        Cut::Rows(_) => None,
        Cut::Time(column, _) => Some(times(dataset, column)?),
        Cut::Value(column) => Some(known(dataset, column)?),
    };
    each(dataset, decided, truth, by, |row, decision| {
        let key = match cut {
            Cut::Rows(rows) => Some(Key::Order(i64::try_from(row / rows.max(&1)).unwrap_or(i64::MAX))),
            Cut::Time(_, span) => decision.number.and_then(|seconds| span.start(seconds)).map(Key::Order),
            Cut::Value(_) => match (decision.number, decision.word) {
                (Some(number), _) => Some(Key::Number(number)),
                (None, word) => word.map(|word| Key::Word(word.into_owned())),
            },
        };
        let Some(key) = key else {
            nowhere += 1;
            return Ok(());
        };
        let full = windows.len() >= WINDOWS_MOST;
        match windows.entry(key) {
            std::collections::btree_map::Entry::Vacant(_) if full => {
                return Err(DatasetError::ManyWindows { path: first(dataset), most: WINDOWS_MOST });
            }
            entry => entry.or_insert_with(|| Tally::empty(scale)).take(
                scale,
                decision.score,
                decision.said,
                decision.label,
            ),
        }
        Ok(())
    })?;
    let mut gaps = Vec::new();
    if nowhere > 0 {
        gaps.push(format!("{nowhere} decisions lie in no window: their time or value is missing"));
    }
    let unscored: u64 = windows.values().map(|tally| tally.unscored).sum();
    if unscored > 0 {
        gaps.push(format!("{unscored} decisions have no score or no prediction and were not counted"));
    }
    let value = windows.into_iter().map(|(key, tally)| (key.name(cut), tally)).collect();
    Ok(Measured { value, gaps })
}

/// One decision.
struct Decision<'a> {
    score: f64,
    said: Option<bool>,
    label: Option<bool>,
    number: Option<f64>,
    word: Option<std::borrow::Cow<'a, str>>,
}

/// Streams decisions; `by` is a further column, handed over as number or word.
fn each(
    dataset: &Dataset,
    decided: &Decided,
    truth_in: Truth<'_>,
    by: Option<Column>,
    mut take: impl FnMut(u64, Decision<'_>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let mut wanted = vec![numbers(dataset, &decided.score)?];
    let mut place = |column: Column| {
        wanted.push(column);
        wanted.len() - 1
    };
    let prediction = decided.prediction.as_deref().map(|name| words(dataset, name)).transpose()?;
    let prediction = prediction.map(&mut place);
    let label = match truth_in {
        Truth::Column(name) | Truth::Late(name, _) => Some(place(words(dataset, name)?)),
        Truth::None => None,
    };
    let by = by.map(&mut place);
    dataset.stream(&wanted, |row, lanes| {
        let Some(Lane::Numbers(scores)) = lanes.first() else { return Ok(()) };
        let of = |at: Option<usize>| at.and_then(|at| lanes.get(at));
        let said: Vec<Option<bool>> = match of(prediction) {
            Some(lane) => truth(lane, &decided.positive),
            None => {
                scores.iter().map(|score| (!score.is_nan()).then_some(*score >= decided.threshold)).collect()
            }
        };
        let labels: Vec<Option<bool>> = match (of(label), truth_in) {
            (Some(lane), Truth::Late(_, labels)) => {
                keys(lane).into_iter().map(|key| labels.known.get(&key?).copied()).collect()
            }
            (Some(lane), _) => truth(lane, &decided.positive),
            (None, _) => vec![None; scores.len()],
        };
        for (at, (&score, (said, label))) in scores.iter().zip(said.into_iter().zip(labels)).enumerate() {
            let (number, word) = match of(by) {
                Some(Lane::Numbers(values)) => {
                    (values.get(at).copied().filter(|value| !value.is_nan()), None)
                }
                Some(lane) => (None, lane.word(at)),
                None => (None, None),
            };
            take(row + at as u64, Decision { score, said, label, number, word })?;
        }
        Ok(())
    })?;
    Ok(())
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
fn same(word: &str, positive: &str) -> bool {
    let number = |text: &str| match text {
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        other => other.parse::<f64>().ok(),
    };
    word == positive
        || number(word).zip(number(positive)).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
}

/// The first 16 bytes of the SHA-256 of each identifier: those of two identifiers meet by nobody's doing.
fn keys(lane: &Lane) -> Vec<Option<[u8; 16]>> {
    let key = |row| {
        let digest = Sha256::digest(lane.word(row)?.as_bytes());
        digest.first_chunk::<16>().copied()
    };
    (0..lane.len()).map(key).collect()
}

pub(crate) fn known(dataset: &Dataset, name: &str) -> Result<Column, DatasetError> {
    let found = dataset.columns().iter().find(|column| column.name == name);
    found.cloned().ok_or_else(|| DatasetError::Missing {
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
