//! Parquet and Arrow IPC files.
//!
//! Long because two formats share one way from arrays to lanes, and what is refused of each stands beside how it is read.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader as _};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use parquet::file::metadata::RowGroupMetaData;

use super::history::{Batches, From, Heads, Unfold, heads, is_history};
use super::{Found, Take};
use crate::lane::{NO_WORD, Words};
use crate::window::date;
use crate::{Column, DatasetError, Kind, Lane, batch_of};

/// Bytes that one column may take in one row group once it is unpacked, or one batch of an Arrow file.
const CHUNK_MOST: u64 = 1 << 30;
/// Bytes of an Arrow file's footer.
const FOOTER_MOST: u64 = 64 << 20;

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
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Kind::Numbers,
        // Nothing but missing values, which words are read from as well as from anything.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Kind::Words,
        DataType::Dictionary(_, values) => match kind(values) {
            // Numbers behind a dictionary are categories.
            Kind::Numbers | Kind::Words => Kind::Words,
            other => other,
        },
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Kind::Times,
        _ => Kind::Other,
    }
}

fn of_schema(schema: &Schema) -> Vec<Found> {
    let found = |field: &Arc<Field>| Found {
        column: Column { name: field.name().clone(), kind: kind(field.data_type()) },
        is_empty: *field.data_type() == DataType::Null,
    };
    schema.fields().iter().map(found).collect()
}

pub(super) fn parquet_columns(path: &Path) -> Result<Vec<Found>, DatasetError> {
    let metadata = ArrowReaderMetadata::load(&open(path)?, ArrowReaderOptions::new())
        .map_err(|wrong| damaged(path, "the footer", &wrong))?;
    Ok(of_schema(metadata.schema()))
}

pub(super) fn file_columns(path: &Path) -> Result<Vec<Found>, DatasetError> {
    let reader = open_batches(path)?;
    Ok(of_schema(&reader.schema()))
}

/// What the lists of a Parquet file hold, when it is a history.
pub(super) fn parquet_history(path: &Path) -> Result<Option<Heads>, DatasetError> {
    let metadata = ArrowReaderMetadata::load(&open(path)?, ArrowReaderOptions::new())
        .map_err(|wrong| damaged(path, "the footer", &wrong))?;
    if !is_history(metadata.schema()) {
        return Ok(None);
    }
    let groups = metadata.metadata().row_groups();
    let batches = |names: &[&str]| -> Result<Batches, DatasetError> {
        for (group, of) in groups.iter().enumerate() {
            bound_chunks(path, group, of, names)?;
        }
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(open(path)?, metadata.clone());
        let mask = mask_of(&builder, names);
        let reader = builder.with_projection(mask).with_batch_size(crate::FEW * 4).build();
        let reader = reader.map_err(|wrong| damaged(path, "the footer", &wrong))?;
        let path = path.to_owned();
        Ok(Box::new(reader.map(move |batch| batch.map_err(|wrong| damaged(&path, "the first rows", &wrong)))))
    };
    heads(path, batches, batches).map(Some)
}

/// The same of an Arrow file.
pub(super) fn file_history(path: &Path) -> Result<Option<Heads>, DatasetError> {
    let reader = open_batches(path)?;
    if !is_history(&reader.schema()) {
        return Ok(None);
    }
    let batches = |_: &[&str]| -> Result<Batches, DatasetError> {
        let (reader, path) = (open_batches(path)?, path.to_owned());
        let told = move |(number, batch): (usize, Result<RecordBatch, _>)| {
            batch.map_err(|wrong| damaged(&path, format!("batch {number}"), &wrong))
        };
        Ok(Box::new(reader.enumerate().map(told)))
    };
    heads(path, batches, batches).map(Some)
}

/// The rows of each row group of a Parquet file.
pub(crate) fn row_groups(path: &Path) -> Result<Vec<u64>, DatasetError> {
    let metadata = ArrowReaderMetadata::load(&open(path)?, ArrowReaderOptions::new())
        .map_err(|wrong| damaged(path, "the footer", &wrong))?;
    Ok(metadata.metadata().row_groups().iter().map(rows_of).collect())
}

fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

/// Refuses columns whose part of a row group would not fit into memory when it is unpacked.
fn bound_chunks(
    path: &Path,
    group: usize,
    of: &RowGroupMetaData,
    wanted: &[&str],
) -> Result<(), DatasetError> {
    for chunk in of.columns() {
        let name = chunk.column_path().parts().first().map_or("", String::as_str);
        let size = u64::try_from(chunk.uncompressed_size()).unwrap_or(u64::MAX);
        if size > CHUNK_MOST && wanted.contains(&name) {
            let reason = format!(
                "{size} bytes unpacked are more than the {CHUNK_MOST} that are read at once; write row groups of fewer \
                 rows, or leave the column out"
            );
            return Err(damaged(path, place(group, Some(name)), &reason));
        }
    }
    Ok(())
}

/// `row group 3, column `x``.
fn place(group: usize, column: Option<&str>) -> String {
    column.map_or_else(|| format!("row group {group}"), |name| format!("row group {group}, column `{name}`"))
}

/// The first of the wanted columns that cannot be read to the end of a row group by itself.
fn culprit<'a>(
    path: &Path,
    metadata: &ArrowReaderMetadata,
    group: usize,
    wanted: &[&'a str],
) -> Option<&'a str> {
    let fails = |name: &&&str| {
        let Ok(file) = open(path) else { return false };
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
        let mask = mask_of(&builder, std::slice::from_ref(*name));
        let reader =
            builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(batch_of(1)).build();
        reader.map_or(true, |mut batches| batches.any(|batch| batch.is_err()))
    };
    wanted.iter().find(fails).copied()
}

fn mask_of(builder: &ParquetRecordBatchReaderBuilder<File>, wanted: &[&str]) -> ProjectionMask {
    let names: HashSet<&str> = wanted.iter().copied().collect();
    let fields = builder.schema().fields().iter().enumerate();
    let roots = fields
        .filter(|(_, field)| names.contains(field.name().as_str()))
        .map(|(at, _)| at)
        .collect::<Vec<_>>();
    ProjectionMask::roots(builder.parquet_schema(), roots)
}

/// Streams the row groups, all of them when none are named.
pub(super) fn stream_parquet(
    path: &Path,
    groups: Option<Range<usize>>,
    (wanted, unfold): (&[Column], Option<&Unfold>),
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    let from: Vec<From> = wanted.iter().map(|column| From::of(column, unfold)).collect();
    let roots: Vec<&str> = from.iter().flat_map(From::roots).collect();
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
    let all = metadata.metadata().num_row_groups();
    let groups = groups.unwrap_or(0..all);
    if groups.end > all {
        return Err(damaged(path, "the footer", &format!("{all} row groups, and there were {}", groups.end)));
    }
    let mut rows = Vec::new();
    for group in groups.clone() {
        let of = metadata.metadata().row_group(group);
        bound_chunks(path, group, of, &roots)?;
        rows.push(rows_of(of));
    }
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
    let mask = mask_of(&builder, &roots);
    let reader = builder
        .with_projection(mask)
        .with_row_groups(groups.clone().collect())
        .with_batch_size(batch_of(wanted.len()))
        .build()
        .map_err(footer)?;
    let places = places(&reader.schema(), wanted);
    let mut done = 0_u64;
    for batch in reader {
        let batch = batch.map_err(|wrong| {
            let mut left = done;
            let within = rows.iter().position(|&rows| {
                let is_within = left < rows;
                left = left.saturating_sub(rows);
                is_within
            });
            // A batch may reach into the next row group: the fault may lie there.
            let first = groups.start + within.unwrap_or(rows.len().saturating_sub(1));
            let found = (first..groups.end.min(first + 2))
                .find_map(|group| Some((group, culprit(path, &metadata, group, &roots)?)));
            let (group, column) = found.map_or((first, None), |(group, name)| (group, Some(name)));
            damaged(path, place(group, column), &wrong)
        })?;
        done = done.saturating_add(batch.num_rows() as u64);
        hand(path, &batch, (wanted, &places, &from), take)?;
    }
    Ok(())
}

/// An Arrow file whose batches are each of a size that is read at once.
fn open_batches(path: &Path) -> Result<FileReader<BufReader<File>>, DatasetError> {
    let footer = |wrong: &dyn std::fmt::Display| damaged(path, "the footer", wrong);
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(open(path)?);
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    // Signature, footer, its length, signature.
    let mut tail = [0; 10];
    if length < 20 {
        return Err(footer(&"the file ends before it"));
    }
    file.seek(SeekFrom::End(-10)).map_err(io)?;
    file.read_exact(&mut tail).map_err(io)?;
    let size = arrow_ipc::reader::read_footer_length(tail).map_err(|wrong| footer(&wrong))?;
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    if size > FOOTER_MOST || size + 10 > length {
        return Err(footer(&format!("its length of {size} bytes is none")));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(length - 10 - size)).map_err(io)?;
    file.by_ref().take(size).read_to_end(&mut bytes).map_err(io)?;
    let blocks = arrow_ipc::root_as_footer(&bytes).map_err(|wrong| footer(&wrong))?;
    let sizes = [("batch", blocks.recordBatches()), ("dictionary", blocks.dictionaries())];
    for (what, blocks) in sizes {
        for (number, block) in blocks.into_iter().flatten().enumerate() {
            let size = block.bodyLength().saturating_add(i64::from(block.metaDataLength()));
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            if size > CHUNK_MOST || size > length {
                let reason = format!(
                    "{size} bytes are more than the file has, or the {CHUNK_MOST} that are read at once"
                );
                return Err(damaged(path, format!("{what} {number}"), &reason));
            }
        }
    }
    file.rewind().map_err(io)?;
    FileReader::try_new(file, None).map_err(|wrong| footer(&wrong))
}

pub(super) fn stream_file(
    path: &Path,
    (wanted, unfold): (&[Column], Option<&Unfold>),
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    let from: Vec<From> = wanted.iter().map(|column| From::of(column, unfold)).collect();
    let reader = open_batches(path)?;
    let places = places(&reader.schema(), wanted);
    let most = batch_of(wanted.len());
    for (number, batch) in reader.enumerate() {
        let batch = batch.map_err(|wrong| damaged(path, format!("batch {number}"), &wrong))?;
        for at in (0..batch.num_rows()).step_by(most) {
            let rows = batch.slice(at, most.min(batch.num_rows() - at));
            hand(path, &rows, (wanted, &places, &from), take)?;
        }
    }
    Ok(())
}

/// Where the wanted columns stand.
fn places(schema: &Schema, wanted: &[Column]) -> Vec<Option<usize>> {
    let fields = schema.fields().iter().enumerate();
    let named: HashMap<&str, usize> = fields.map(|(at, field)| (field.name().as_str(), at)).collect();
    wanted.iter().map(|column| named.get(column.name.as_str()).copied()).collect()
}

fn hand(
    path: &Path,
    batch: &RecordBatch,
    (wanted, places, from): (&[Column], &[Option<usize>], &[From]),
    take: &mut Take<'_>,
) -> Result<(), DatasetError> {
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let mut lanes = Vec::with_capacity(wanted.len());
    for ((column, place), from) in wanted.iter().zip(places).zip(from) {
        let array = match from {
            From::Plain(_) => place.and_then(|place| batch.columns().get(place)).cloned(),
            other => other.array(batch),
        };
        let found = array.as_ref().and_then(|array| lane(array, column.kind));
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
        Kind::Numbers | Kind::Times if *array.data_type() == DataType::Null => {
            Some(Lane::Numbers(vec![f64::NAN; array.len()]))
        }
        Kind::Words if *array.data_type() == DataType::Null => {
            Some(Lane::Words { keys: vec![NO_WORD; array.len()], words: Vec::new() })
        }
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
        DataType::Decimal32(_, scale) => {
            let unit = 10_f64.powi(-i32::from(*scale));
            primitive::<Decimal32Type>(array, |value| f64::from(value) * unit)
        }
        DataType::Decimal64(_, scale) => {
            let unit = 10_f64.powi(-i32::from(*scale));
            primitive::<Decimal64Type>(array, |value| value as f64 * unit)
        }
        DataType::Decimal128(_, scale) => {
            let unit = 10_f64.powi(-i32::from(*scale));
            primitive::<Decimal128Type>(array, |value| value as f64 * unit)
        }
        DataType::Decimal256(_, scale) => {
            let unit = 10_f64.powi(-i32::from(*scale));
            // No float is as wide; its digits are.
            primitive::<Decimal256Type>(array, |value| value.to_string().parse().unwrap_or(f64::NAN) * unit)
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
