//! Take-in: model files, the data set and lock files are examined before anything is loaded.

use std::path::Path;

use mantlet_datachecks::{Cell, ColumnSpec, Kind, TableSummary};
use mantlet_dataset::{Column, Dataset, DatasetError, Lane};
use mantlet_vocab::{Examination, Gap, Place};

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

/// Examines one table that has this name in reports. Rows are streamed: a table may have any number of them.
pub fn table_as(path: &Path, name: &str, label: Option<&str>) -> Examination {
    let place = Place::artifact(name.to_owned());
    let (summary, gaps) = match summarise(path, label) {
        Ok(own) => own,
        Err(error) => {
            let gap = Gap {
                what: name.to_owned(),
                why: error.to_string(),
                remedy: "correct the file; CSV with a header, JSON Lines, Parquet and Arrow are read"
                    .to_owned(),
            };
            return Examination { gaps: vec![gap], ..Examination::default() };
        }
    };
    let digest = mantlet_registry::disk::digest_file(path).ok();
    let size = path.metadata().map_or(0, |file| file.len());
    let mut examination = mantlet_datachecks::examine(&summary, place, size, digest, format(path));
    examination.gaps.extend(gaps.into_iter().map(|why| Gap {
        what: name.to_owned(),
        why,
        remedy: "leave the column out, or write it as numbers or words".to_owned(),
    }));
    examination
}

/// What the first bytes say.
fn format(path: &Path) -> &'static str {
    let mut head = [0; 6];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    match &head[..read.unwrap_or(0)] {
        [b'P', b'A', b'R', b'1', ..] => "parquet",
        b"ARROW1" => "arrow",
        [b'{', ..] => "json lines",
        _ => "csv",
    }
}

/// A cell that stands in a batch.
enum Held {
    Missing,
    Number(f64),
    Text,
}

/// A word as a cell; `00123` is an identifier and no number.
fn held(word: &str) -> Held {
    let digits = word.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Held::Text;
    }
    match Cell::parse(word) {
        Cell::Missing => Held::Missing,
        Cell::Number(number) => Held::Number(number),
        Cell::Text(_) => Held::Text,
    }
}

/// What a column means, by its first rows.
fn kind(column: &Column, lane: &Lane, label: Option<&str>) -> Kind {
    if Some(column.name.as_str()) == label {
        return Kind::Label;
    }
    let Lane::Words { keys, words } = lane else { return Kind::Numeric };
    let mut times = vec![0_usize; words.len()];
    keys.iter().for_each(|&key| times.get_mut(key as usize).into_iter().for_each(|times| *times += 1));
    let (mut numbers, mut texts, mut different) = (0_usize, 0_usize, 0_usize);
    for (word, times) in words.iter().zip(times).filter(|(_, times)| *times > 0) {
        match held(word) {
            Held::Number(_) => numbers += times,
            Held::Text => {
                texts += times;
                different += 1;
            }
            Held::Missing => {}
        }
    }
    if (texts == 0 && numbers > 0) || numbers > texts.saturating_mul(9) {
        Kind::Numeric
    } else if different > 200 {
        Kind::Text
    } else {
        Kind::Categorical
    }
}

/// Reads a table into a summary; says which columns cannot be read.
fn summarise(path: &Path, label: Option<&str>) -> Result<(TableSummary, Vec<String>), DatasetError> {
    let dataset = Dataset::open(&[path.to_owned()])?;
    let typed = matches!(format(path), "parquet" | "arrow");
    let (mut wanted, mut gaps) = (Vec::new(), Vec::new());
    for column in dataset.columns() {
        match column.kind {
            mantlet_dataset::Kind::Other => {
                gaps.push(format!(
                    "column `{}` holds {}, which are not read",
                    column.name,
                    column.kind.word()
                ));
            }
            // In a text, what stands there is looked at, not what could be read of it.
            mantlet_dataset::Kind::Numbers if typed => wanted.push(column.clone()),
            _ => wanted.push(Column { name: column.name.clone(), kind: mantlet_dataset::Kind::Words }),
        }
    }
    let mut summary: Option<TableSummary> = None;
    dataset.stream(&wanted, |_, lanes| {
        let summary = summary.get_or_insert_with(|| {
            let spec = |(column, lane): (&Column, &Lane)| {
                ColumnSpec::new(column.name.clone(), kind(column, lane, label))
            };
            TableSummary::new(wanted.iter().zip(&lanes).map(spec).collect())
        });
        let known: Vec<Vec<Held>> = lanes
            .iter()
            .map(|lane| match lane {
                Lane::Words { words, .. } => words.iter().map(|word| held(word)).collect(),
                Lane::Numbers(_) => Vec::new(),
            })
            .collect();
        for row in 0..lanes.first().map_or(0, Lane::len) {
            let mut cells: Vec<Cell<'_>> = Vec::with_capacity(lanes.len());
            for (lane, known) in lanes.iter().zip(&known) {
                cells.push(match lane {
                    Lane::Numbers(values) => match values.get(row) {
                        Some(value) if !value.is_nan() => Cell::Number(*value),
                        _ => Cell::Missing,
                    },
                    Lane::Words { keys, words } => {
                        let key = keys.get(row).map_or(usize::MAX, |&key| key as usize);
                        match (known.get(key), words.get(key)) {
                            (Some(Held::Number(number)), _) => Cell::Number(*number),
                            (Some(Held::Text), Some(word)) => Cell::Text(word),
                            _ => Cell::Missing,
                        }
                    }
                });
            }
            summary.row(&cells);
        }
        Ok(())
    })?;
    Ok((summary.unwrap_or_else(|| TableSummary::new(Vec::new())), gaps))
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
