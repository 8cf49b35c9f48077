//! What is recorded of an exchange, borrowed from it, and the columns it goes into.
//!
//! A gateway records tens of thousands of exchanges a second: on their way into columns they need no rows of their own,
//! whose texts would each be allocated by one thread and freed by another.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use arrow_array::builder::{
    ArrayBuilder as _, Float32Builder, Float64Builder, ListBuilder, StringBuilder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use mantlet_vocab::{Exchange, Millis, Mode, Value};

use crate::exchange::{FEATURES_MOST, prediction, request_digest};
use crate::redact::put;
use crate::{ColumnsError, Row, schema};

/// The fields of a [`Row`], mostly borrowed.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// See [`Row::id`].
    pub id: &'a str,
    /// See [`Row::at`].
    pub at: Millis,
    /// See [`Row::system`].
    pub system: &'a str,
    /// See [`Row::route`].
    pub route: &'a str,
    /// See [`Row::caller`].
    pub caller: &'a str,
    /// See [`Row::version`].
    pub version: &'a str,
    /// See [`Row::generation`].
    pub generation: u64,
    /// See [`Row::action`].
    pub action: &'a str,
    /// See [`Row::proposed`].
    pub proposed: &'a str,
    /// See [`Row::mode`].
    pub mode: &'a str,
    /// See [`Row::status`].
    pub status: u16,
    /// See [`Row::took_ms`].
    pub took_ms: f64,
    /// See [`Row::request`].
    pub request: Cow<'a, str>,
    /// See [`Row::rows`].
    pub rows: u32,
    /// See [`Row::features`].
    pub features: Cow<'a, [f32]>,
    /// See [`Row::features_cut`].
    pub features_cut: u32,
    /// See [`Row::label`].
    pub label: Cow<'a, str>,
    /// See [`Row::scores`].
    pub scores: Cow<'a, [f32]>,
    /// See [`Row::signals`].
    pub signals: Vec<&'a str>,
    /// See [`Row::signal_scores`].
    pub signal_scores: Cow<'a, [f32]>,
}

impl<'a> Fields<'a> {
    /// What is recorded of an exchange.
    #[must_use]
    pub fn of(exchange: &'a Exchange) -> Self {
        let (features, cut) = features(exchange);
        let first = exchange.request.inputs.first().and_then(|input| input.value.shape().first().copied());
        let (label, scores) = prediction(exchange);
        let decision = &exchange.decision;
        #[expect(clippy::cast_possible_truncation, reason = "a detector's statistic needs no more")]
        let signal_scores: Vec<f32> = decision.signals.iter().map(|signal| signal.score as f32).collect();
        Self {
            id: &exchange.id,
            at: exchange.at,
            system: &exchange.system,
            route: &exchange.route,
            caller: &exchange.caller,
            version: &exchange.version,
            generation: exchange.generation,
            action: decision.action.word(),
            proposed: decision.proposed.word(),
            mode: match decision.mode {
                Mode::Observe => "observe",
                Mode::Advise => "advise",
                Mode::Enforce => "enforce",
            },
            status: exchange.status,
            took_ms: if exchange.took_ms.is_finite() { exchange.took_ms } else { 0.0 },
            request: digest(exchange),
            rows: first.and_then(|rows| u32::try_from(rows).ok()).unwrap_or(0),
            features,
            features_cut: u32::try_from(cut).unwrap_or(u32::MAX),
            label,
            scores,
            signals: decision.signals.iter().map(|signal| signal.name.as_str()).collect(),
            signal_scores: signal_scores.into(),
        }
    }

    /// The same on its own.
    #[must_use]
    pub fn row(&self) -> Row {
        Row {
            id: self.id.to_owned(),
            at: self.at,
            system: self.system.to_owned(),
            route: self.route.to_owned(),
            caller: self.caller.to_owned(),
            version: self.version.to_owned(),
            generation: self.generation,
            action: self.action.to_owned(),
            proposed: self.proposed.to_owned(),
            mode: self.mode.to_owned(),
            status: self.status,
            took_ms: self.took_ms,
            request: self.request.clone().into_owned(),
            rows: self.rows,
            features: self.features.clone().into_owned(),
            features_cut: self.features_cut,
            label: self.label.clone().into_owned(),
            scores: self.scores.clone().into_owned(),
            signals: self.signals.iter().map(|&name| name.to_owned()).collect(),
            signal_scores: self.signal_scores.clone().into_owned(),
        }
    }
}

impl<'a> From<&'a Row> for Fields<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            id: &row.id,
            at: row.at,
            system: &row.system,
            route: &row.route,
            caller: &row.caller,
            version: &row.version,
            generation: row.generation,
            action: &row.action,
            proposed: &row.proposed,
            mode: &row.mode,
            status: row.status,
            took_ms: row.took_ms,
            request: row.request.as_str().into(),
            rows: row.rows,
            features: row.features.as_slice().into(),
            features_cut: row.features_cut,
            label: row.label.as_str().into(),
            scores: row.scores.as_slice().into(),
            signals: row.signals.iter().map(String::as_str).collect(),
            signal_scores: row.signal_scores.as_slice().into(),
        }
    }
}

/// The digest of what was asked. Exchanges whose request is not kept have that of nothing, which is made once.
fn digest(exchange: &Exchange) -> Cow<'_, str> {
    static NOTHING: OnceLock<String> = OnceLock::new();
    if exchange.request.inputs.is_empty() && exchange.request.pieces.is_empty() {
        return NOTHING.get_or_init(|| request_digest(exchange).hex()).as_str().into();
    }
    request_digest(exchange).hex().into()
}

/// The numeric inputs, flattened, and how many values were left out.
fn features(exchange: &Exchange) -> (Cow<'_, [f32]>, usize) {
    let inputs = &exchange.request.inputs;
    if let [only] = inputs.as_slice()
        && let Value::F32(values) = &only.value
    {
        let room = values.data().len().min(FEATURES_MOST);
        return (values.data()[..room].into(), values.data().len() - room);
    }
    let (mut features, mut cut) = (Vec::new(), 0_usize);
    for input in inputs {
        let converted;
        let values = match &input.value {
            Value::F32(values) => values.data(),
            other => {
                let Some(values) = other.to_f32() else { continue };
                converted = values;
                converted.data()
            }
        };
        let room = (FEATURES_MOST - features.len()).min(values.len());
        features.extend_from_slice(&values[..room]);
        cut += values.len() - room;
    }
    (features.into(), cut)
}

/// Columns that are being filled.
#[derive(Debug)]
pub struct Columns {
    texts: [StringBuilder; 10],
    at: UInt64Builder,
    generation: UInt64Builder,
    status: UInt16Builder,
    took: Float64Builder,
    rows: UInt32Builder,
    cut: UInt32Builder,
    features: ListBuilder<Float32Builder>,
    scores: ListBuilder<Float32Builder>,
    signals: ListBuilder<StringBuilder>,
    signal_scores: ListBuilder<Float32Builder>,
    count: usize,
    last: Sizes,
}

/// How much was in columns when they were finished last: the next rows are like them. Columns that have this room at once
/// are not moved while they grow, and hold no more than is in them.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    rows: usize,
    texts: [usize; 10],
    features: usize,
    scores: usize,
    signals: [usize; 2],
    signal_scores: usize,
}

/// What is expected, and a sixteenth more.
const fn room(expected: usize) -> usize {
    expected + expected / 16
}

impl Default for Columns {
    fn default() -> Self {
        Self::with(Sizes::default())
    }
}

impl Columns {
    fn with(last: Sizes) -> Self {
        let rows = room(last.rows);
        let text = |bytes: usize| StringBuilder::with_capacity(rows, room(bytes));
        let floats =
            |values: usize| ListBuilder::with_capacity(Float32Builder::with_capacity(room(values)), rows);
        let [names, bytes] = last.signals.map(room);
        Self {
            texts: last.texts.map(text),
            at: UInt64Builder::with_capacity(rows),
            generation: UInt64Builder::with_capacity(rows),
            status: UInt16Builder::with_capacity(rows),
            took: Float64Builder::with_capacity(rows),
            rows: UInt32Builder::with_capacity(rows),
            cut: UInt32Builder::with_capacity(rows),
            features: floats(last.features),
            scores: floats(last.scores),
            signals: ListBuilder::with_capacity(StringBuilder::with_capacity(names, bytes), rows),
            signal_scores: floats(last.signal_scores),
            count: 0,
            last,
        }
    }

    fn sizes(&self) -> Sizes {
        let texts = |column: &StringBuilder| column.values_slice().len();
        let floats = |column: &ListBuilder<Float32Builder>| column.values_ref().len();
        Sizes {
            rows: self.count,
            texts: self.texts.each_ref().map(texts),
            features: floats(&self.features),
            scores: floats(&self.scores),
            signals: [self.signals.values_ref().len(), texts(self.signals.values_ref())],
            signal_scores: floats(&self.signal_scores),
        }
    }

    /// Rows in them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Fields<'_>) {
        if self.count == 0 && self.last.rows > 0 {
            *self = Self::with(self.last);
        }
        let texts = [
            row.id,
            row.system,
            row.route,
            row.caller,
            row.version,
            row.action,
            row.proposed,
            row.mode,
            &*row.request,
            &*row.label,
        ];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
        self.at.append_value(row.at.0);
        self.generation.append_value(row.generation);
        self.status.append_value(row.status);
        self.took.append_value(row.took_ms);
        self.rows.append_value(row.rows);
        self.cut.append_value(row.features_cut);
        let lists = [
            (&mut self.features, &row.features),
            (&mut self.scores, &row.scores),
            (&mut self.signal_scores, &row.signal_scores),
        ];
        for (column, values) in lists {
            put(column.values(), values);
            column.append(true);
        }
        row.signals.iter().for_each(|name| self.signals.values().append_value(name));
        self.signals.append(true);
        self.count += 1;
    }

    /// What is in them as a batch; they are empty afterwards.
    ///
    /// # Errors
    /// When Arrow refuses, which these columns do not cause.
    pub fn finish(&mut self) -> Result<RecordBatch, ColumnsError> {
        self.last = self.sizes();
        self.count = 0;
        let [id, system, route, caller, version, action, proposed, mode, request, label] =
            self.texts.each_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        made(vec![
            id,
            Arc::new(self.at.finish()),
            system,
            route,
            caller,
            version,
            Arc::new(self.generation.finish()),
            action,
            proposed,
            mode,
            Arc::new(self.status.finish()),
            Arc::new(self.took.finish()),
            request,
            Arc::new(self.rows.finish()),
            Arc::new(self.features.finish()),
            Arc::new(self.cut.finish()),
            label,
            Arc::new(self.scores.finish()),
            Arc::new(self.signals.finish()),
            Arc::new(self.signal_scores.finish()),
        ])
    }

    /// A copy of what is in them as a batch.
    ///
    /// # Errors
    /// As [`Columns::finish`].
    pub fn copied(&self) -> Result<RecordBatch, ColumnsError> {
        let [id, system, route, caller, version, action, proposed, mode, request, label] =
            self.texts.each_ref().map(|column| Arc::new(column.finish_cloned()) as ArrayRef);
        made(vec![
            id,
            Arc::new(self.at.finish_cloned()),
            system,
            route,
            caller,
            version,
            Arc::new(self.generation.finish_cloned()),
            action,
            proposed,
            mode,
            Arc::new(self.status.finish_cloned()),
            Arc::new(self.took.finish_cloned()),
            request,
            Arc::new(self.rows.finish_cloned()),
            Arc::new(self.features.finish_cloned()),
            Arc::new(self.cut.finish_cloned()),
            label,
            Arc::new(self.scores.finish_cloned()),
            Arc::new(self.signals.finish_cloned()),
            Arc::new(self.signal_scores.finish_cloned()),
        ])
    }
}

fn made(columns: Vec<ArrayRef>) -> Result<RecordBatch, ColumnsError> {
    RecordBatch::try_new(schema(), columns).map_err(|fault| ColumnsError::Arrow { reason: fault.to_string() })
}

/// Rows as a record batch.
///
/// # Errors
/// When Arrow refuses, which rows of this type do not cause.
pub fn batch(rows: &[Row]) -> Result<RecordBatch, ColumnsError> {
    let mut columns = Columns::default();
    rows.iter().for_each(|row| columns.push(&row.into()));
    columns.finish()
}
