//! CSV with a header line; the separator is the one of `,` `;` tab `|` that the header holds most often.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::{Found, Take, is_missing, number, time};
use crate::lane::Words;
use crate::{BATCH_BYTES, Column, DatasetError, Kind, Lane, ROW_MOST, batch_of};

/// Rows from which the kinds of columns are told.
const HEAD: usize = 10_000;

/// A file that gives up when one row takes more bytes than a row may.
struct Bounded {
    file: File,
    since_row: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.since_row.set(self.since_row.get() + count as u64);
        if self.since_row.get() > ROW_MOST {
            return Err(io::Error::other(format!("a row is longer than {ROW_MOST} bytes")));
        }
        Ok(count)
    }
}

struct Rows {
    reader: csv::Reader<io::Chain<io::Cursor<Vec<u8>>, Bounded>>,
    since_row: Rc<Cell<u64>>,
    names: Vec<String>,
}

fn open(path: &Path) -> Result<Rows, DatasetError> {
    let fault = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(fault)?;
    let mut head = Vec::new();
    file.by_ref().take(64 << 10).read_to_end(&mut head).map_err(fault)?;
    // A byte-order mark of UTF-8 is not part of the first name.
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let since_row = Rc::new(Cell::new(0));
    let separator = separator(&head);
    let rest = Bounded { file, since_row: Rc::clone(&since_row) };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).from_reader(io::Cursor::new(head).chain(rest));
    let headers = reader.headers().map_err(|wrong| damaged(path, &wrong))?;
    let names: Vec<String> = headers.iter().map(|name| name.trim().to_owned()).collect();
    Ok(Rows { reader, since_row, names })
}

impl Rows {
    fn next(&mut self, path: &Path, record: &mut csv::StringRecord) -> Result<bool, DatasetError> {
        self.since_row.set(0);
        self.reader.read_record(record).map_err(|wrong| damaged(path, &wrong))
    }
}

fn damaged(path: &Path, wrong: &csv::Error) -> DatasetError {
    let line = wrong.position().map_or(0, csv::Position::line);
    let reason = match wrong.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "bytes that are not UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "it cannot be read as CSV".to_owned(),
    };
    DatasetError::Damaged { path: path.to_owned(), place: format!("line {line}"), reason }
}

/// The separator the first line holds most often outside quotes.
fn separator(head: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for &byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => counts.iter_mut().filter(|(c, _)| *c == byte).for_each(|(_, n)| *n += 1),
            _ => {}
        }
    }
    // Of equal counts the earlier wins.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(byte, _)| *byte)
}

pub(super) fn columns(path: &Path) -> Result<Vec<Found>, DatasetError> {
    let mut rows = open(path)?;
    let mut record = csv::StringRecord::new();
    let mut seen = vec![(0_usize, 0_usize, 0_usize); rows.names.len()];
    let mut count = 0;
    while count < HEAD && rows.next(path, &mut record)? {
        count += 1;
        for ((present, numbers, times), cell) in seen.iter_mut().zip(record.iter()) {
            let cell = cell.trim();
            if !is_missing(cell) {
                *present += 1;
                *numbers += usize::from(number(cell).is_some());
                *times += usize::from(time(cell).is_some());
            }
        }
    }
    if count == 0 {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    // A stray word in a column of numbers is a fault of the row, not the nature of the column.
    let mostly = |part: usize, present: usize| present > 0 && part * 100 >= present * 95;
    let kind = |&(present, numbers, times): &(usize, usize, usize)| match () {
        () if mostly(numbers, present) => Kind::Numbers,
        () if mostly(times, present) => Kind::Times,
        () => Kind::Words,
    };
    let found = |(name, seen): (String, &(usize, usize, usize))| Found {
        column: Column { name, kind: kind(seen) },
        is_empty: seen.0 == 0,
    };
    Ok(rows.names.into_iter().zip(&seen).map(found).collect())
}

enum Held {
    /// And how a cell is read as one: a number, or a time.
    Numbers(Vec<f64>, fn(&str) -> Option<f64>),
    Words(Words),
}

pub(super) fn stream(path: &Path, wanted: &[Column], take: &mut Take<'_>) -> Result<(), DatasetError> {
    let mut rows = open(path)?;
    let named: HashMap<&str, usize> =
        rows.names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let places: Vec<Option<usize>> =
        wanted.iter().map(|column| named.get(column.name.as_str()).copied()).collect();
    let batch = batch_of(wanted.len());
    let fresh = || -> Vec<Held> {
        wanted
            .iter()
            .map(|column| match column.kind {
                Kind::Numbers => Held::Numbers(Vec::with_capacity(batch), number),
                Kind::Times => Held::Numbers(Vec::with_capacity(batch), time),
                _ => Held::Words(Words::default()),
            })
            .collect()
    };
    let mut record = csv::StringRecord::new();
    let mut lanes = fresh();
    let mut unreadable = vec![0; wanted.len()];
    let (mut held, mut bytes) = (0, 0);
    loop {
        let more = rows.next(path, &mut record)?;
        if held == batch || bytes >= BATCH_BYTES || (!more && held > 0) {
            let full = std::mem::replace(&mut lanes, fresh()).into_iter().map(|lane| match lane {
                Held::Numbers(values, _) => Lane::Numbers(values),
                Held::Words(words) => words.finish(),
            });
            take(full.collect(), &unreadable)?;
            unreadable.fill(0);
            (held, bytes) = (0, 0);
        }
        if !more {
            return Ok(());
        }
        held += 1;
        bytes += record.as_slice().len();
        for ((lane, place), unreadable) in lanes.iter_mut().zip(&places).zip(&mut unreadable) {
            let cell = place.and_then(|place| record.get(place)).map_or("", str::trim);
            let cell = (!is_missing(cell)).then_some(cell);
            match lane {
                Held::Numbers(values, read) => {
                    let value = cell.and_then(*read);
                    *unreadable += u64::from(cell.is_some() && value.is_none());
                    values.push(value.unwrap_or(f64::NAN));
                }
                Held::Words(words) => words.push(cell),
            }
        }
    }
}
