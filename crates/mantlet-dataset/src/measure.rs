//! The two passes over a reference, and the one over what came later.

use std::collections::{HashMap, HashSet};

use mantlet_drift::{Buckets, ColumnProfile, Counts, Cube, DriftError, Layout, Profile, crossed};

use crate::gather::{Counted, Engine, Job, Pass, Reference, Sketch, Sketched, Stream, sketched_by};
use crate::read::stream;
use crate::{Column, Dataset, DatasetError, Kind, Lane};

/// Columns of files that hold pages of each column that are read in one pass: a page is about a megabyte.
const PAGES_AT_ONCE: usize = 512;
/// Columns of text files, which are read row by row.
const TEXT_AT_ONCE: usize = 10_000;

/// What a pass gave, and what it could not look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured<T> {
    /// What was asked for.
    pub value: T,
    /// What was not looked at, one line each, naming the column.
    pub gaps: Vec<String>,
}

impl Dataset {
    /// Streams these columns; `each` is handed the number of a batch's first row and its lanes. Gives, by column, the
    /// cells that could not be read.
    ///
    /// # Errors
    /// When a file cannot be read to its end, or `each` fails.
    pub fn stream(
        &self,
        wanted: &[Column],
        mut each: impl FnMut(u64, Vec<Lane>) -> Result<(), DatasetError>,
    ) -> Result<Vec<u64>, DatasetError> {
        self.stream_files(wanted, |_, row, lanes| each(row, lanes))
    }

    /// The same, with the place of the file that the rows come from.
    ///
    /// # Errors
    /// When a file cannot be read to its end, or `each` fails.
    pub fn stream_files(
        &self,
        wanted: &[Column],
        mut each: impl FnMut(usize, u64, Vec<Lane>) -> Result<(), DatasetError>,
    ) -> Result<Vec<u64>, DatasetError> {
        let mut unreadable = vec![0_u64; wanted.len()];
        let mut row = 0;
        for (file, (path, format)) in self.files.iter().enumerate() {
            stream(path, *format, (wanted, self.unfold.as_ref()), &mut |lanes, faults| {
                unreadable.iter_mut().zip(faults).for_each(|(sum, fault)| *sum += fault);
                let rows = lanes.first().map_or(0, Lane::len) as u64;
                each(file, row, lanes)?;
                row += rows;
                Ok(())
            })?;
        }
        Ok(unreadable)
    }
}

/// Profiles a reference, without the columns named in `without`.
///
/// # Errors
/// When a file cannot be read to its end, or there are no rows.
pub fn profile(dataset: &Dataset, without: &[String]) -> Result<Measured<Profile>, DatasetError> {
    profile_by(&Stream, dataset, without)
}

/// The same, by an engine: one pass lays out the buckets, one counts.
///
/// # Errors
/// As [`profile`], or as the engine says.
pub fn profile_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    without: &[String],
) -> Result<Measured<Profile>, E::Error> {
    if let Some(name) = without.iter().find(|name| !dataset.columns().iter().any(|c| c.name == **name)) {
        let other = "the list of columns to leave out".into();
        return Err(DatasetError::Missing { path: first(dataset), column: name.clone(), other }.into());
    }
    let mut gaps = Vec::new();
    let wanted: Vec<Column> = dataset
        .columns()
        .iter()
        .filter(|column| !without.contains(&column.name))
        .filter(|column| {
            let read = matches!(column.kind, Kind::Numbers | Kind::Words);
            if column.kind == Kind::Other {
                gaps.push(format!(
                    "column `{}` holds {}, which are not read",
                    column.name,
                    column.kind.word()
                ));
            }
            read
        })
        .cloned()
        .collect();
    let words: Vec<bool> = wanted.iter().map(|column| column.kind == Kind::Words).collect();
    let Sketched { sketches, .. } = sketched_by(engine, dataset, &wanted, &words)?;
    let columns = wanted
        .iter()
        .zip(sketches)
        .map(|(column, sketch)| ColumnProfile {
            name: column.name.clone(),
            buckets: match sketch {
                Sketch::Numbers(sketch) => Buckets::of_numbers(&sketch),
                Sketch::Words(sketch) => Buckets::of_words(&sketch),
                // None is left as such.
                Sketch::GivenUp => Buckets::Identifier,
            },
        })
        .collect();
    let profile = Profile::new(dataset.name(), columns);
    for column in profile.columns.iter().filter(|column| matches!(column.buckets, Buckets::Identifier)) {
        gaps.push(format!("column `{}` has a word of its own in most rows and is not judged", column.name));
    }
    let reference = engine.vouch(Reference::of(profile.clone())?)?;
    let counted = counts_by(engine, dataset, &reference, &wanted)?;
    if counted.value.rows == 0 {
        return Err(DatasetError::Empty { path: first(dataset) }.into());
    }
    gaps.extend(counted.gaps);
    Ok(Measured { value: Profile { counts: counted.value, ..profile }, gaps })
}

/// Counts that are not those of the pass that was asked for.
pub(crate) fn other_counts() -> DatasetError {
    DriftError::Counts.into()
}

/// Counts a table in the buckets of a profile. Columns that the profile has not are gaps.
///
/// # Errors
/// When a file cannot be read to its end, a column of the profile is missing or holds something else, or there are
/// no rows.
pub fn count(dataset: &Dataset, profile: &Profile) -> Result<Measured<Counts>, DatasetError> {
    count_by(&Stream, dataset, &Reference::of(profile.clone())?)
}

/// The same, by an engine.
///
/// # Errors
/// As [`count`], or as the engine says.
pub fn count_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    reference: &Reference,
) -> Result<Measured<Counts>, E::Error> {
    let wanted = pinned(dataset, reference.profile())?;
    let mut counted = counts_by(engine, dataset, reference, &wanted)?;
    if counted.value.rows == 0 {
        return Err(DatasetError::Empty { path: first(dataset) }.into());
    }
    let known: HashSet<&str> = wanted.iter().map(|column| column.name.as_str()).collect();
    for column in dataset.columns() {
        let judged = matches!(column.kind, Kind::Numbers | Kind::Words);
        if judged && !known.contains(column.name.as_str()) {
            counted
                .gaps
                .push(format!("column `{}` is not in the profile and was not looked at", column.name));
        }
    }
    Ok(counted)
}

/// Columns that are read in one pass.
pub(crate) fn columns_at_once<E: Engine>(engine: &E, dataset: &Dataset) -> usize {
    let text = dataset.files.iter().all(|(_, format)| format.is_text());
    engine.columns().min(if text { TEXT_AT_ONCE } else { PAGES_AT_ONCE }).max(1)
}

/// Counts the columns of a reference, in as many passes as there are columns for.
fn counts_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    reference: &Reference,
    wanted: &[Column],
) -> Result<Measured<Counts>, E::Error> {
    let most = columns_at_once(engine, dataset);
    // Columns that are crossed are counted together.
    let crossed = crossed(reference.columns()).last().map_or(0, |last| last + 1);
    let mut counts: Option<Counts> = None;
    let mut gaps = Vec::new();
    let mut from = 0;
    while from < wanted.len() || counts.is_none() {
        let to = from.saturating_add(most).max(crossed).min(wanted.len());
        let own = wanted.get(from..to).unwrap_or_default();
        let job = Job {
            reference: Some(reference.clone()),
            ..Job::new(own.to_vec(), Pass::Counts { first: from })
        };
        let gathered = engine.gather(dataset, job)?;
        let Counted::Counts(more) = gathered.counted else { return Err(other_counts().into()) };
        gaps.extend(unread(own, &gathered.unreadable));
        match &mut counts {
            None => counts = Some(more),
            Some(counts) if counts.rows != more.rows => {
                return Err(DatasetError::Changed { path: first(dataset) }.into());
            }
            Some(counts) => counts.beside(more).map_err(DatasetError::from)?,
        }
        from = to;
    }
    Ok(Measured { value: counts.unwrap_or_else(|| Counts::empty(&[])), gaps })
}

/// The columns of the profile as this table has them.
pub(crate) fn pinned(dataset: &Dataset, profile: &Profile) -> Result<Vec<Column>, DatasetError> {
    let mut wanted = Vec::new();
    let places: HashMap<&str, usize> =
        dataset.columns().iter().enumerate().map(|(at, column)| (column.name.as_str(), at)).collect();
    // A column of text files that lost all its values, or whose words now look like numbers, is read as the profile has
    // it; so is one without any value in files that then say no type.
    let text = dataset.files.iter().all(|(_, format)| format.is_text());
    for column in &profile.columns {
        let place = places.get(column.name.as_str()).copied();
        if place.is_none() && dataset.column(&column.name).is_some() {
            // A signal that never fired here.
            wanted.push(Column { name: column.name.clone(), kind: Kind::Numbers });
            continue;
        }
        let Some((at, found)) = place.and_then(|at| Some((at, dataset.columns().get(at)?))) else {
            let column = column.name.clone();
            return Err(DatasetError::Missing { path: first(dataset), column, other: "the profile".into() });
        };
        let (fits, expected) = match column.buckets {
            Buckets::Numbers { .. } => (found.kind == Kind::Numbers, Kind::Numbers),
            Buckets::Words { .. } => (found.kind == Kind::Words, Kind::Words),
            Buckets::Identifier => (matches!(found.kind, Kind::Words | Kind::Numbers), Kind::Words),
        };
        let readable = dataset.is_empty_column(at)
            || text && matches!(found.kind, Kind::Words | Kind::Numbers | Kind::Times);
        if !fits && !readable {
            return Err(DatasetError::Kind {
                path: first(dataset),
                column: column.name.clone(),
                found: found.kind.word(),
                expected: expected.word(),
                other: "the profile".into(),
            });
        }
        wanted.push(Column { name: column.name.clone(), kind: if fits { found.kind } else { expected } });
    }
    Ok(wanted)
}

/// The first file, to say where.
pub(crate) fn first(dataset: &Dataset) -> std::path::PathBuf {
    dataset.files().next().unwrap_or(std::path::Path::new("")).to_owned()
}

/// What could not be read, in words.
fn unread(wanted: &[Column], unreadable: &[u64]) -> Vec<String> {
    wanted
        .iter()
        .zip(unreadable)
        .filter(|(_, count)| **count > 0)
        .map(|(column, count)| {
            format!("{count} cells of column `{}` are no numbers and count as missing", column.name)
        })
        .collect()
}

/// The columns that say whether a model erred: what was true, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The label.
    pub label: String,
    /// The prediction, in the label's own words or numbers.
    pub prediction: String,
}

/// Counts a table in the segments that are cut from a profile's columns. A row is judged where label and prediction are
/// both there, and an error where they differ.
///
/// # Errors
/// When a file cannot be read to its end, or a column of the profile, the label or the prediction is missing.
pub fn cube(
    dataset: &Dataset,
    profile: &Profile,
    judged: Option<&Judged>,
) -> Result<Measured<Cube>, DatasetError> {
    cube_by(&Stream, dataset, &Reference::of(profile.clone())?, judged)
}

/// The same, by an engine.
///
/// # Errors
/// As [`cube`], or as the engine says.
pub fn cube_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    reference: &Reference,
    judged: Option<&Judged>,
) -> Result<Measured<Cube>, E::Error> {
    let more: Vec<&String> = judged.iter().flat_map(|judged| [&judged.label, &judged.prediction]).collect();
    let pass = Pass::Cube { judged: judged.is_some(), signal: false };
    crossed_by(engine, dataset, reference, (&more, pass))
}

/// Counts the same segments by an engine, with the rows on which a signal of the guard fired in the place of errors: the
/// column is neither 0 nor false there.
///
/// # Errors
/// As [`cube`], or as the engine says.
pub fn signal_cube_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    reference: &Reference,
    signal: &String,
) -> Result<Measured<Cube>, E::Error> {
    crossed_by(engine, dataset, reference, (&[signal], Pass::Cube { judged: false, signal: true }))
}

/// How a pass cuts segments: ranges of numbers are for errors and signals.
pub(crate) fn layout_of(profile: &Profile, pass: &Pass) -> Layout {
    match pass {
        Pass::Cube { judged: false, signal: false } => Layout::new(profile),
        _ => Layout::of_errors(profile),
    }
}

fn crossed_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    reference: &Reference,
    (more, pass): (&[&String], Pass),
) -> Result<Measured<Cube>, E::Error> {
    let mut wanted = pinned(dataset, reference.profile())?;
    // Only what segments are cut from, or compared in, is read.
    let used = layout_of(reference.profile(), &pass).columns();
    wanted = used.iter().filter_map(|&at| wanted.get(at).cloned()).collect();
    for name in more {
        let Some(column) = dataset.column(name) else {
            let path = first(dataset);
            let other = "the command line".into();
            return Err(DatasetError::Missing { path, column: (*name).clone(), other }.into());
        };
        wanted.push(column);
    }
    let job = Job { reference: Some(reference.clone()), ..Job::new(wanted.clone(), pass) };
    let gathered = engine.gather(dataset, job)?;
    let Counted::Cube(cube) = gathered.counted else { return Err(other_counts().into()) };
    Ok(Measured { value: cube, gaps: unread(&wanted, &gathered.unreadable) })
}
