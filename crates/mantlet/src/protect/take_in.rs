//! Take-in: model files, the data set and lock files are examined before anything is loaded.

use std::path::Path;

use mantlet_columns::{Cells, Table, TableLimits, read_table};
use mantlet_datachecks::{Cell, ColumnSpec, Kind, TableSummary};
use mantlet_vocab::{Digest, Examination, Gap, Place};

use crate::config::Loaded;

/// One part of the take-in.
pub struct Part {
    /// `model`, `data` or `dependencies`.
    pub name: &'static str,
    /// What was found in it.
    pub examination: Examination,
}

/// The largest lock file read, in bytes.
const LOCK_MOST: u64 = 16 << 20;

/// Examines everything the configuration names.
pub fn take_in(loaded: &Loaded, progress: &mut dyn mantlet_scan::Progress) -> Vec<Part> {
    let model = loaded.path(&loaded.config.model.path);
    let options = mantlet_scan::Options { full_content: true, ..mantlet_scan::Options::default() };
    let mut parts =
        vec![Part { name: "model", examination: mantlet_scan::scan(&[model], &options, progress) }];
    if let Some(data) = &loaded.config.data {
        let mut examination = table(&loaded.path(&data.train), data.label.as_deref());
        if let Some(test) = &data.test {
            examination.merge(table(&loaded.path(test), data.label.as_deref()));
        }
        parts.push(Part { name: "data", examination });
    }
    let locks: Vec<_> = loaded.config.dependencies.lock.iter().map(|lock| loaded.path(lock)).collect();
    if !locks.is_empty() {
        let mut examination = Examination::default();
        locks.iter().for_each(|path| examination.merge(lock(path)));
        parts.push(Part { name: "dependencies", examination });
    }
    parts
}

/// Examines one table.
pub fn table(path: &Path, label: Option<&str>) -> Examination {
    table_as(path, &path.display().to_string(), label)
}

/// Examines one table that has this name in reports.
pub fn table_as(path: &Path, name: &str, label: Option<&str>) -> Examination {
    let place = Place::artifact(name.to_owned());
    let table = match read_table(path, &TableLimits::default()) {
        Ok(table) => table,
        Err(error) => {
            let gap = Gap {
                what: name.to_owned(),
                why: error.to_string(),
                remedy: "correct the file; CSV with a header and Parquet are read".to_owned(),
            };
            return Examination { gaps: vec![gap], ..Examination::default() };
        }
    };
    let summary = summarise(&table, label);
    let bytes = std::fs::read(path).unwrap_or_default();
    let format = if bytes.starts_with(b"PAR1") { "parquet" } else { "csv" };
    let mut examination =
        mantlet_datachecks::examine(&summary, place, bytes.len() as u64, Some(Digest::of(&bytes)), format);
    if table.cut {
        examination.gaps.push(Gap {
            what: format!("{name}: rows after the first {}", table.rows),
            why: "the table is larger than what is read at once".to_owned(),
            remedy: "check it in parts".to_owned(),
        });
    }
    examination
}

fn summarise(table: &Table, label: Option<&str>) -> TableSummary {
    let specs = table.columns.iter().map(|column| {
        let kind = match &column.cells {
            _ if Some(column.name.as_str()) == label => Kind::Label,
            Cells::Integers(_) | Cells::Numbers(_) => Kind::Numeric,
            Cells::Texts(texts) => {
                let distinct: std::collections::BTreeSet<_> = texts.iter().flatten().take(5_000).collect();
                if distinct.len() > 200 { Kind::Text } else { Kind::Categorical }
            }
        };
        ColumnSpec::new(column.name.clone(), kind)
    });
    let mut summary = TableSummary::new(specs.collect());
    for row in 0..table.rows {
        let cells: Vec<Cell<'_>> = table
            .columns
            .iter()
            .map(|column| match &column.cells {
                Cells::Texts(texts) => {
                    texts.get(row).and_then(Option::as_deref).map_or(Cell::Missing, Cell::Text)
                }
                numbers => numbers.number(row).map_or(Cell::Missing, Cell::Number),
            })
            .collect();
        summary.row(&cells);
    }
    summary
}

/// Examines one lock file.
pub fn lock(path: &Path) -> Examination {
    let name = path.display().to_string();
    let gap = |why: String, remedy: &str| Examination {
        gaps: vec![Gap { what: name.clone(), why, remedy: remedy.to_owned() }],
        ..Examination::default()
    };
    match std::fs::metadata(path) {
        Err(error) => return gap(error.to_string(), "correct the path in `dependencies.lock`"),
        Ok(metadata) if metadata.len() > LOCK_MOST => {
            return gap(
                format!("it has {} bytes", metadata.len()),
                "a lock file of more than 16 MiB is not read",
            );
        }
        Ok(_) => {}
    }
    let file = path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    match std::fs::read_to_string(path) {
        Ok(text) => mantlet_deps::check(&file, &text, Place::artifact(name)),
        Err(error) => gap(error.to_string(), "a lock file is UTF-8 text"),
    }
}
