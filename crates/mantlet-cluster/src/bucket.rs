//! `bucket(column, profile)`: the cell of each value in the buckets of a stored profile.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::UInt32Array;
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use mantlet_dataset::{Kind, Lane};
use mantlet_drift::{Buckets, ColumnProfile, Profile};
use serde::{Deserialize, Serialize};

/// The function's name.
pub(crate) const NAME: &str = "bucket";
/// Columns of profiles that are kept read at once.
const KEPT: usize = 16_384;
/// Bytes of them.
const KEPT_BYTES: usize = 512 << 20;

/// How one column of a profile travels: as text, in the plan itself, so that whoever runs the plan needs nothing else.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    /// Whether the column is read as words; as numbers otherwise.
    words: bool,
    /// Whether it is crossed with others in pairs.
    crossed: bool,
    /// Edges of numbers, as the bits of IEEE 754: decimal digits may come back as a neighbour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edges: Vec<u64>,
    buckets: Buckets,
}

impl Slot {
    /// The text of a column.
    pub(crate) fn text(kind: Kind, crossed: bool, column: &ColumnProfile) -> Result<String> {
        let mut buckets = column.buckets.clone();
        let edges = match &mut buckets {
            Buckets::Numbers { edges, .. } => edges.drain(..).map(f64::to_bits).collect(),
            _ => Vec::new(),
        };
        let slot = Self { words: kind == Kind::Words, crossed, edges, buckets };
        serde_json::to_string(&slot).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn read(text: &str) -> Result<Self> {
        let wrong =
            |reason: String| DataFusionError::Execution(format!("{NAME}: the profile is damaged: {reason}"));
        let mut slot: Self = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let bits = std::mem::take(&mut slot.edges);
        if let Buckets::Numbers { edges, .. } = &mut slot.buckets {
            *edges = bits.into_iter().map(f64::from_bits).collect();
        }
        let column = ColumnProfile { name: "column".into(), buckets: slot.buckets };
        let profile = Profile::new("", vec![column]);
        profile.check().map_err(|error| wrong(error.to_string()))?;
        let Some(column) = profile.columns.into_iter().next() else { return exec_err!("{NAME}: no column") };
        Ok(Self { buckets: column.buckets, ..slot })
    }
}

/// Columns of profiles that were read already: a plan hands the same text in with every batch.
#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<String, Arc<Slot>>,
    bytes: usize,
}

/// The function.
#[derive(Debug)]
pub(crate) struct Bucket {
    signature: Signature,
    kept: Mutex<Kept>,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable), kept: Mutex::default() }
    }

    fn slot(&self, text: &str) -> Result<Arc<Slot>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept().slots.get(text) {
            return Ok(Arc::clone(slot));
        }
        let slot = Arc::new(Slot::read(text)?);
        let mut kept = kept();
        if kept.slots.len() >= KEPT || kept.bytes.saturating_add(text.len()) > KEPT_BYTES {
            *kept = Kept::default();
        }
        if kept.slots.insert(text.to_owned(), Arc::clone(&slot)).is_none() {
            kept.bytes = kept.bytes.saturating_add(text.len());
        }
        Ok(slot)
    }
}

// One function, whatever it has kept.
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
        let [value, ColumnarValue::Scalar(profile)] = args.args.as_slice() else {
            return exec_err!("{NAME} takes a column and the text of its profile");
        };
        let (ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text))) = profile
        else {
            return exec_err!("{NAME} takes the profile as a text");
        };
        let slot = self.slot(text)?;
        let array = value.to_array(args.number_rows)?;
        let kind = if slot.words { Kind::Words } else { Kind::Numbers };
        let Some(lane) = Lane::of_arrow(&array, kind) else {
            return exec_err!("{NAME}: values of type {} are not {}", array.data_type(), kind.word());
        };
        let cells = slot.buckets.cells(&lane.codes(&slot.buckets), slot.crossed);
        Ok(ColumnarValue::Array(Arc::new(UInt32Array::from(cells))))
    }
}

#[cfg(test)]
mod tests {
    use mantlet_drift::NumberSketch;

    use super::*;

    #[test]
    fn edges_travel_to_the_last_bit() {
        let mut sketch = NumberSketch::default();
        (0..2000_u32).for_each(|i| sketch.take(u64::from(i), f64::from(i).sqrt() / 7.0));
        let column = ColumnProfile { name: "x".into(), buckets: Buckets::of_numbers(&sketch) };
        let slot = Slot::read(&Slot::text(Kind::Numbers, true, &column).unwrap()).unwrap();
        assert_eq!(slot.buckets, column.buckets);
        assert!(slot.crossed && !slot.words);
    }

    #[test]
    fn a_damaged_profile_is_an_error_and_no_panic() {
        let levels = r#""levels":[0,1,9]"#;
        for text in [
            "",
            "{}",
            r#"{"words":false,"crossed":true,"buckets":{"kind":"numbers","edges":[],"levels":[0]}}"#,
            &format!(
                r#"{{"words":false,"crossed":true,"edges":[4607182418800017408],"buckets":{{"kind":"numbers","edges":[],{levels}}}}}"#
            ),
        ] {
            let error = Slot::read(text).unwrap_err().to_string();
            assert!(error.contains("the profile is damaged"), "{error}");
        }
    }
}
