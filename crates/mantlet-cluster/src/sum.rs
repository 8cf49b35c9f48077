//! `tally(cell, ...)`: rows added up by their cells, as whole numbers, mergeable in any order.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use mantlet_drift::Tally;

/// The aggregate's name.
pub(crate) const NAME: &str = "tally";

/// The aggregate.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sum {
    signature: Signature,
}

impl Sum {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Sum {
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
        Ok(Box::new(Adding::default()))
    }
}

/// What one partition has added up.
#[derive(Debug, Default)]
struct Adding {
    tally: Tally,
}

fn wrong(error: mantlet_drift::DriftError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl Accumulator for Adding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let cells = |array: &'_ ArrayRef| -> Option<_> { array.as_primitive_opt::<UInt32Type>().cloned() };
        let arrays: Option<Vec<_>> = values.iter().map(cells).collect();
        let arrays =
            arrays.ok_or_else(|| exec_datafusion_err!("{NAME} takes cells, which `bucket` makes"))?;
        let cells: Vec<&[u32]> = arrays.iter().map(|array| array.values().as_ref()).collect();
        self.tally.add(&cells).map_err(wrong)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.tally.to_bytes())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.tally.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = states.first().and_then(|states| states.as_binary_opt::<i32>());
        let states = states.ok_or_else(|| exec_datafusion_err!("{NAME} merges only what it has added up"))?;
        for bytes in states.iter().flatten() {
            self.tally.merge(&Tally::from_bytes(bytes).map_err(wrong)?).map_err(wrong)?;
        }
        Ok(())
    }
}
