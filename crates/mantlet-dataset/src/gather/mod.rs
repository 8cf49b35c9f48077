//! A pass over a table as a value: what is read, what is counted, and counts that add up whoever made them.
//!
//! A [`Job`] can be handed to another process as text. Whoever runs it prepares it, lets a [`Worker`] count the rows
//! that fall to it, and hands back [`Gathered`] bytes. An [`Engine`] says who that is; [`Stream`] does it here, file
//! after file. Every count is a whole number and every sample is chosen by the number of the row, so that all engines
//! give the same.
//!
//! Long because every pass is listed four times: what is asked, counted, merged and measured, side by side.

mod bytes;
mod reference;
mod sketches;
mod stream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mantlet_drift::{Cells, Counts, Cube, DriftError, Layout};
use serde::{Deserialize, Serialize};

use crate::coded::{Coding, Look, Looked};
use crate::decisions::{Scored, Windows};
use crate::grouped::{Groups, Placed};
use crate::labels::{Labels, Late};
use crate::measure::layout_of;
use crate::{Column, Dataset, DatasetError, Lane};

pub use reference::Reference;
pub use sketches::{Sketch, Sketched, Sketches, sketched_by};
pub use stream::Stream;

/// Bytes that the sketches of one pass take in this process.
const ROOM: u64 = 256 << 20;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pass")]
pub enum Pass {
    /// Only what could not be read: a plan counts the rest by itself.
    Nothing,
    /// The buckets of the reference's columns from this one on, as many as are read; where it is the first, crossings of
    /// two columns too.
    Counts {
        /// The place of the first one.
        first: usize,
    },
    /// The rows of each file.
    Rows,
    /// A sketch of each column: of its words where that is said, else of what it holds.
    Sketches {
        /// By column.
        words: Vec<bool>,
        /// Bytes that all of them may take: columns that do not fit are given up, the last first.
        room: u64,
    },
    /// The segments of those of the reference's columns that its layout names, which come first; then label and
    /// prediction, when errors are counted, or one column of a signal.
    Cube {
        /// Whether label and prediction follow.
        judged: bool,
        /// Whether one column follows instead, whose values but 0 and false count as errors do.
        #[serde(default)]
        signal: bool,
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
    /// Labels that stand in tables of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
}

impl Job {
    /// A pass that needs no profile and no further tables.
    #[must_use]
    pub const fn new(wanted: Vec<Column>, pass: Pass) -> Self {
        Self { wanted, pass, reference: None, late: None }
    }

    /// Whether rows have to be told by their numbers in the whole table.
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        match &self.pass {
            Pass::Sketches { words, .. } => words.iter().any(|words| !words),
            Pass::Decisions(scored) => scored.is_numbered(),
            // Rows are sampled by their numbers, and learned from in their order.
            Pass::Coded { look, .. } => matches!(look, Look::Sample { .. }),
            Pass::Nothing | Pass::Counts { .. } | Pass::Rows | Pass::Cube { .. } | Pass::Groups(_) => false,
        }
    }
}

/// A pass that can be made.
#[derive(Debug)]
pub struct Prepared {
    job: Job,
    layout: Option<Layout>,
    /// The columns of the reference in whose buckets is counted, and how.
    cells: Option<Cells>,
    late: OnceLock<Labels>,
    reading: Mutex<()>,
}

impl Prepared {
    /// Looks whether the parts of a job fit, and lays out what it needs.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn new(job: Job) -> Result<Self, DriftError> {
        let wanted = job.wanted.len();
        let (mut layout, mut cells) = (None, None);
        let fits = match &job.pass {
            Pass::Nothing | Pass::Rows => true,
            Pass::Counts { first } => {
                let columns = job.reference.as_ref().map(Reference::columns).unwrap_or_default();
                let own = first.checked_add(wanted).and_then(|to| columns.get(*first..to));
                cells = own.map(|own| if *first == 0 { Cells::new(own) } else { Cells::plain(own) });
                cells.is_some()
            }
            Pass::Sketches { words, .. } => words.len() == wanted,
            Pass::Cube { judged, signal } => {
                let own = |reference: &Reference| layout_of(reference.profile(), &job.pass);
                layout = job.reference.as_ref().map(own);
                let columns = layout.as_ref().map(|layout| layout.columns().len());
                let more = 2 * usize::from(*judged) + usize::from(*signal);
                !(*judged && *signal) && columns.map(|columns| columns + more) == Some(wanted)
            }
            Pass::Decisions(scored) => scored.fits(wanted),
            Pass::Groups(placed) => placed.fits(wanted),
            Pass::Coded { coding, look } => coding.fits(wanted) && look.fits(coding),
        };
        if !fits {
            return Err(DriftError::Counts);
        }
        Ok(Self { job, layout, cells, late: OnceLock::new(), reading: Mutex::new(()) })
    }

    /// The pass.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// Reads the labels that stand in tables of their own, for all who count; once, whoever asks first. `late` says where
    /// they are for this process.
    ///
    /// # Errors
    /// As [`Late::read`].
    pub fn read_labels(&self, late: &Late) -> Result<(), DatasetError> {
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.late.get().is_none() {
            // Nobody else sets them meanwhile.
            let _ = self.late.set(late.read()?);
        }
        Ok(())
    }

    /// Nothing counted yet.
    #[must_use]
    pub fn nothing(&self) -> Gathered {
        let counted = match &self.job.pass {
            Pass::Nothing => Counted::Nothing,
            Pass::Counts { .. } => match &self.cells {
                Some(cells) => Counted::Counts(cells.nothing()),
                None => Counted::Nothing,
            },
            Pass::Rows => Counted::Rows(BTreeMap::new()),
            Pass::Sketches { words, room } => {
                Counted::Sketches(Sketches::new(&self.job.wanted, words, *room))
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

/// What was counted.
#[derive(Debug, Clone)]
pub enum Counted {
    /// Nothing.
    Nothing,
    /// In buckets.
    Counts(Counts),
    /// Rows by file.
    Rows(BTreeMap<u32, u64>),
    /// By column.
    Sketches(Sketches),
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
            (Counted::Counts(own), Counted::Counts(other)) => own.merge(&other)?,
            (Counted::Rows(own), Counted::Rows(other)) => {
                other.into_iter().for_each(|(file, rows)| *own.entry(file).or_default() += rows);
            }
            (Counted::Sketches(own), Counted::Sketches(other)) => own.merge(&other)?,
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
            Counted::Counts(counts) => counts.size(),
            Counted::Rows(rows) => rows.len() * 32,
            Counted::Sketches(sketches) => sketches.size(),
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
    /// many cells of each could not be read.
    ///
    /// # Errors
    /// When the columns are not those of the pass, or its labels were not read.
    pub fn add(
        &mut self,
        (file, first): (u32, u64),
        lanes: &[Lane],
        unreadable: &[u64],
    ) -> Result<(), DriftError> {
        let rows = lanes.first().map_or(0, Lane::len) as u64;
        let job = &self.prepared.job;
        let own = &mut self.gathered;
        own.rows = own.rows.saturating_add(rows);
        own.unreadable.iter_mut().zip(unreadable).for_each(|(sum, more)| *sum += more);
        match (&mut own.counted, &job.pass) {
            (Counted::Nothing, _) => Ok(()),
            (Counted::Counts(counts), Pass::Counts { first }) => {
                let columns = job.reference.as_ref().map(Reference::columns).unwrap_or_default();
                let own = lanes.iter().zip(columns.iter().skip(*first));
                let codes: Vec<Vec<u16>> = own.map(|(lane, column)| lane.codes(&column.buckets)).collect();
                self.prepared.cells.as_ref().ok_or(DriftError::Counts)?.count(counts, &codes)
            }
            (Counted::Rows(files), _) => {
                *files.entry(file).or_default() += rows;
                Ok(())
            }
            (Counted::Sketches(sketches), _) => {
                sketches.take(first, lanes);
                Ok(())
            }
            (Counted::Cube(cube), _) => {
                let (Some(layout), Some(reference)) = (&self.prepared.layout, &job.reference) else {
                    return Err(DriftError::Counts);
                };
                let (columns, places) = (reference.columns(), layout.columns());
                let errors = match lanes.get(places.len()..) {
                    Some([label, prediction]) => Some(differ(label, prediction)),
                    Some([signal]) => Some(fired(signal)),
                    _ => None,
                };
                let mut codes = vec![Vec::new(); columns.len()];
                for (lane, &at) in lanes.iter().zip(&places) {
                    let (Some(codes), Some(column)) = (codes.get_mut(at), columns.get(at)) else {
                        return Err(DriftError::Counts);
                    };
                    *codes = lane.codes(&column.buckets);
                }
                cube.add(layout, &codes, errors.as_deref())
            }
            (Counted::Windows(windows), Pass::Decisions(scored)) => {
                let late = self.prepared.late.get();
                if job.late.is_some() != late.is_some() {
                    return Err(DriftError::Counts);
                }
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
            (Counted::Counts(_) | Counted::Windows(_) | Counted::Groups(_) | Counted::Looked(_), _) => {
                Err(DriftError::Counts)
            }
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

/// Whether two values of a row differ; nothing where one is missing.
pub(crate) fn differ(one: &Lane, other: &Lane) -> Vec<Option<bool>> {
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

/// Whether a signal fired, row by row; nothing where it is missing.
fn fired(signal: &Lane) -> Vec<Option<bool>> {
    match signal {
        Lane::Numbers(values) => {
            values.iter().map(|&value| (!value.is_nan()).then_some(value != 0.0)).collect()
        }
        Lane::Words { .. } => {
            let is_no = |word: &str| matches!(word, "0" | "false" | "False" | "FALSE" | "no" | "none");
            (0..signal.len()).map(|row| signal.word(row).map(|word| !is_no(&word))).collect()
        }
    }
}

/// Who makes passes over tables.
pub trait Engine {
    /// Why one could not be made.
    type Error: From<DatasetError>;

    /// Makes a pass over a table.
    ///
    /// # Errors
    /// When the table cannot be read to its end, or as the engine says.
    fn gather(&self, dataset: &Dataset, job: Job) -> Result<Gathered, Self::Error>;

    /// Bytes that the sketches of one pass may take.
    fn room(&self) -> u64 {
        ROOM
    }

    /// Columns that it takes in one pass.
    fn columns(&self) -> usize {
        usize::MAX
    }

    /// Puts a signature under a profile that was made just now, where those who count ask for one.
    ///
    /// # Errors
    /// As the engine says.
    fn vouch(&self, reference: Reference) -> Result<Reference, Self::Error> {
        Ok(reference)
    }
}
