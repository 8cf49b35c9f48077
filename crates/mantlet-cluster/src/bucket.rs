//! `bucket(column, job, place)`: the cell of each value in the buckets of a stored profile.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use mantlet_dataset::{Kind, Lane};

use crate::known::Known;

/// The function's name.
pub(crate) const NAME: &str = "bucket";

/// The function. The profile is that of the job, which the plan's scan brings along; the place is that of the column in
/// it.
#[derive(Debug)]
pub(crate) struct Bucket {
    signature: Signature,
    known: Known,
}

impl Bucket {
    pub(crate) fn new(known: Known) -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable), known }
    }
}

// One function, whatever it knows.
impl PartialEq for Bucket {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Bucket {}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

/// A column of a scan as a lane.
pub(crate) fn lane(array: &ArrayRef) -> Result<Lane> {
    let kind = if *array.data_type() == DataType::Float64 { Kind::Numbers } else { Kind::Words };
    Lane::of_arrow(array, kind)
        .ok_or_else(|| exec_datafusion_err!("values of type {} are not read", array.data_type()))
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, ColumnarValue::Scalar(job), ColumnarValue::Scalar(ScalarValue::Int64(Some(place)))] =
            args.args.as_slice()
        else {
            return exec_err!("{NAME} takes a column, the job, and the column's place in its profile");
        };
        let (ScalarValue::Utf8(Some(job))
        | ScalarValue::Utf8View(Some(job))
        | ScalarValue::LargeUtf8(Some(job))) = job
        else {
            return exec_err!("{NAME} takes the job by its name");
        };
        let held = self.known.find(job)?;
        let Some((buckets, crossed)) = usize::try_from(*place).ok().and_then(|at| held.buckets(at)) else {
            return exec_err!("{NAME}: the profile has no column {place}");
        };
        let lane = lane(&value.to_array(args.number_rows)?)?;
        let cells = buckets.cells(&lane.codes(buckets), crossed);
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from(cells))))
    }
}
