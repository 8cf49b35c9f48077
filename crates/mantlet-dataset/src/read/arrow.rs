//! Parquet and Arrow IPC files.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::Take;
use crate::lane::{NO_WORD, Words};
use crate::window::date;
use crate::{BATCH, Column, DatasetError, Kind, Lane};

fn damaged(path: &Path, place: impl Into<String>, reason: &dyn std::fmt::Display) -> DatasetError {
    DatasetError::Damaged { path: path.to_owned(), place: place.into(), reason: reason.to_string() }
}

fn open(path: &Path) -> Result<File, DatasetError> {
    File::open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })
}

fn kind(of: &DataType) -> Kind {
    match of {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..) => Kind::Numbers,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Words,
        DataType::Dictionary(_, values) => match kind(values) {
            // Numbers behind a dictionary are categories.
            Kind::Numbers | Kind::Words => Kind::Words,
            other => other,
        },
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Kind::Times,
        _ => Kind::Other,
    }
}

fn of_schema(schema: &Schema) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column { name: field.name().clone(), kind: kind(field.data_type()) };
    schema.fields().iter().map(column).collect()
}

pub(super) fn parquet_columns(path: &Path) -> Result<Vec<Column>, DatasetError> {
    let metadata = ArrowReaderMetadata::load(&open(path)?, ArrowReaderOptions::new())
        .map_err(|wrong| damaged(path, "the footer", &wrong))?;
    Ok(of_schema(metadata.schema()))
}

pub(super) fn file_columns(path: &Path) -> Result<Vec<Column>, DatasetError> {
    let reader = FileReader::try_new(BufReader::new(open(path)?), None)
        .map_err(|wrong| damaged(path, "the footer", &wrong))?;
    Ok(of_schema(&reader.schema()))
}

pub(super) fn stream_parquet(
    path: &Path,
    wanted: &[Column],
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    let file = open(path)?;
    let footer = |wrong: parquet::errors::ParquetError| damaged(path, "the footer", &wrong);
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(footer)?;
    // Words as dictionaries: each is looked up once a batch instead of once a row.
    let fields = plain.schema().fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(field.as_ref().clone().with_data_type(words))
        }
        _ => Arc::clone(field),
    });
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), plain.schema().metadata().clone());
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_schema(Arc::new(schema)))
        .unwrap_or(plain);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let roots: Vec<usize> = builder
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| wanted.iter().any(|column| column.name == *field.name()))
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let rows: Vec<i64> = builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(footer)?;
    let mut done = 0_i64;
    for batch in reader {
        let mut left = done;
        let group = rows.iter().position(|rows| {
            left -= rows;
            left < 0
        });
        let place = || format!("row group {}", group.unwrap_or(rows.len().saturating_sub(1)));
        let batch = batch.map_err(|wrong| damaged(path, place(), &wrong))?;
        done = done.saturating_add(i64::try_from(batch.num_rows()).unwrap_or(i64::MAX));
        hand(path, &batch, wanted, take)?;
    }
    Ok(())
}

pub(super) fn stream_file(path: &Path, wanted: &[Column], take: &mut Take<'_>) -> Result<(), DatasetError> {
    let reader = FileReader::try_new(BufReader::new(open(path)?), None)
        .map_err(|wrong| damaged(path, "the footer", &wrong))?;
    for (number, batch) in reader.enumerate() {
        let batch = batch.map_err(|wrong| damaged(path, format!("batch {number}"), &wrong))?;
        for at in (0..batch.num_rows()).step_by(BATCH) {
            hand(path, &batch.slice(at, BATCH.min(batch.num_rows() - at)), wanted, take)?;
        }
    }
    Ok(())
}

fn hand(
    path: &Path,
    batch: &RecordBatch,
    wanted: &[Column],
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let mut lanes = Vec::with_capacity(wanted.len());
    for column in wanted {
        let array = batch.column_by_name(&column.name);
        let found = array.and_then(|array| lane(array, column.kind));
        let Some(lane) = found else {
            return Err(DatasetError::Kind {
                path: path.to_owned(),
                column: column.name.clone(),
                found: array.map_or("nothing", |array| kind(array.data_type()).word()),
                expected: column.kind.word(),
                other: "the profile".into(),
            });
        };
        lanes.push(lane);
    }
    take(lanes, &vec![0; wanted.len()])
}

/// An Arrow array as a column of that kind; nothing where it cannot be one.
pub(crate) fn lane(array: &ArrayRef, wanted: Kind) -> Option<Lane> {
    match wanted {
        Kind::Numbers => numbers(array).map(Lane::Numbers),
        Kind::Words => words(array).or_else(|| days(array)),
        Kind::Times => times(array).map(Lane::Numbers),
        Kind::Other => None,
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef, number: impl Fn(T::Native) -> f64) -> Vec<f64> {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        return array.values().iter().map(|&value| number(value)).collect();
    }
    array.iter().map(|value| value.map_or(f64::NAN, &number)).collect()
}

/// Seconds since 1970 in UTC.
#[expect(clippy::cast_precision_loss, reason = "what is lost of a time is below a microsecond")]
fn times(array: &ArrayRef) -> Option<Vec<f64>> {
    use arrow_schema::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    const DAY: f64 = 86_400.0;
    Some(match array.data_type() {
        DataType::Timestamp(Second, _) => primitive::<TimestampSecondType>(array, |value| value as f64),
        DataType::Timestamp(Millisecond, _) => {
            primitive::<TimestampMillisecondType>(array, |value| value as f64 / 1e3)
        }
        DataType::Timestamp(Microsecond, _) => {
            primitive::<TimestampMicrosecondType>(array, |value| value as f64 / 1e6)
        }
        DataType::Timestamp(Nanosecond, _) => {
            primitive::<TimestampNanosecondType>(array, |value| value as f64 / 1e9)
        }
        DataType::Date32 => primitive::<Date32Type>(array, |value| f64::from(value) * DAY),
        DataType::Date64 => primitive::<Date64Type>(array, |value| value as f64 / 1e3),
        _ => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "above 2^53 only, where buckets are wider than the loss")]
fn numbers(array: &ArrayRef) -> Option<Vec<f64>> {
    Some(match array.data_type() {
        DataType::Int8 => primitive::<Int8Type>(array, f64::from),
        DataType::Int16 => primitive::<Int16Type>(array, f64::from),
        DataType::Int32 => primitive::<Int32Type>(array, f64::from),
        DataType::Int64 => primitive::<Int64Type>(array, |value| value as f64),
        DataType::UInt8 => primitive::<UInt8Type>(array, f64::from),
        DataType::UInt16 => primitive::<UInt16Type>(array, f64::from),
        DataType::UInt32 => primitive::<UInt32Type>(array, f64::from),
        DataType::UInt64 => primitive::<UInt64Type>(array, |value| value as f64),
        DataType::Float32 => primitive::<Float32Type>(array, f64::from),
        DataType::Float64 => primitive::<Float64Type>(array, |value| value),
        DataType::Decimal128(_, scale) => {
            let unit = 10_f64.powi(-i32::from(*scale));
            primitive::<Decimal128Type>(array, |value| value as f64 * unit)
        }
        DataType::Boolean => array
            .as_boolean()
            .iter()
            .map(|value| value.map_or(f64::NAN, |v| f64::from(u8::from(v))))
            .collect(),
        _ => return None,
    })
}

/// Dates and times as the words of their days, `2026-11-03`.
fn days(array: &ArrayRef) -> Option<Lane> {
    let mut words = Words::default();
    for seconds in times(array)? {
        let day = if seconds.is_nan() { None } else { date((seconds / 86_400.0).floor()) };
        words.push(day.map(|day| day.to_string()).as_deref());
    }
    Some(words.finish())
}

fn spelled<T: ArrowPrimitiveType>(array: &ArrayRef, words: &mut Words)
where
    T::Native: std::fmt::Display,
{
    array.as_primitive::<T>().iter().for_each(|value| words.push(value.map(|v| v.to_string()).as_deref()));
}

fn words(array: &ArrayRef) -> Option<Lane> {
    let mut words = Words::default();
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().for_each(|word| words.push(word)),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(|word| words.push(word)),
        DataType::Utf8View => array.as_string_view().iter().for_each(|word| words.push(word)),
        // Whole numbers keep all their digits; identifiers often have more than a float holds.
        DataType::Int8 => spelled::<Int8Type>(array, &mut words),
        DataType::Int16 => spelled::<Int16Type>(array, &mut words),
        DataType::Int32 => spelled::<Int32Type>(array, &mut words),
        DataType::Int64 => spelled::<Int64Type>(array, &mut words),
        DataType::UInt8 => spelled::<UInt8Type>(array, &mut words),
        DataType::UInt16 => spelled::<UInt16Type>(array, &mut words),
        DataType::UInt32 => spelled::<UInt32Type>(array, &mut words),
        DataType::UInt64 => spelled::<UInt64Type>(array, &mut words),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let values = dictionary.values();
            let words = match values.data_type() {
                DataType::Utf8 => values.as_string::<i32>().iter().map(word).collect(),
                DataType::LargeUtf8 => values.as_string::<i64>().iter().map(word).collect(),
                DataType::Utf8View => values.as_string_view().iter().map(word).collect(),
                _ => numbers(values)?.into_iter().map(|value| value.to_string()).collect::<Vec<_>>(),
            };
            // A dictionary without a word: every row is missing.
            if words.is_empty() {
                return Some(Lane::Words { keys: vec![NO_WORD; array.len()], words });
            }
            let nulls = array.logical_nulls();
            let keys = dictionary.normalized_keys();
            let key = |(row, key): (usize, usize)| {
                let missing = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                if missing { NO_WORD } else { u32::try_from(key).unwrap_or(NO_WORD) }
            };
            let keys = keys.into_iter().enumerate().map(key).collect();
            return Some(Lane::Words { keys, words });
        }
        _ => {
            for value in numbers(array)? {
                words.push((!value.is_nan()).then(|| value.to_string()).as_deref());
            }
        }
    }
    Some(words.finish())
}

fn word(word: Option<&str>) -> String {
    word.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, TimestampMillisecondArray};

    use super::*;

    #[test]
    fn times_are_read_as_the_words_of_their_days() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(11_017), Some(-1)]));
        let lane = days(&dates.slice(0, 4)).unwrap();
        let word = |row| lane.word(row).map(|word| word.into_owned());
        let want = [Some("1970-01-01"), None, Some("2000-03-01"), Some("1969-12-31")];
        assert_eq!([0, 1, 2, 3].map(word), want.map(|word| word.map(str::to_owned)));
        let times: ArrayRef =
            Arc::new(TimestampMillisecondArray::from(vec![0, 951_868_800_000, 951_955_199_999]));
        let lane = days(&times.slice(1, 2)).unwrap();
        assert_eq!(lane.word(0).as_deref(), Some("2000-03-01"));
        assert_eq!(lane.word(1).as_deref(), Some("2000-03-01"));
    }
}
