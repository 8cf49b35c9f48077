//! The engine that needs nothing: this process reads part after part.

use std::sync::Arc;

use super::{Engine, Gathered, Job, Prepared, Worker};
use crate::{Dataset, DatasetError, Part};

/// Reads a table part after part, in bounded memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stream;

impl Stream {
    /// Makes a pass over some parts of a table, the first row of which has this number.
    ///
    /// # Errors
    /// When one cannot be read to its end.
    pub fn gather_parts(
        prepared: &Arc<Prepared>,
        parts: &[Part],
        first: u64,
    ) -> Result<Gathered, DatasetError> {
        let job = prepared.job();
        if let Some(late) = &job.late {
            prepared.read_labels(late)?;
        }
        let mut worker = Worker::new(Arc::clone(prepared));
        for part in parts {
            let before = first.saturating_add(worker.gathered().rows);
            part.stream(&job.wanted, |row, lanes, unreadable| {
                Ok(worker.add((part.file, before + row), &lanes, unreadable)?)
            })?;
        }
        Ok(worker.finish())
    }
}

impl Engine for Stream {
    type Error = DatasetError;

    fn gather(&self, dataset: &Dataset, job: Job) -> Result<Gathered, DatasetError> {
        Self::gather_parts(&Arc::new(Prepared::new(job)?), &dataset.parts_as_files(), 0)
    }
}
