//! Labels that stand in tables of their own: months late, in any order, corrected by later rows.
//!
//! They are few beside the decisions, so whoever counts decisions reads all of them once and looks each decision's
//! identifier up. A [`Late`] says where they stand and travels with a job; [`Labels`] are what was read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mantlet_drift::mix;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::decisions::{truth, words};
use crate::read::{self, Format};
use crate::{Column, Dataset, DatasetError, Lane};

/// Labels held at once, some 32 bytes each.
pub const LABELS_MOST: usize = 50_000_000;

/// Tables of labels, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    files: Vec<(PathBuf, Format)>,
    id: Column,
    label: Column,
    positive: String,
}

/// What came of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Came {
    /// Identifiers with a label.
    pub labels: u64,
    /// Rows whose identifier had another label before.
    pub corrected: u64,
    /// Rows without an identifier or a label.
    pub incomplete: u64,
    /// The sum of a hash of each identifier with its label: the same labels have the same.
    sum: u64,
}

impl Late {
    /// The labels in these columns of a table; `positive` is the word or number of a positive.
    ///
    /// # Errors
    /// When a column is missing, or holds what cannot be read.
    pub fn of(dataset: &Dataset, id: &str, label: &str, positive: &str) -> Result<Self, DatasetError> {
        Ok(Self {
            files: dataset.files.clone(),
            id: words(dataset, id)?,
            label: words(dataset, label)?,
            positive: positive.to_owned(),
        })
    }

    /// The same tables under the paths that `place` gives them.
    ///
    /// # Errors
    /// As `place` says.
    pub fn placed<E>(&self, place: impl Fn(&Path) -> Result<PathBuf, E>) -> Result<Self, E> {
        let files = self.files.iter().map(|(path, format)| Ok((place(path)?, *format)));
        Ok(Self { files: files.collect::<Result<_, E>>()?, ..self.clone() })
    }

    /// The files, in the order in which they are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Reads the labels in the order of their files and rows: a later one replaces an earlier one.
    ///
    /// # Errors
    /// When a file cannot be read to its end, or there are more than [`LABELS_MOST`].
    pub fn read(&self) -> Result<Labels, DatasetError> {
        let wanted = [self.id.clone(), self.label.clone()];
        let wanted = (wanted.as_slice(), None);
        let mut labels = Labels::default();
        for (path, format) in &self.files {
            let mut overflow = false;
            read::stream(path, *format, wanted, &mut |lanes, _| {
                let [ids, truths] = lanes.as_slice() else { return Ok(()) };
                for (key, truth) in keys(ids).into_iter().zip(truth(truths, &self.positive)) {
                    let (Some(key), Some(truth)) = (key, truth) else {
                        labels.came.incomplete += 1;
                        continue;
                    };
                    if labels.known.len() >= LABELS_MOST && !labels.known.contains_key(&key) {
                        overflow = true;
                        continue;
                    }
                    if labels.known.insert(key, truth).is_some_and(|before| before != truth) {
                        labels.came.corrected += 1;
                    }
                }
                if overflow { Err(DatasetError::GivenUp) } else { Ok(()) }
            })
            .map_err(|error| match error {
                DatasetError::GivenUp => DatasetError::ManyLabels { path: path.clone(), most: LABELS_MOST },
                other => other,
            })?;
        }
        labels.came.labels = labels.known.len() as u64;
        let hash = |(key, truth): (&[u8; 16], &bool)| {
            let (first, last) = key.split_at(8);
            let half = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            mix(half(first) ^ mix(half(last) ^ u64::from(*truth)))
        };
        labels.came.sum = labels.known.iter().map(hash).fold(0, u64::wrapping_add);
        Ok(labels)
    }
}

/// Labels that came, by identifier.
#[derive(Debug)]
pub struct Labels {
    known: HashMap<[u8; 16], bool>,
    came: Came,
}

impl Default for Labels {
    fn default() -> Self {
        Self { known: HashMap::new(), came: Came { labels: 0, corrected: 0, incomplete: 0, sum: 0 } }
    }
}

impl Labels {
    /// Reads tables of labels.
    ///
    /// # Errors
    /// As [`Late::of`] and [`Late::read`].
    pub fn read(dataset: &Dataset, id: &str, label: &str, positive: &str) -> Result<Self, DatasetError> {
        Late::of(dataset, id, label, positive)?.read()
    }

    /// What came.
    #[must_use]
    pub const fn came(&self) -> Came {
        self.came
    }

    /// Bytes of memory held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        self.known.capacity() * 18
    }

    /// The labels of these identifiers.
    pub(crate) fn of(&self, ids: &Lane) -> Vec<Option<bool>> {
        keys(ids).into_iter().map(|key| self.known.get(&key?).copied()).collect()
    }
}

/// The first 16 bytes of the SHA-256 of each identifier: those of two identifiers meet by nobody's doing.
fn keys(lane: &Lane) -> Vec<Option<[u8; 16]>> {
    let key = |row| {
        let digest = Sha256::digest(lane.word(row)?.as_bytes());
        digest.first_chunk::<16>().copied()
    };
    (0..lane.len()).map(key).collect()
}
