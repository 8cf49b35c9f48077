//! A table in one or many files, with its columns pinned.
//!
//! Long because what pins the columns of many files stands in one place.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::read::{self, Format, Found, Heads, UNFOLD_MOST, Unfold};
use crate::{COLUMNS_MOST, DatasetError};

/// Levels of folders that `**` stands for at most.
const DEPTH: usize = 16;
/// Files of one pattern at most.
const FILES_MOST: usize = 100_000;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Numbers, whole or not, and truth values as 0 and 1.
    Numbers,
    /// Words.
    Words,
    /// Dates and times, read as seconds since 1970 in UTC; they only ever grow, so no profile judges them.
    Times,
    /// Lists, records, bytes, times of a day: not read.
    Other,
}

impl Kind {
    /// The word used in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Words => "words",
            Self::Times => "times",
            Self::Other => "lists, records, bytes or times of a day",
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(crate) files: Vec<(PathBuf, Format)>,
    /// What each file is called in reports.
    names: Vec<String>,
    columns: Vec<Column>,
    /// By column: whether no file says what it holds.
    empty: Vec<bool>,
    /// How the lists of a history are called; nothing for other tables.
    pub(crate) unfold: Option<Unfold>,
    /// What the lists hold.
    heads: Heads,
    /// What has to live as long as the files do.
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

impl Dataset {
    /// Opens a table: files, folders whose tables are taken in the order of their names, and patterns of files'
    /// names (`*`, `?`, `[ab]`, `{a,b}`, and `**` for folders below), taken in the order of their paths. Reads the head
    /// of each file.
    ///
    /// # Errors
    /// When nothing is there, a file cannot be read, or files do not have the columns of the first one.
    pub fn open(paths: &[PathBuf]) -> Result<Self, DatasetError> {
        Self::open_as(paths, &[])
    }

    /// The same with what some columns hold declared, whatever the heads of text files look like. A column that is not
    /// there is no fault: not every table has every column.
    ///
    /// # Errors
    /// As [`Dataset::open`], or when a file that says its types says another one.
    pub fn open_as(paths: &[PathBuf], declared: &[Column]) -> Result<Self, DatasetError> {
        let mut files = Vec::new();
        for path in paths {
            let before = files.len();
            if path.is_dir() {
                list(path, &mut files)?;
            } else if let Some(found) = matching(path)? {
                for path in found {
                    let format = format(&path)?;
                    files.push((path, format));
                }
            } else {
                files.push((path.clone(), format(path)?));
            }
            if files.len() == before {
                return Err(DatasetError::NoTable { path: path.clone() });
            }
        }
        let names = files.iter().map(|(path, _)| path.display().to_string()).collect();
        Self::of(files, names, None, declared)
    }

    /// Opens a table of copies, each under the name it has in reports; `held` lives as long as the table does.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_copies(
        copies: Vec<(PathBuf, String)>,
        held: Arc<dyn Any + Send + Sync>,
    ) -> Result<Self, DatasetError> {
        Self::open_copies_as(copies, held, &[])
    }

    /// The same with what some columns hold declared, as [`Dataset::open_as`].
    ///
    /// # Errors
    /// As [`Dataset::open_as`].
    pub fn open_copies_as(
        copies: Vec<(PathBuf, String)>,
        held: Arc<dyn Any + Send + Sync>,
        declared: &[Column],
    ) -> Result<Self, DatasetError> {
        let mut files = Vec::new();
        let mut names = Vec::new();
        for (path, name) in copies {
            files.push((path.clone(), format(&path)?));
            names.push(name);
        }
        Self::of(files, names, Some(held), declared)
    }

    fn of(
        files: Vec<(PathBuf, Format)>,
        names: Vec<String>,
        held: Option<Arc<dyn Any + Send + Sync>>,
        declared: &[Column],
    ) -> Result<Self, DatasetError> {
        let columns = |file: &(PathBuf, Format)| as_declared(file, columns(file)?, declared);
        let Some((first, rest)) = files.split_first() else {
            return Err(DatasetError::NoTable { path: PathBuf::from(".") });
        };
        let mut pinned = columns(first)?;
        let places: HashMap<String, usize> =
            pinned.iter().enumerate().map(|(at, found)| (found.column.name.clone(), at)).collect();
        // The file that says what each column holds.
        let mut says = vec![0; pinned.len()];
        for (number, file) in rest.iter().enumerate() {
            let mut seen = vec![false; pinned.len()];
            for found in columns(file)? {
                let Some(&at) = places.get(&found.column.name) else { continue };
                let (Some(own), Some(says), Some(seen)) =
                    (pinned.get_mut(at), says.get_mut(at), seen.get_mut(at))
                else {
                    continue;
                };
                *seen = true;
                if own.is_empty {
                    // Nothing was known of it so far.
                    (*own, *says) = (found, number + 1);
                } else if !found.is_empty && found.column.kind != own.column.kind {
                    // A head of words where numbers are expected is seen here; single ones are counted as unreadable.
                    return Err(DatasetError::Kind {
                        path: file.0.clone(),
                        column: found.column.name,
                        found: found.column.kind.word(),
                        expected: own.column.kind.word(),
                        other: files
                            .get(*says)
                            .map_or_else(String::new, |(path, _)| path.display().to_string()),
                    });
                }
            }
            if let Some((expected, _)) = pinned.iter().zip(&seen).find(|(_, seen)| !**seen) {
                let (column, other) = (expected.column.name.clone(), first.0.display().to_string());
                return Err(DatasetError::Missing { path: file.0.clone(), column, other });
            }
        }
        let mut heads = Some(Heads::default());
        for (path, format) in &files {
            match (read::history(path, *format)?, &mut heads) {
                (Some(own), Some(heads)) => heads.merge(own),
                _ => {
                    heads = None;
                    break;
                }
            }
        }
        let unfold = heads.is_some().then(Unfold::default);
        let heads = heads.unwrap_or_default();
        let (mut columns, mut empty) = (Vec::new(), Vec::new());
        for found in pinned {
            let unfolded = unfold.as_ref().and_then(|unfold| heads.columns(&found.column, unfold));
            let own = unfolded.unwrap_or_else(|| vec![found.column]);
            empty.extend(std::iter::repeat_n(found.is_empty, own.len()));
            columns.extend(own);
        }
        Ok(Self { files, names, columns, empty, unfold, heads, _held: held })
    }

    /// Whether it is the history that a gateway writes, whose lists are columns of their own here: `features.0`,
    /// `scores.1`, `signals.NAME`.
    #[must_use]
    pub const fn is_history(&self) -> bool {
        self.unfold.is_some()
    }

    /// The same history with its features named, in the order in which the model takes them.
    ///
    /// # Errors
    /// When it is no history, has another number of features, or a name is taken.
    pub fn with_features(mut self, names: &[String]) -> Result<Self, DatasetError> {
        let path = || self.files.first().map(|(path, _)| path.clone()).unwrap_or_default();
        if self.unfold.is_none() {
            return Err(DatasetError::NoHistory { path: path() });
        }
        let width = self.heads.width();
        if names.len() != width || width > UNFOLD_MOST {
            return Err(DatasetError::Features { path: path(), found: width, named: names.len() });
        }
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        let own = |column: &&Column| !column.name.starts_with("features.");
        taken.extend(self.columns.iter().filter(own).map(|column| column.name.as_str()));
        if let Some(doubled) = names.iter().find(|name| !taken.insert(name.as_str())) {
            return Err(DatasetError::Doubled { path: path(), column: doubled.clone() });
        }
        for (at, name) in names.iter().enumerate() {
            let unfolded = format!("features.{at}");
            self.columns.iter_mut().filter(|column| column.name == unfolded).for_each(|column| {
                name.clone_into(&mut column.name);
            });
        }
        self.unfold = Some(Unfold { names: names.to_vec() });
        Ok(self)
    }

    /// A column by name. Of a history, any signal is one, whether it ever fired or not.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<Column> {
        let signal = || {
            let is_one =
                self.is_history() && name.strip_prefix("signals.").is_some_and(|name| !name.is_empty());
            is_one.then(|| Column { name: name.to_owned(), kind: Kind::Numbers })
        };
        self.columns.iter().find(|column| column.name == name).cloned().or_else(signal)
    }

    /// What of its rows is not looked at, whatever is asked.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let together = self.heads.together.then(|| {
            "of requests with more than one row, the features of the first are looked at; label and scores are its"
                .to_owned()
        });
        let left_out = self.left_out().into_iter().map(|(name, all)| {
            if all {
                format!("`{name}` is not recorded, as `[record]` says: nothing is said of it")
            } else {
                format!("`{name}` is not recorded in some rows, as `[record]` said then: what is said of it is of the others")
            }
        });
        together.into_iter().chain(left_out).collect()
    }

    /// The features of a history that were left out of the record, by name, and whether of every row that was looked at.
    #[must_use]
    pub fn left_out(&self) -> Vec<(String, bool)> {
        self.unfold.as_ref().map(|unfold| self.heads.left_out(unfold)).unwrap_or_default()
    }

    /// Its columns, in the order of the first file.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether no file says what this column holds: it has no type, and no value in any head.
    pub(crate) fn is_empty_column(&self, at: usize) -> bool {
        self.empty.get(at).copied().unwrap_or(false)
    }

    /// The files, in the order in which they are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// What the files are called in reports, in the same order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The files as one line of text.
    #[must_use]
    pub fn name(&self) -> String {
        match self.names.as_slice() {
            [only] => only.clone(),
            [first, .., last] => format!("{first} to {last} ({} files)", self.names.len()),
            [] => String::new(),
        }
    }
}

/// Whether a file's name ends like that of a table.
#[must_use]
pub fn is_table(name: &str) -> bool {
    read::by_extension(Path::new(name)).is_some()
}

/// The tables directly in a folder, by name.
fn list(folder: &Path, files: &mut Vec<(PathBuf, Format)>) -> Result<(), DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
        if path.is_file() && !hidden && read::by_extension(&path).is_some() {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let format = format(&path)?;
        files.push((path, format));
    }
    Ok(())
}

/// The files whose paths match a pattern, in order; nothing when the path is none, or is a file of that very name.
fn matching(path: &Path) -> Result<Option<Vec<PathBuf>>, DatasetError> {
    let is_pattern = |name: &str| name.contains(['*', '?', '[', '{']);
    let Some(text) = path.to_str().filter(|text| is_pattern(text) && !path.exists()) else { return Ok(None) };
    let wrong = |reason: String| DatasetError::Pattern { pattern: text.to_owned(), reason };
    let glob = globset::GlobBuilder::new(text).literal_separator(true).build();
    let glob = glob.map_err(|error| wrong(error.kind().to_string()))?.compile_matcher();
    let literal = |part: &std::path::Component<'_>| !is_pattern(&part.as_os_str().to_string_lossy());
    let base: PathBuf = path.components().take_while(literal).collect();
    let below = path.components().count() - base.components().count();
    let deep = text.contains("**");
    let depth = if deep { DEPTH } else { below };
    let mut found = Vec::new();
    // What is left to look into, with the levels that may lie below it.
    let mut folders = vec![(base, depth)];
    while let Some((folder, levels)) = folders.pop() {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let Ok(entries) = std::fs::read_dir(here) else { continue };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            // A link to a folder above would be followed for ever.
            let is_folder =
                if deep { entry.file_type().is_ok_and(|kind| kind.is_dir()) } else { path.is_dir() };
            if is_folder {
                if levels > 1 {
                    folders.push((path, levels - 1));
                }
            } else if glob.is_match(&path) {
                found.push(path);
            }
            if found.len() > FILES_MOST {
                return Err(wrong(format!("more than {FILES_MOST} files match")));
            }
        }
    }
    found.sort();
    Ok(Some(found))
}

/// The format, by content where it can be told, else by the file's extension.
fn format(path: &Path) -> Result<Format, DatasetError> {
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut head = [0; 8];
    let mut file = File::open(path).map_err(io)?;
    let mut count = 0;
    while count < head.len() {
        match file.read(&mut head[count..]).map_err(io)? {
            0 => break,
            more => count += more,
        }
    }
    Ok(read::by_content(&head[..count]).or_else(|| read::by_extension(path)).unwrap_or(Format::Csv))
}

/// The columns of a file as they are declared to be.
fn as_declared(
    (path, format): &(PathBuf, Format),
    mut found: Vec<Found>,
    declared: &[Column],
) -> Result<Vec<Found>, DatasetError> {
    for column in declared {
        let Some(own) = found.iter_mut().find(|own| own.column.name == column.name) else { continue };
        if own.column.kind != column.kind && !format.is_text() {
            return Err(DatasetError::Kind {
                path: path.clone(),
                column: column.name.clone(),
                found: own.column.kind.word(),
                expected: column.kind.word(),
                other: "what was declared".to_owned(),
            });
        }
        (own.column.kind, own.is_empty) = (column.kind, false);
    }
    Ok(found)
}

fn columns((path, format): &(PathBuf, Format)) -> Result<Vec<Found>, DatasetError> {
    let columns = read::columns(path, *format)?;
    if columns.len() > COLUMNS_MOST {
        return Err(DatasetError::Wide { path: path.clone(), found: columns.len(), most: COLUMNS_MOST });
    }
    let mut names = BTreeSet::new();
    for Found { column, .. } in &columns {
        if !names.insert(&column.name) {
            return Err(DatasetError::Doubled { path: path.clone(), column: column.name.clone() });
        }
    }
    Ok(columns)
}
