//! The engine that needs nothing: this process reads file after file.

use std::sync::Arc;

use mantlet_drift::{Counter, Counts};

use super::{Engine, Gathered, Job, Prepared, Reference, Worker};
use crate::decisions::Labels;
use crate::measure::unread;
use crate::{Column, Dataset, DatasetError, Lane, Measured};

/// Reads a table file after file, in bounded memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stream;

impl Engine for Stream {
    type Error = DatasetError;

    fn gather(&self, dataset: &Dataset, job: Job, late: Option<&Labels>) -> Result<Gathered, DatasetError> {
        let prepared = Arc::new(Prepared::new(job)?);
        let mut worker = Worker::new(Arc::clone(&prepared));
        let none = vec![0; prepared.job().wanted.len()];
        let unreadable = dataset.stream_files(&prepared.job().wanted, |file, row, lanes| {
            let file = u32::try_from(file).unwrap_or(u32::MAX);
            Ok(worker.add((file, row), &lanes, &none, late)?)
        })?;
        let mut gathered = worker.finish();
        gathered.unreadable = unreadable;
        Ok(gathered)
    }

    fn count(
        &self,
        dataset: &Dataset,
        reference: &Reference,
        wanted: &[Column],
    ) -> Result<Measured<Counts>, DatasetError> {
        let columns = reference.columns();
        let mut counter = Counter::new(columns);
        let unreadable = dataset.stream(wanted, |_, lanes| {
            let lanes = lanes.iter().zip(columns);
            let codes: Vec<Vec<u16>> =
                lanes.map(|(lane, column)| Lane::codes(lane, &column.buckets)).collect();
            Ok(counter.add(&codes)?)
        })?;
        Ok(Measured { value: counter.finish(), gaps: unread(wanted, &unreadable) })
    }
}
