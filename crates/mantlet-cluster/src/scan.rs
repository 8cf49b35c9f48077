//! The table of a plan: our own readers behind DataFusion's interface, so that every engine reads every format alike,
//! within the same bounds, and says the same when a file is damaged.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, UInt64Type};
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, UInt32Array,
    UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_datafusion_err, plan_datafusion_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures_util::TryStreamExt as _;
use mantlet_dataset::{Column, DatasetError, Kind, Lane, Part};
use mantlet_drift::bytes::put;
use serde::{Deserialize, Serialize};

use crate::Roots;
use crate::known::Held;

/// Columns before those of the table.
const FIRST: usize = 3;
/// Batches of a part that wait to be counted.
const WAITING: usize = 2;

/// A scan as it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// The text of the job.
    pub(crate) job: String,
    /// The columns that are read.
    pub(crate) wanted: Vec<Column>,
    /// The parts, each with the number of its first row in the whole table.
    pub(crate) parts: Vec<(u64, Part)>,
}

impl Spec {
    fn schema(&self) -> SchemaRef {
        let mut fields = vec![
            Field::new("file", DataType::UInt32, false),
            Field::new("row", DataType::UInt64, false),
            Field::new("unreadable", DataType::Binary, true),
        ];
        for (at, column) in self.wanted.iter().enumerate() {
            let words = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let kind = if column.kind == Kind::Words { words() } else { DataType::Float64 };
            fields.push(Field::new(format!("c{at}"), kind, true));
        }
        Arc::new(Schema::new(fields))
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct ScanTable {
    pub(crate) spec: Arc<Spec>,
    /// The job, where the plan is also run.
    held: Option<Arc<Held>>,
    schema: SchemaRef,
}

impl ScanTable {
    pub(crate) fn new(spec: Arc<Spec>, held: Option<Arc<Held>>) -> Self {
        let schema = spec.schema();
        Self { spec, held, schema }
    }
}

#[async_trait]
impl TableProvider for ScanTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let scan = Scan { spec: self.spec.as_ref().clone(), columns };
        let shares = shares(scan.spec.parts.len(), state.config().target_partitions())?;
        Ok(Arc::new(ScanExec::new(Arc::new(scan), shares, self.held.clone(), None)?))
    }
}

/// Which partition reads which parts, as a table of their numbers. It stands in the plan as a step of its own, because
/// a scheduler hands each task its partitions of the sources it knows.
fn shares(parts: usize, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = Arc::new(Schema::new(vec![Field::new("part", DataType::UInt64, false)]));
    let many = partitions.min(parts).max(1);
    let share = |at: usize| -> Result<Vec<RecordBatch>> {
        let numbers = (at * parts / many..(at + 1) * parts / many).map(|part| part as u64);
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(numbers));
        Ok(vec![RecordBatch::try_new(Arc::clone(&schema), vec![numbers])?])
    };
    let shares: Vec<Vec<RecordBatch>> = (0..many).map(share).collect::<Result<_>>()?;
    Ok(MemorySourceConfig::try_new_exec(&shares, Arc::clone(&schema), None)?)
}

/// A step of a plan as it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scan {
    spec: Spec,
    /// The columns that come out, by their places.
    columns: Vec<usize>,
}

impl Scan {
    /// The text of its job.
    pub(crate) fn job(&self) -> &str {
        &self.spec.job
    }
}

/// The step that reads the parts whose numbers it is handed.
#[derive(Debug)]
pub(crate) struct ScanExec {
    pub(crate) scan: Arc<Scan>,
    shares: Arc<dyn ExecutionPlan>,
    held: Option<Arc<Held>>,
    /// What may be read; everything where the plan is one's own.
    roots: Option<Roots>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    pub(crate) fn new(
        scan: Arc<Scan>,
        shares: Arc<dyn ExecutionPlan>,
        held: Option<Arc<Held>>,
        roots: Option<Roots>,
    ) -> Result<Self> {
        let schema = Arc::new(scan.spec.schema().project(&scan.columns)?);
        let partitions = shares.properties().output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { scan, shares, held, roots, properties: Arc::new(properties) })
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: {} parts", self.scan.spec.parts.len())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.shares]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([shares]) = <[_; 1]>::try_from(children) else {
            return Err(plan_datafusion_err!("a scan reads from one list of parts"));
        };
        let (held, roots) = (self.held.clone(), self.roots.clone());
        Ok(Arc::new(Self::new(Arc::clone(&self.scan), shares, held, roots)?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        // The job has to be known for as long as its rows are read and counted.
        let Some(held) = self.held.clone() else {
            return Err(exec_datafusion_err!("this process plans and does not read"));
        };
        let share = self.shares.execute(partition, context)?;
        let (scan, roots, schema) = (Arc::clone(&self.scan), self.roots.clone(), self.schema());
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), WAITING);
        let to = stream.tx();
        stream.spawn(async move {
            let numbers: Vec<RecordBatch> = share.try_collect().await?;
            let reading = tokio::task::spawn_blocking(move || {
                if let Some(late) = &held.prepared.job().late {
                    let late = match &roots {
                        Some(roots) => late.placed(|path| roots.place(path))?,
                        None => late.clone(),
                    };
                    let read = held.prepared.read_labels(&late);
                    read.map_err(|error| DataFusionError::External(Box::new(error)))?;
                }
                read_parts(&scan, &schema, roots.as_ref(), &numbers, |batch| {
                    to.blocking_send(Ok(batch)).map_err(|_| DatasetError::GivenUp)
                })
            });
            reading.await.map_err(|fault| exec_datafusion_err!("a part was not read to its end: {fault}"))?
        });
        Ok(stream.build())
    }
}

/// Reads the parts with these numbers, one after the other.
fn read_parts(
    scan: &Scan,
    schema: &SchemaRef,
    roots: Option<&Roots>,
    numbers: &[RecordBatch],
    mut take: impl FnMut(RecordBatch) -> std::result::Result<(), DatasetError>,
) -> Result<()> {
    for batch in numbers {
        let numbers = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let numbers = numbers.ok_or_else(|| plan_datafusion_err!("a scan without a list of parts"))?;
        for &number in numbers.values() {
            let part = usize::try_from(number).ok().and_then(|number| scan.spec.parts.get(number));
            let (first, part) = part.ok_or_else(|| plan_datafusion_err!("there is no part {number}"))?;
            let reading = Reading { scan, schema, file: part.file, first: *first };
            match reading.read(part, roots, &mut take) {
                // Whoever asked wants no more.
                Err(DataFusionError::External(error)) if is_given_up(error.as_ref()) => return Ok(()),
                other => other?,
            }
        }
    }
    Ok(())
}

fn is_given_up(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(DatasetError::GivenUp))
}

/// One part as it is read.
struct Reading<'a> {
    scan: &'a Scan,
    schema: &'a SchemaRef,
    file: u32,
    first: u64,
}

impl Reading<'_> {
    fn read(
        &self,
        part: &Part,
        roots: Option<&Roots>,
        mut take: impl FnMut(RecordBatch) -> std::result::Result<(), DatasetError>,
    ) -> Result<()> {
        let external = |error: DatasetError| DataFusionError::External(Box::new(error));
        let mut part = part.clone();
        if let Some(roots) = roots {
            part.path = roots.place(&part.path)?;
        }
        // Rows are counted by a column: one is read even when none comes out.
        let mut places: Vec<usize> =
            self.scan.columns.iter().filter_map(|&at| at.checked_sub(FIRST)).collect();
        if places.is_empty() {
            places.push(0);
        }
        let wanted: Option<Vec<Column>> =
            places.iter().map(|&at| self.scan.spec.wanted.get(at).cloned()).collect();
        let wanted = wanted.ok_or_else(|| plan_datafusion_err!("a scan without columns"))?;
        let mut fault = None;
        let read = part.stream(&wanted, |row, lanes, unreadable| {
            match self.batch(row, &places, lanes, unreadable) {
                Ok(batch) => take(batch),
                Err(error) => {
                    fault = Some(error);
                    Err(DatasetError::GivenUp)
                }
            }
        });
        fault.map_or_else(|| read.map_err(external), Err)
    }

    fn batch(&self, row: u64, places: &[usize], lanes: Vec<Lane>, unreadable: &[u64]) -> Result<RecordBatch> {
        let rows = lanes.first().map_or(0, Lane::len);
        let first = self.first + row;
        let mut faults = Vec::new();
        for (&place, &cells) in places.iter().zip(unreadable).filter(|(_, cells)| **cells > 0) {
            put(&mut faults, place as u64);
            put(&mut faults, cells);
        }
        // By their places in the table.
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.scan.spec.wanted.len()];
        for (lane, &place) in lanes.into_iter().zip(places) {
            if let Some(own) = arrays.get_mut(place) {
                *own = Some(array(lane));
            }
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.scan.columns.len());
        for &at in &self.scan.columns {
            columns.push(match at.checked_sub(FIRST) {
                None if at == 0 => Arc::new(UInt32Array::from(vec![self.file; rows])),
                None if at == 1 => Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)),
                None => {
                    let faults = (!faults.is_empty()).then_some(faults.as_slice());
                    let cells = (0..rows).map(|row| faults.filter(|_| row == 0));
                    Arc::new(cells.collect::<BinaryArray>())
                }
                Some(column) => {
                    let array = arrays.get_mut(column).and_then(Option::take);
                    array.ok_or_else(|| plan_datafusion_err!("column {column} is asked for twice"))?
                }
            });
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(self.schema), columns, &options)?)
    }
}

/// A lane as an array that is read back as the same lane.
fn array(lane: Lane) -> ArrayRef {
    match lane {
        Lane::Numbers(values) => Arc::new(Float64Array::from(values)),
        Lane::Words { keys, words } => {
            let many = words.len();
            let key = |key: u32| i32::try_from(key).ok().filter(|&key| (key as usize) < many);
            let keys: Int32Array = keys.into_iter().map(key).collect();
            let words: ArrayRef = Arc::new(StringArray::from(words));
            // Every key has a word: that was looked at.
            match DictionaryArray::<Int32Type>::try_new(keys, words) {
                Ok(array) => Arc::new(array),
                Err(_) => {
                    Arc::new(DictionaryArray::<Int32Type>::from_iter(std::iter::repeat_n(None::<&str>, 0)))
                }
            }
        }
    }
}

/// Whether a provider is a scan of ours.
pub(crate) fn as_table(table: &Arc<dyn TableProvider>) -> Option<&ScanTable> {
    let table: &dyn Any = table.as_ref();
    table.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::lane;

    #[test]
    fn a_lane_comes_back_from_an_array_as_it_was() {
        let numbers = Lane::Numbers(vec![1.5, f64::NAN, f64::NEG_INFINITY]);
        let Lane::Numbers(back) = lane(&array(numbers)).unwrap() else { unreachable!() };
        assert!(back[0] == 1.5 && back[1].is_nan() && back[2] == f64::NEG_INFINITY);
        let words = Lane::Words { keys: vec![1, u32::MAX, 0, 1], words: vec!["a".into(), "ü".into()] };
        let back = lane(&array(words)).unwrap();
        let word = |row| back.word(row).map(|word| word.into_owned());
        assert_eq!([0, 1, 2, 3].map(word), [Some("ü".into()), None, Some("a".into()), Some("ü".into())]);
        let none = Lane::Words { keys: vec![u32::MAX; 2], words: Vec::new() };
        let back = lane(&array(none)).unwrap();
        assert!(back.len() == 2 && back.word(0).is_none());
    }
}
