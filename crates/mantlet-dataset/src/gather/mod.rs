//! A pass over a table as a value: what is read, what is counted, and counts that add up whoever made them.
//!
//! A [`Job`] can be handed to another process as text. Whoever runs it prepares it, lets a [`Worker`] count the rows
//! that fall to it, and hands back [`Gathered`] bytes. An [`Engine`] says who that is; [`Stream`] does it here, file
//! after file. Every count is a whole number and every sample is chosen by the number of the row, so that all engines
//! give the same.
//!
//! Long because every pass is listed four times: what is asked, counted, merged and measured, side by side.

mod bytes;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use mantlet_drift::{ColumnProfile, Counts, Cube, DriftError, Layout, NumberSketch, Profile, WordSketch};
use serde::{Deserialize, Serialize};

use crate::coded::{Coding, Look, Looked};
use crate::decisions::{Labels, Scored, Windows};
use crate::grouped::{Groups, Placed};
use crate::{Column, Dataset, DatasetError, Lane, Measured};

pub use stream::Stream;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pass")]
pub enum Pass {
    /// Only what could not be read: a plan counts the rest by itself.
    Nothing,
    /// The rows of each file.
    Rows,
    /// A sketch of each column: of its words where that is said, else of what it holds.
    Sketches {
        /// By column.
        words: Vec<bool>,
    },
    /// The segments of the reference's columns, which come first; then label and prediction, when errors are counted.
    Cube {
        /// Whether label and prediction follow.
        judged: bool,
    },
    /// Scored decisions by window.
    Decisions(Scored),
    /// Decisions by group and by what may honestly decide.
    Groups(Placed),
    /// Rows as codes, looked at for labels that turned.
    Coded {
        /// How they become codes.
        coding: Coding,
        /// What is looked for.
        look: Look,
    },
}

/// The profile of a reference, with its text and whose signature is under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Reference {
    profile: Arc<Profile>,
    text: Arc<str>,
    seal: Option<Arc<str>>,
}

/// A reference as it travels: the text that was signed, and nothing that was made of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
    seal: Option<String>,
}

impl From<Reference> for Written {
    fn from(reference: Reference) -> Self {
        Self { text: reference.text.to_string(), seal: reference.seal.map(|seal| seal.to_string()) }
    }
}

impl TryFrom<Written> for Reference {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let profile: Profile = serde_json::from_str(&written.text).map_err(|error| error.to_string())?;
        profile.check().map_err(|error| error.to_string())?;
        Ok(Self::signed(profile, written.text, written.seal))
    }
}

impl Reference {
    /// A profile that was made just now.
    ///
    /// # Errors
    /// When it cannot be written as text.
    pub fn of(profile: Profile) -> Result<Self, DatasetError> {
        let text = serde_json::to_string(&profile).map_err(|_| DriftError::Counts)?;
        Ok(Self::signed(profile, text, None))
    }

    /// A profile that was read as this text, and its signature.
    #[must_use]
    pub fn signed(profile: Profile, text: String, seal: Option<String>) -> Self {
        Self { profile: Arc::new(profile), text: text.into(), seal: seal.map(Into::into) }
    }

    /// The same profile under this signature.
    #[must_use]
    pub fn under(self, seal: String) -> Self {
        Self { seal: Some(seal.into()), ..self }
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> &[ColumnProfile] {
        &self.profile.columns
    }

    /// The text, as it was signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature, which whoever reads the profile has to verify.
    #[must_use]
    pub fn seal(&self) -> Option<&str> {
        self.seal.as_deref()
    }
}

/// A pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The columns that are read, in this order.
    pub wanted: Vec<Column>,
    /// What is counted.
    pub pass: Pass,
    /// The profile in whose buckets it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

impl Job {
    /// A pass that needs no profile.
    #[must_use]
    pub const fn new(wanted: Vec<Column>, pass: Pass) -> Self {
        Self { wanted, pass, reference: None }
    }

    /// Whether rows have to be told by their numbers in the whole table.
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        match &self.pass {
            Pass::Sketches { words } => words.iter().any(|words| !words),
            Pass::Decisions(scored) => scored.is_numbered(),
            // Rows are sampled by their numbers, and learned from in their order.
            Pass::Coded { look, .. } => matches!(look, Look::Sample { .. }),
            Pass::Nothing | Pass::Rows | Pass::Cube { .. } | Pass::Groups(_) => false,
        }
    }
}

/// A pass that can be made.
#[derive(Debug)]
pub struct Prepared {
    job: Job,
    layout: Option<Layout>,
}

impl Prepared {
    /// Looks whether the parts of a job fit, and lays out what it needs.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn new(job: Job) -> Result<Self, DriftError> {
        let columns = job.reference.as_ref().map(|reference| reference.columns().len());
        let (fits, layout) = match &job.pass {
            Pass::Nothing | Pass::Rows => (true, None),
            Pass::Sketches { words } => (words.len() == job.wanted.len(), None),
            Pass::Cube { judged } => {
                let wanted = columns.map(|columns| columns + 2 * usize::from(*judged));
                let layout = job.reference.as_ref().map(|reference| Layout::new(reference.profile()));
                (wanted == Some(job.wanted.len()), layout)
            }
            Pass::Decisions(scored) => (scored.fits(job.wanted.len()), None),
            Pass::Groups(placed) => (placed.fits(job.wanted.len()), None),
            Pass::Coded { coding, look } => (coding.fits(job.wanted.len()) && look.fits(coding), None),
        };
        if fits { Ok(Self { job, layout }) } else { Err(DriftError::Counts) }
    }

    /// The pass.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// Nothing counted yet.
    #[must_use]
    pub fn nothing(&self) -> Gathered {
        let counted = match &self.job.pass {
            Pass::Nothing => Counted::Nothing,
            Pass::Rows => Counted::Rows(BTreeMap::new()),
            Pass::Sketches { words } => {
                let sketch = |(column, words): (&Column, &bool)| match column.kind {
                    crate::Kind::Words => Sketch::Words(WordSketch::default()),
                    _ if *words => Sketch::Words(WordSketch::default()),
                    _ => Sketch::Numbers(NumberSketch::default()),
                };
                Counted::Sketches(self.job.wanted.iter().zip(words).map(sketch).collect())
            }
            Pass::Cube { .. } => match &self.layout {
                Some(layout) => Counted::Cube(Cube::empty(layout)),
                None => Counted::Nothing,
            },
            Pass::Decisions(_) => Counted::Windows(Windows::default()),
            Pass::Groups(placed) => Counted::Groups(Groups::new(placed)),
            Pass::Coded { coding, look } => Counted::Looked(look.nothing(coding.features.len())),
        };
        Gathered { rows: 0, unreadable: vec![0; self.job.wanted.len()], counted }
    }
}

/// What is known of one column of a reference.
#[derive(Debug, Clone)]
pub enum Sketch {
    /// Of numbers.
    Numbers(NumberSketch),
    /// Of words.
    Words(WordSketch),
}

/// What was counted.
#[derive(Debug, Clone)]
pub enum Counted {
    /// Nothing.
    Nothing,
    /// Rows by file.
    Rows(BTreeMap<u32, u64>),
    /// By column.
    Sketches(Vec<Sketch>),
    /// Segments.
    Cube(Cube),
    /// Decisions by window.
    Windows(Windows),
    /// Decisions by group.
    Groups(Groups),
    /// Rows as codes.
    Looked(Looked),
}

/// What some rows came to.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// Rows counted.
    pub rows: u64,
    /// By column: cells that could not be read.
    pub unreadable: Vec<u64>,
    /// The counts.
    pub counted: Counted,
}

impl Gathered {
    /// Takes in what other rows came to.
    ///
    /// # Errors
    /// When it is of another pass.
    pub fn merge(&mut self, other: Self) -> Result<(), DriftError> {
        if self.unreadable.len() != other.unreadable.len() {
            return Err(DriftError::Counts);
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.unreadable.iter_mut().zip(other.unreadable).for_each(|(sum, more)| *sum += more);
        match (&mut self.counted, other.counted) {
            (Counted::Nothing, Counted::Nothing) => {}
            (Counted::Rows(own), Counted::Rows(other)) => {
                other.into_iter().for_each(|(file, rows)| *own.entry(file).or_default() += rows);
            }
            (Counted::Sketches(own), Counted::Sketches(other)) if own.len() == other.len() => {
                for (own, other) in own.iter_mut().zip(&other) {
                    match (own, other) {
                        (Sketch::Numbers(own), Sketch::Numbers(other)) => own.merge(other),
                        (Sketch::Words(own), Sketch::Words(other)) => own.merge(other),
                        _ => return Err(DriftError::Counts),
                    }
                }
            }
            (Counted::Cube(own), Counted::Cube(other)) => own.merge(&other)?,
            (Counted::Windows(own), Counted::Windows(other)) => own.merge(other)?,
            (Counted::Groups(own), Counted::Groups(other)) => own.merge(other)?,
            (Counted::Looked(own), Counted::Looked(other)) => own.merge(other)?,
            _ => return Err(DriftError::Counts),
        }
        Ok(())
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let counted = match &self.counted {
            Counted::Nothing => 0,
            Counted::Rows(rows) => rows.len() * 32,
            Counted::Sketches(sketches) => sketches
                .iter()
                .map(|sketch| match sketch {
                    Sketch::Numbers(sketch) => sketch.size(),
                    Sketch::Words(sketch) => sketch.size(),
                })
                .sum(),
            Counted::Cube(cube) => cube.size(),
            Counted::Windows(windows) => windows.size(),
            Counted::Groups(groups) => groups.size(),
            Counted::Looked(looked) => looked.size(),
        };
        size_of_val(self) + self.unreadable.len() * 8 + counted
    }
}

/// Counts the rows that fall to it.
#[derive(Debug)]
pub struct Worker {
    prepared: Arc<Prepared>,
    gathered: Gathered,
}

impl Worker {
    /// Counted nothing yet.
    #[must_use]
    pub fn new(prepared: Arc<Prepared>) -> Self {
        let gathered = prepared.nothing();
        Self { prepared, gathered }
    }

    /// Counts a batch: the place of its file, the number of its first row in the whole table, its columns, and how
    /// many cells of each could not be read. `late` are labels that stand in tables of their own.
    ///
    /// # Errors
    /// When the columns are not those of the pass.
    pub fn add(
        &mut self,
        (file, first): (u32, u64),
        lanes: &[Lane],
        unreadable: &[u64],
        late: Option<&Labels>,
    ) -> Result<(), DriftError> {
        let rows = lanes.first().map_or(0, Lane::len) as u64;
        let job = &self.prepared.job;
        let own = &mut self.gathered;
        own.rows = own.rows.saturating_add(rows);
        own.unreadable.iter_mut().zip(unreadable).for_each(|(sum, more)| *sum += more);
        match (&mut own.counted, &job.pass) {
            (Counted::Nothing, _) => Ok(()),
            (Counted::Rows(files), _) => {
                *files.entry(file).or_default() += rows;
                Ok(())
            }
            (Counted::Sketches(sketches), _) => {
                sketches.iter_mut().zip(lanes).for_each(|(sketch, lane)| sketch.take(first, lane));
                Ok(())
            }
            (Counted::Cube(cube), _) => {
                let (Some(layout), Some(reference)) = (&self.prepared.layout, &job.reference) else {
                    return Err(DriftError::Counts);
                };
                let columns = reference.columns();
                let errors = match lanes.get(columns.len()..) {
                    Some([label, prediction]) => Some(differ(label, prediction)),
                    _ => None,
                };
                let codes = lanes.iter().zip(columns).map(|(lane, column)| lane.codes(&column.buckets));
                cube.add(layout, &codes.collect::<Vec<_>>(), errors.as_deref())
            }
            (Counted::Windows(windows), Pass::Decisions(scored)) => {
                scored.add(windows, first, lanes, late);
                Ok(())
            }
            (Counted::Groups(groups), Pass::Groups(placed)) => {
                placed.add(groups, lanes);
                Ok(())
            }
            (Counted::Looked(looked), Pass::Coded { coding, look }) => {
                look.add(&coding.code(file as usize, first, lanes), looked);
                Ok(())
            }
            (Counted::Windows(_) | Counted::Groups(_) | Counted::Looked(_), _) => Err(DriftError::Counts),
        }
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.gathered.size()
    }

    /// What the rows so far came to.
    #[must_use]
    pub const fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    /// What all rows came to.
    #[must_use]
    pub fn finish(self) -> Gathered {
        self.gathered
    }
}

impl Sketch {
    fn take(&mut self, first: u64, lane: &Lane) {
        match (self, lane) {
            (Self::Numbers(sketch), Lane::Numbers(values)) => {
                values.iter().zip(first..).for_each(|(&value, row)| sketch.take(row, value));
            }
            (Self::Words(sketch), lane) => {
                let (keys, words) = lane.keyed();
                let mut times = vec![0_u64; words.len()];
                keys.iter().for_each(|&key| times.get_mut(key as usize).into_iter().for_each(|n| *n += 1));
                words.iter().zip(times).for_each(|(word, times)| sketch.take(word, times));
            }
            (Self::Numbers(_), Lane::Words { .. }) => {}
        }
    }
}

/// Whether two values of a row differ; nothing where one is missing.
fn differ(one: &Lane, other: &Lane) -> Vec<Option<bool>> {
    let number = |value: f64| (!value.is_nan()).then_some(value);
    match (one, other) {
        (Lane::Numbers(one), Lane::Numbers(other)) => one
            .iter()
            .zip(other)
            .map(|(&one, &other)| Some(number(one)?.total_cmp(&number(other)?).is_ne()))
            .collect(),
        _ => (0..one.len()).map(|row| Some(one.word(row)? != other.word(row)?)).collect(),
    }
}

/// Who makes passes over tables.
pub trait Engine {
    /// Why one could not be made.
    type Error: From<DatasetError>;

    /// Makes a pass over a table. `late` are labels that stand in tables of their own.
    ///
    /// # Errors
    /// When the table cannot be read to its end, or as the engine says.
    fn gather(&self, dataset: &Dataset, job: Job, late: Option<&Labels>) -> Result<Gathered, Self::Error>;

    /// Puts a signature under a profile that was made just now, where those who count ask for one.
    ///
    /// # Errors
    /// As the engine says.
    fn vouch(&self, reference: Reference) -> Result<Reference, Self::Error> {
        Ok(reference)
    }

    /// Counts the wanted columns of a table in the buckets of a reference's profile.
    ///
    /// # Errors
    /// When the table cannot be read to its end, or as the engine says.
    fn count(
        &self,
        dataset: &Dataset,
        reference: &Reference,
        wanted: &[Column],
    ) -> Result<Measured<Counts>, Self::Error>;
}
