//! `gather(job, file, row, unreadable, column, ...)`: rows counted as a job says, as whole numbers, mergeable in any
//! order.

use std::hash::{Hash, Hasher};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use mantlet_dataset::{Gathered, Lane, Worker};
use mantlet_drift::bytes::Left;

use crate::bucket::lane;
use crate::known::Known;

/// The aggregate's name.
pub(crate) const NAME: &str = "gather";
/// Arguments before the columns.
const FIRST: usize = 4;

/// The aggregate.
#[derive(Debug)]
pub(crate) struct Gather {
    signature: Signature,
    known: Known,
}

impl Gather {
    pub(crate) fn new(known: Known) -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable), known }
    }
}

// One aggregate, whatever it knows.
impl PartialEq for Gather {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Gather {}

impl Hash for Gather {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl AggregateUDFImpl for Gather {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Gathering { known: self.known.clone(), so_far: SoFar::Nothing }))
    }
}

/// What one partition has counted.
#[derive(Debug)]
struct Gathering {
    known: Known,
    so_far: SoFar,
}

#[derive(Debug)]
enum SoFar {
    Nothing,
    /// Rows of this partition.
    Rows(Worker),
    /// Counts of other partitions.
    Counts(Gathered),
}

fn wrong(error: mantlet_drift::DriftError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Cells that could not be read, as a scan writes them: pairs of a column and a number of cells.
fn add_unreadable(bytes: &[u8], sums: &mut [u64]) -> Option<()> {
    let mut left = Left(bytes);
    while !left.is_empty() {
        let (column, cells) = (usize::try_from(left.number()?).ok()?, left.number()?);
        let sum = sums.get_mut(column)?;
        *sum = sum.saturating_add(cells);
    }
    Some(())
}

impl Accumulator for Gathering {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let shape =
            || exec_datafusion_err!("{NAME} takes a job, the file, the row, what is unreadable, and columns");
        let [job, files, rows, unreadable, columns @ ..] = values else { return Err(shape()) };
        if rows.is_empty() {
            return Ok(());
        }
        if matches!(self.so_far, SoFar::Nothing) {
            let name = job.as_string_opt::<i32>().map(|names| names.value(0));
            let name = name.or_else(|| job.as_string_view_opt().map(|names| names.value(0)));
            let held = self.known.find(name.ok_or_else(shape)?)?;
            self.so_far = SoFar::Rows(Worker::new(std::sync::Arc::clone(&held.prepared)));
        }
        let SoFar::Rows(worker) = &mut self.so_far else { return Err(shape()) };
        let files = files.as_primitive_opt::<UInt32Type>().ok_or_else(shape)?.values();
        let rows = rows.as_primitive_opt::<UInt64Type>().ok_or_else(shape)?.values();
        let mut sums = vec![0; worker.gathered().unreadable.len()];
        for bytes in unreadable.as_binary_opt::<i32>().ok_or_else(shape)?.iter().flatten() {
            add_unreadable(bytes, &mut sums).ok_or_else(shape)?;
        }
        // Neighbouring rows of one file are counted at once. A batch is such a run as it comes from a scan, whatever
        // the plan does to batches above it.
        let mut from = 0;
        while from < rows.len() {
            let is_next = |at: usize| files[at] == files[from] && rows[at] == rows[from] + (at - from) as u64;
            let to = (from..rows.len()).find(|&at| !is_next(at)).unwrap_or(rows.len());
            let cut = |column: &ArrayRef| lane(&column.slice(from, to - from));
            let lanes: Vec<Lane> = columns.iter().map(cut).collect::<Result<_>>()?;
            worker.add((files[from], rows[from]), &lanes, &sums).map_err(wrong)?;
            sums.fill(0);
            from = to;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let bytes = match &self.so_far {
            SoFar::Nothing => None,
            SoFar::Rows(worker) => Some(worker.gathered().to_bytes()),
            SoFar::Counts(gathered) => Some(gathered.to_bytes()),
        };
        let (found, most) = (bytes.as_ref().map_or(0, Vec::len), self.known.most());
        if found > most {
            return Err(exec_datafusion_err!(
                "what was counted takes {found} bytes, more than the {most} that a message between processes holds; \
                 count with the engine stream or datafusion, or fewer columns or segments"
            ));
        }
        Ok(ScalarValue::Binary(bytes))
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + match &self.so_far {
                SoFar::Nothing => 0,
                SoFar::Rows(worker) => worker.size(),
                SoFar::Counts(gathered) => gathered.size(),
            }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = states.first().and_then(|states| states.as_binary_opt::<i32>());
        let states = states.ok_or_else(|| exec_datafusion_err!("{NAME} merges only what it has counted"))?;
        for bytes in states.iter().flatten() {
            let other = Gathered::from_bytes(bytes).map_err(wrong)?;
            match &mut self.so_far {
                SoFar::Counts(own) => own.merge(other).map_err(wrong)?,
                SoFar::Nothing => self.so_far = SoFar::Counts(other),
                SoFar::Rows(_) => return Err(exec_datafusion_err!("{NAME} either counts or merges")),
            }
        }
        Ok(())
    }
}

/// The arguments before the columns, as the text of a plan has them.
pub(crate) fn arguments(id: &str) -> [String; FIRST] {
    [format!("'{id}'"), "file".into(), "\"row\"".into(), "unreadable".into()]
}
