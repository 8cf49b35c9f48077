//! Tables: rows whose cells belong to columns by their place, in JSON and as comma-separated values.

use mantlet_vocab::{Kind, NamedValue, Piece};

use super::cells::Cells;
use crate::json::Reader;
use crate::{Defect, Limits};

/// Rows of `columns` cells each, for the columns that are known already.
pub(super) fn rows(reader: &mut Reader<'_>, cells: &mut Cells<'_>, columns: usize) -> Result<(), Defect> {
    let mut row = 0_usize;
    reader.array(|reader| {
        cells.below(&row.to_string(), |cells| {
            let mut place = 0_usize;
            reader.array(|reader| {
                if place >= columns {
                    return Err(Defect::Ragged { tensor: "data".to_owned() });
                }
                cells.below(&place.to_string(), |cells| cells.cell(reader, place))?;
                place += 1;
                Ok(())
            })?;
            if place == columns { Ok(()) } else { Err(Defect::Ragged { tensor: "data".to_owned() }) }
        })?;
        row += 1;
        Ok(())
    })
}

/// Comma-separated values with a line of names (RFC 4180). A column is numbers when all its cells are; an empty cell
/// is a missing number or an empty text, as data frames read it.
pub(super) fn csv(body: &[u8], limits: &Limits) -> Result<(Vec<NamedValue>, Vec<Piece>), Defect> {
    if body.len() > limits.bytes {
        return Err(Defect::TooLarge { found: body.len(), limit: limits.bytes });
    }
    let text = std::str::from_utf8(body).map_err(|e| Defect::NotUtf8 { offset: e.valid_up_to() })?;
    // One reader strips the mark, another takes it for a part of the first name; some end the file at a zero.
    if let Some(offset) = text.find(['\0', '\u{feff}']) {
        return Err(Defect::Syntax { offset, expected: "text without zeros and byte order marks" });
    }
    let mut cells = Cells::new(limits);
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(body);
    let broken = |error: csv::Error| Defect::Syntax {
        offset: error.position().map_or(0, |at| usize::try_from(at.byte()).unwrap_or(usize::MAX)),
        expected: "rows with as many cells as there are names",
    };
    let names = reader.headers().map_err(broken)?.clone();
    for (place, name) in names.iter().enumerate() {
        if cells.column(name)? != place {
            return Err(Defect::DuplicateKey { offset: 0, key: name.chars().take(100).collect() });
        }
    }
    let mut left = limits.values;
    let mut record = csv::StringRecord::new();
    let mut row = 0_usize;
    while reader.read_record(&mut record).map_err(broken)? {
        for (place, cell) in record.iter().enumerate() {
            left = left.checked_sub(1).ok_or(Defect::TooMany { what: "values", limit: limits.values })?;
            let trimmed = cell.trim();
            let number = trimmed.parse::<f64>().ok();
            match number {
                // Infinities and the like are read as numbers by some and as words by others.
                Some(value) if !value.is_finite() => {
                    return Err(Defect::OutOfRange { offset: 0, datatype: "a number" });
                }
                Some(value) => cells.columns[place].number(0, value)?,
                None if trimmed.is_empty() => cells.columns[place].nothing(0)?,
                None => {
                    cells.below(&format!("{row}/{place}"), |cells| cells.piece(Kind::User, cell))?;
                    cells.columns[place].text(0, cell.to_owned())?;
                }
            }
            cells.columns[place].end_row();
        }
        row += 1;
    }
    cells.finish(false)
}
