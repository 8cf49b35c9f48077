//! JSON Lines: one object a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde_json::{Map, Value};

use super::{Found, Take, time};
use crate::lane::Words;
use crate::{BATCH_BYTES, COLUMNS_MOST, Column, DatasetError, Kind, Lane, ROW_MOST, batch_of};

/// Rows from which the columns are told.
const HEAD: u64 = 10_000;

struct Lines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
        Ok(Self { path, file: BufReader::new(file), line: Vec::new(), number: 0 })
    }

    fn next(&mut self) -> Result<Option<Map<String, Value>>, DatasetError> {
        loop {
            self.line.clear();
            let mut bounded = self.file.by_ref().take(ROW_MOST);
            let count = bounded
                .read_until(b'\n', &mut self.line)
                .map_err(|source| DatasetError::Io { path: self.path.to_owned(), source })?;
            if count == 0 {
                return Ok(None);
            }
            self.number += 1;
            let damaged = |reason: String| DatasetError::Damaged {
                path: self.path.to_owned(),
                place: format!("line {}", self.number),
                reason,
            };
            if count as u64 == ROW_MOST {
                return Err(damaged(format!("the line is longer than {ROW_MOST} bytes")));
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice(&self.line) {
                Ok(Value::Object(row)) => Ok(Some(row)),
                Ok(_) => Err(damaged("the line is no object".into())),
                Err(wrong) => Err(damaged(format!("it is no JSON: {wrong}"))),
            };
        }
    }
}

pub(super) fn columns(path: &Path) -> Result<Vec<Found>, DatasetError> {
    let mut lines = Lines::open(path)?;
    // Objects have no order of keys to rely on.
    let mut columns: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    while lines.number < HEAD {
        let Some(row) = lines.next()? else { break };
        for (name, value) in row {
            let seen = columns.entry(name).or_default();
            match value {
                Value::Null => {}
                Value::Number(_) | Value::Bool(_) => seen[0] += 1,
                Value::String(word) if time(&word).is_some() => seen[2] += 1,
                Value::String(_) => seen[1] += 1,
                Value::Array(_) | Value::Object(_) => seen[3] += 1,
            }
        }
        // Rows of a hostile file may each bring names of their own.
        if columns.len() > COLUMNS_MOST {
            let found = columns.len();
            return Err(DatasetError::Wide { path: path.to_owned(), found, most: COLUMNS_MOST });
        }
    }
    if lines.number == 0 {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    let kind = |[numbers, words, times, other]: [u64; 4]| {
        let mostly = |part: u64| part > 0 && part * 100 >= (numbers + words + times) * 95;
        if other > 0 {
            Kind::Other
        } else if mostly(numbers) {
            Kind::Numbers
        } else if mostly(times) {
            Kind::Times
        } else {
            Kind::Words
        }
    };
    let found = |(name, seen): (String, [u64; 4])| Found {
        column: Column { name, kind: kind(seen) },
        is_empty: seen == [0; 4],
    };
    Ok(columns.into_iter().map(found).collect())
}

pub(super) fn stream(path: &Path, wanted: &[Column], take: &mut Take<'_>) -> Result<(), DatasetError> {
    let mut lines = Lines::open(path)?;
    let batch = batch_of(wanted.len());
    loop {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        // Whole lines are held, also what is not wanted of them.
        while rows.len() < batch && bytes < BATCH_BYTES {
            let Some(row) = lines.next()? else { break };
            bytes += lines.line.len();
            rows.push(row);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let mut unreadable = vec![0; wanted.len()];
        let lanes = wanted
            .iter()
            .zip(&mut unreadable)
            .map(|(column, unreadable)| lane(&rows, column, unreadable))
            .collect();
        take(lanes, &unreadable)?;
    }
}

fn lane(rows: &[Map<String, Value>], column: &Column, unreadable: &mut u64) -> Lane {
    let cells = rows.iter().map(|row| row.get(&column.name).unwrap_or(&Value::Null));
    if matches!(column.kind, Kind::Numbers | Kind::Times) {
        let number = |cell: &Value| {
            let value = match cell {
                Value::String(word) if column.kind == Kind::Times => time(word),
                _ if column.kind == Kind::Times => None,
                Value::Number(value) => value.as_f64(),
                Value::Bool(value) => Some(f64::from(u8::from(*value))),
                _ => None,
            };
            *unreadable += u64::from(value.is_none() && !cell.is_null());
            value.unwrap_or(f64::NAN)
        };
        return Lane::Numbers(cells.map(number).collect());
    }
    let mut words = Words::default();
    for cell in cells {
        match cell {
            Value::Null => words.push(None),
            Value::String(word) => words.push(Some(word)),
            other => words.push(Some(&other.to_string())),
        }
    }
    words.finish()
}
