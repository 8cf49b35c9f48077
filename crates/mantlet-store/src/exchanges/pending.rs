//! Rows that are in no segment yet, as columns: they take a third of the memory that rows of their own would.

use std::sync::Arc;

use mantlet_columns::{Columns, ColumnsError, Fields, RecordBatch, Row, rows};
use mantlet_vocab::Millis;

/// Rows of a batch at most.
const TOGETHER: usize = 1024;
/// Values of a batch from which it is full.
const VALUES: usize = 1 << 18;

/// The rows of one segment.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) first: Millis,
    pub(super) last: Millis,
}

impl Default for Filled {
    fn default() -> Self {
        Self { batches: Vec::new(), first: Millis(u64::MAX), last: Millis(0) }
    }
}

impl Filled {
    /// All of these rows.
    pub(super) fn of(rows: &[Row]) -> Result<Self, ColumnsError> {
        let mut filling = Filling::default();
        rows.iter().try_for_each(|row| filling.push(&row.into()))?;
        filling.take()
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// A segment that is being filled.
#[derive(Debug, Default)]
pub(super) struct Filling {
    full: Filled,
    open: Columns,
    /// Values in the open batch.
    values: usize,
}

impl Filling {
    /// Rows in it.
    pub(super) fn len(&self) -> usize {
        self.full.rows() + self.open.len()
    }

    pub(super) fn push(&mut self, row: &Fields<'_>) -> Result<(), ColumnsError> {
        self.full.first = self.full.first.min(row.at);
        self.full.last = self.full.last.max(row.at);
        self.open.push(row);
        self.values += row.features.len() + row.scores.len();
        if self.open.len() >= TOGETHER || self.values >= VALUES {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ColumnsError> {
        self.values = 0;
        if !self.open.is_empty() {
            self.full.batches.push(self.open.finish()?);
        }
        Ok(())
    }

    /// Everything in it; it is empty afterwards.
    pub(super) fn take(&mut self) -> Result<Filled, ColumnsError> {
        self.close()?;
        Ok(std::mem::take(&mut self.full))
    }

    /// Gives up about a quarter of the rows, the oldest first, and never fewer than `least`; says how many of how many.
    pub(super) fn give_up(&mut self, least: usize) -> Result<(usize, usize), ColumnsError> {
        self.close()?;
        let all = self.full.rows();
        let goal = least.max(all / 4).min(all);
        let mut gone = 0;
        while gone < goal {
            let batch = self.full.batches.remove(0);
            let some = batch.num_rows().min(goal - gone);
            gone += some;
            if some < batch.num_rows() {
                self.full.batches.insert(0, batch.slice(some, batch.num_rows() - some));
            }
        }
        Ok((gone, all))
    }
}

/// Rows that are in no segment yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Those being written into one.
    pub(super) writing: Arc<Filled>,
    /// Those that came since.
    pub(super) filling: Filling,
}

impl Pending {
    /// The rows that are wanted.
    pub(super) fn find(&self, wanted: impl Fn(&Row) -> bool) -> Result<Vec<Row>, ColumnsError> {
        let open = if self.filling.open.is_empty() { None } else { Some(self.filling.open.copied()?) };
        let mut found = Vec::new();
        for batch in self.writing.batches.iter().chain(&self.filling.full.batches).chain(&open) {
            found.extend(rows(batch)?.into_iter().filter(&wanted));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64, features: usize) -> Row {
        Row { id: n.to_string(), at: Millis(n), features: vec![1.0; features], ..Row::default() }
    }

    #[test]
    fn rows_are_found_in_every_state_and_given_up_from_the_oldest_on() {
        for features in [0, 784] {
            let mut pending = Pending::default();
            let ids = |pending: &Pending| -> Vec<u64> {
                pending.find(|row| row.at.0 % 7 > 0).unwrap().iter().map(|row| row.at.0).collect()
            };
            let expected = |from: u64| -> Vec<u64> { (from..2_500).filter(|n| n % 7 > 0).collect() };
            (0..1_200).for_each(|n| pending.filling.push(&(&row(n, features)).into()).unwrap());
            pending.writing = Arc::new(pending.filling.take().unwrap());
            assert_eq!((pending.writing.first, pending.writing.last), (Millis(0), Millis(1_199)));
            (1_200..2_500).for_each(|n| pending.filling.push(&(&row(n, features)).into()).unwrap());
            assert_eq!(pending.filling.len(), 1_300);
            assert_eq!(ids(&pending), expected(0));
            pending.writing = Arc::default();
            assert_eq!(ids(&pending), expected(1_200));
            assert_eq!(pending.filling.give_up(1).unwrap(), (325, 1_300));
            assert_eq!(ids(&pending), expected(1_525));
            assert_eq!(pending.filling.give_up(900).unwrap(), (900, 975));
            assert_eq!(ids(&pending), expected(2_425));
            assert_eq!(pending.filling.give_up(900).unwrap(), (75, 75));
            assert_eq!(pending.filling.len(), 0);
        }
    }
}
