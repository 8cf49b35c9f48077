//! Exchanges as rows and as Arrow columns.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field as ArrowField, Schema};
use mantlet_vocab::{Digest, Exchange, Millis, Value};
use serde::{Deserialize, Serialize};

use crate::{ColumnsError, Fields, NOT_RECORDED};

/// Values of one exchange that are recorded at most; more are left out and [`Row::features_cut`] says how many.
pub const FEATURES_MOST: usize = 16_384;

/// What is recorded of an exchange: figures and digests, never text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Unique id.
    pub id: String,
    /// When the request arrived.
    pub at: Millis,
    /// The system.
    pub system: String,
    /// The route.
    pub route: String,
    /// The caller's key id.
    pub caller: String,
    /// The model version.
    pub version: String,
    /// The configuration generation that decided.
    pub generation: u64,
    /// What was done, as [`mantlet_vocab::Action::word`].
    pub action: String,
    /// What an enforcing guard would have done.
    pub proposed: String,
    /// The mode in force.
    pub mode: String,
    /// HTTP status sent.
    pub status: u16,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// SHA-256 over names, shapes and values of the inputs, in hexadecimal: equal requests have equal digests.
    pub request: String,
    /// Rows asked about in one request (the first axis of its first input).
    pub rows: u32,
    /// Numeric inputs in the order sent, flattened, without names; [`NOT_RECORDED`] where one was left out.
    #[serde(with = "crate::floats")]
    pub features: Vec<f32>,
    /// Values left out of `features`.
    pub features_cut: u32,
    /// The label of the first row: the answered one, or the class with the highest score; empty when unknown.
    pub label: String,
    /// Scores of the first row, as answered.
    #[serde(with = "crate::floats")]
    pub scores: Vec<f32>,
    /// Names of the signals, strongest first.
    pub signals: Vec<String>,
    /// Their scores.
    #[serde(with = "crate::floats")]
    pub signal_scores: Vec<f32>,
}

impl Row {
    /// The row of an exchange.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Self {
        Fields::of(exchange).row()
    }
}

/// A digest over names, shapes and values of the inputs, and over the pieces of text.
pub(crate) fn request_digest(exchange: &Exchange) -> Digest {
    let mut bytes = Vec::new();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    for input in &exchange.request.inputs {
        text(&mut bytes, &input.name);
        for axis in input.value.shape() {
            bytes.extend_from_slice(&(*axis as u64).to_le_bytes());
        }
        match &input.value {
            Value::F32(t) => put(&mut bytes, t.data(), |v| v.to_le_bytes()),
            Value::F64(t) => put(&mut bytes, t.data(), |v| v.to_le_bytes()),
            Value::I64(t) => put(&mut bytes, t.data(), |v| v.to_le_bytes()),
            Value::I32(t) => put(&mut bytes, t.data(), |v| v.to_le_bytes()),
            Value::U8(t) => bytes.extend_from_slice(t.data()),
            Value::Bool(t) => t.data().iter().for_each(|v| bytes.push(u8::from(*v))),
            Value::Text(t) => t.data().iter().for_each(|v| text(&mut bytes, v)),
        }
    }
    for piece in &exchange.request.pieces {
        text(&mut bytes, &piece.pointer);
        text(&mut bytes, &piece.text);
    }
    Digest::of(&bytes)
}

/// Appends numbers as bytes, in one go.
fn put<T: Copy, const N: usize>(bytes: &mut Vec<u8>, values: &[T], write: impl Fn(T) -> [u8; N]) {
    let start = bytes.len();
    bytes.resize(start + values.len() * N, 0);
    let (places, _) = bytes[start..].as_chunks_mut::<N>();
    places.iter_mut().zip(values).for_each(|(place, &value)| *place = write(value));
}

/// Label and scores of the first row. Scores are the first floating-point output with two axes and at least
/// two columns; the label is the first integer or text output with one value a row, else the best class.
pub(crate) fn prediction(exchange: &Exchange) -> (Cow<'_, str>, Cow<'_, [f32]>) {
    let Some(reply) = &exchange.reply else { return ("".into(), [].as_slice().into()) };
    let mut label: Option<Cow<'_, str>> = None;
    let mut scores: Cow<'_, [f32]> = [].as_slice().into();
    for output in &reply.outputs {
        let shape = output.value.shape();
        let width: usize = shape.iter().skip(1).product();
        match &output.value {
            Value::I64(t) if width == 1 => label = label.or(t.data().first().map(|v| v.to_string().into())),
            Value::I32(t) if width == 1 => label = label.or(t.data().first().map(|v| v.to_string().into())),
            Value::Text(t) if width == 1 => label = label.or(t.data().first().map(|text| text.into())),
            Value::F32(_) | Value::F64(_) if scores.is_empty() => {
                let first = |values: &[f32]| {
                    let width = if shape.len() < 2 { values.len() } else { width };
                    width.min(FEATURES_MOST).min(values.len())
                };
                scores = match &output.value {
                    Value::F32(values) => values.data()[..first(values.data())].into(),
                    other => {
                        let mut values =
                            other.to_f32().map(|values| values.data().to_vec()).unwrap_or_default();
                        values.truncate(first(&values));
                        values.into()
                    }
                };
            }
            _ => {}
        }
    }
    let best = || {
        let best = scores.iter().enumerate().filter(|(_, score)| !score.is_nan());
        // Of equal scores the first wins, as in `Tensor::argmax_rows`.
        best.reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|(at, _)| at.to_string().into())
    };
    let label = label.or_else(|| if scores.len() > 1 { best() } else { None });
    (label.unwrap_or_default(), scores)
}

/// The Arrow schema of exchanges, version 1. Columns are only ever added at the end.
#[must_use]
pub fn schema() -> Arc<Schema> {
    let list = |name: &str, kind: DataType| {
        ArrowField::new(name, DataType::List(Arc::new(ArrowField::new("item", kind, true))), false)
    };
    let text = |name: &str| ArrowField::new(name, DataType::Utf8, false);
    let fields = vec![
        text("id"),
        ArrowField::new("at", DataType::UInt64, false),
        text("system"),
        text("route"),
        text("caller"),
        text("version"),
        ArrowField::new("generation", DataType::UInt64, false),
        text("action"),
        text("proposed"),
        text("mode"),
        ArrowField::new("status", DataType::UInt16, false),
        ArrowField::new("took_ms", DataType::Float64, false),
        text("request"),
        ArrowField::new("rows", DataType::UInt32, false),
        list("features", DataType::Float32),
        ArrowField::new("features_cut", DataType::UInt32, false),
        text("label"),
        list("scores", DataType::Float32),
        list("signals", DataType::Utf8),
        list("signal_scores", DataType::Float32),
    ];
    let metadata = [("mantlet.schema".to_owned(), "exchanges/1".to_owned())];
    Arc::new(Schema::new_with_metadata(fields, metadata.into()))
}

/// A record batch as rows; extra columns are ignored.
///
/// # Errors
/// Names the column that is missing or of another type.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Row>, ColumnsError> {
    let read = Reader(batch);
    let mut rows = vec![Row::default(); batch.num_rows()];
    let texts: [(&'static str, Field<String>); 9] = [
        ("id", |row| &mut row.id),
        ("system", |row| &mut row.system),
        ("route", |row| &mut row.route),
        ("caller", |row| &mut row.caller),
        ("version", |row| &mut row.version),
        ("action", |row| &mut row.action),
        ("proposed", |row| &mut row.proposed),
        ("mode", |row| &mut row.mode),
        ("request", |row| &mut row.request),
    ];
    for (name, field) in texts {
        read.texts(name, &mut rows, field)?;
    }
    read.texts("label", &mut rows, |row| &mut row.label)?;
    let lists: [(&'static str, Field<Vec<f32>>); 3] = [
        ("features", |row| &mut row.features),
        ("scores", |row| &mut row.scores),
        ("signal_scores", |row| &mut row.signal_scores),
    ];
    for (name, field) in lists {
        read.floats(name, &mut rows, field)?;
    }
    let at = read.column("at")?.as_primitive_opt::<UInt64Type>().ok_or(fault("at"))?;
    let generation =
        read.column("generation")?.as_primitive_opt::<UInt64Type>().ok_or(fault("generation"))?;
    let status = read.column("status")?.as_primitive_opt::<UInt16Type>().ok_or(fault("status"))?;
    let took = read.column("took_ms")?.as_primitive_opt::<Float64Type>().ok_or(fault("took_ms"))?;
    let count = read.column("rows")?.as_primitive_opt::<UInt32Type>().ok_or(fault("rows"))?;
    let cut = read.column("features_cut")?.as_primitive_opt::<UInt32Type>().ok_or(fault("features_cut"))?;
    let signals = read.column("signals")?.as_list_opt::<i32>().ok_or(fault("signals"))?;
    for (index, row) in rows.iter_mut().enumerate() {
        row.at = Millis(at.value(index));
        row.generation = generation.value(index);
        row.status = status.value(index);
        row.took_ms = took.value(index);
        row.rows = count.value(index);
        row.features_cut = cut.value(index);
        let names = signals.value(index);
        let names = names.as_string_opt::<i32>().ok_or(fault("signals"))?;
        row.signals = names.iter().flatten().map(str::to_owned).collect();
    }
    Ok(rows)
}

const fn fault(column: &'static str) -> ColumnsError {
    ColumnsError::Schema { column }
}

/// A field of a row, to fill.
type Field<T> = fn(&mut Row) -> &mut T;

struct Reader<'a>(&'a RecordBatch);

impl<'a> Reader<'a> {
    fn column(&self, name: &'static str) -> Result<&'a ArrayRef, ColumnsError> {
        self.0.column_by_name(name).filter(|column| column.null_count() == 0).ok_or(fault(name))
    }

    fn texts(&self, name: &'static str, rows: &mut [Row], field: Field<String>) -> Result<(), ColumnsError> {
        let column = self.column(name)?.as_string_opt::<i32>().ok_or(fault(name))?;
        for (row, text) in rows.iter_mut().zip(column.iter()) {
            text.unwrap_or_default().clone_into(field(row));
        }
        Ok(())
    }

    fn floats(
        &self,
        name: &'static str,
        rows: &mut [Row],
        field: Field<Vec<f32>>,
    ) -> Result<(), ColumnsError> {
        let column = self.column(name)?.as_list_opt::<i32>().ok_or(fault(name))?;
        for (index, row) in rows.iter_mut().enumerate() {
            let values = column.value(index);
            let values = values.as_primitive_opt::<Float32Type>().ok_or(fault(name))?;
            *field(row) = values.values().to_vec();
            if values.null_count() > 0 {
                let places = field(row).iter_mut().enumerate().filter(|(at, _)| values.is_null(*at));
                places.for_each(|(_, value)| *value = NOT_RECORDED);
            }
        }
        Ok(())
    }
}
