//! JSON Lines: one object a line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde_json::{Map, Value};

use super::{Take, time};
use crate::lane::Words;
use crate::{BATCH, Column, DatasetError, Kind, Lane, ROW_MOST};

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

pub(super) fn columns(path: &Path) -> Result<Vec<Column>, DatasetError> {
    let mut lines = Lines::open(path)?;
    let mut columns: Vec<(String, [u64; 4])> = Vec::new();
    while lines.number < HEAD {
        let Some(row) = lines.next()? else { break };
        for (name, value) in row {
            let at = columns.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
                columns.push((name, [0; 4]));
                columns.len() - 1
            });
            match value {
                Value::Null => {}
                Value::Number(_) | Value::Bool(_) => columns[at].1[0] += 1,
                Value::String(word) if time(&word).is_some() => columns[at].1[2] += 1,
                Value::String(_) => columns[at].1[1] += 1,
                Value::Array(_) | Value::Object(_) => columns[at].1[3] += 1,
            }
        }
    }
    if lines.number == 0 {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    // Objects have no order of keys to rely on.
    columns.sort();
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
    Ok(columns.into_iter().map(|(name, seen)| Column { name, kind: kind(seen) }).collect())
}

pub(super) fn stream(path: &Path, wanted: &[Column], take: &mut Take<'_>) -> Result<(), DatasetError> {
    let mut lines = Lines::open(path)?;
    loop {
        let mut rows = Vec::with_capacity(BATCH);
        while rows.len() < BATCH {
            let Some(row) = lines.next()? else { break };
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
