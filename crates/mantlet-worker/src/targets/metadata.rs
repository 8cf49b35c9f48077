//! What an endpoint says of its model (`GET /v2/models/{name}`), and which of its outputs is the decision.

use mantlet_redteam::TargetError;
use mantlet_vocab::{NamedValue, Tensor, Value};
use mantlet_wire::Datatype;
use serde::Deserialize;

/// An input or output as the endpoint describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct TensorMetadata {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<i64>,
}

/// The metadata of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Metadata {
    pub(super) inputs: Vec<TensorMetadata>,
    pub(super) outputs: Vec<TensorMetadata>,
}

/// One input and the columns of a row it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) datatype: Datatype,
    /// Shape of one row.
    pub(super) shape: Vec<usize>,
}

/// How rows go in and decisions come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) slots: Vec<Slot>,
    pub(super) label: Option<String>,
    pub(super) scores: Option<String>,
    /// Number of score columns, when stated.
    pub(super) columns: Option<usize>,
}

fn unsupported(reason: String) -> TargetError {
    TargetError::Unsupported { reason }
}

impl Metadata {
    /// Finds inputs and outputs; names given by the user win over guesses.
    pub(super) fn layout(
        &self,
        input: Option<&str>,
        label: Option<&str>,
        scores: Option<&str>,
        row: Option<&[usize]>,
    ) -> Result<Layout, TargetError> {
        let chosen: Vec<&TensorMetadata> =
            self.inputs.iter().filter(|tensor| input.is_none_or(|name| tensor.name == name)).collect();
        if chosen.is_empty() {
            return Err(unsupported(format!("the endpoint's model has no input `{}`", input.unwrap_or(""))));
        }
        let single = chosen.len() == 1;
        let slots =
            chosen.iter().map(|tensor| slot(tensor, row.filter(|_| single))).collect::<Result<_, _>>()?;
        let named = |name: &str| {
            self.outputs
                .iter()
                .find(|tensor| tensor.name == name)
                .ok_or_else(|| unsupported(format!("the endpoint's model has no output `{name}`")))
        };
        let is_float =
            |tensor: &&TensorMetadata| tensor.datatype.starts_with("FP") || tensor.datatype == "BF16";
        let label = match label {
            Some(name) => Some(named(name)?),
            None => self.outputs.iter().find(|tensor| {
                (tensor.datatype.contains("INT") || tensor.datatype == "BYTES")
                    && values_per_row(tensor) == Some(1)
            }),
        };
        let scores = match scores {
            Some(name) => Some(named(name)?),
            None => self
                .outputs
                .iter()
                .filter(is_float)
                .find(|tensor| values_per_row(tensor) != Some(1))
                .or_else(|| self.outputs.iter().find(is_float).filter(|_| label.is_none())),
        };
        if label.is_none() && scores.is_none() {
            return Err(unsupported(
                "the endpoint's model has no output that looks like labels or scores; name one".to_owned(),
            ));
        }
        let columns = scores.and_then(values_per_row).map(|columns| columns.max(2));
        Ok(Layout {
            slots,
            label: label.map(|tensor| tensor.name.clone()),
            scores: scores.map(|tensor| tensor.name.clone()),
            columns,
        })
    }
}

/// Values in one row, when stated.
fn values_per_row(tensor: &TensorMetadata) -> Option<usize> {
    tensor.shape.iter().skip(1).try_fold(1_usize, |product, axis| {
        usize::try_from(*axis).ok().and_then(|axis| product.checked_mul(axis))
    })
}

fn slot(tensor: &TensorMetadata, row: Option<&[usize]>) -> Result<Slot, TargetError> {
    let datatype =
        Datatype::named(&tensor.datatype).filter(|datatype| *datatype != Datatype::Bytes).ok_or_else(
            || unsupported(format!("input `{}` takes {}, not numbers", tensor.name, tensor.datatype)),
        )?;
    let shape = match row {
        Some(row) => row.to_vec(),
        None => tensor
            .shape
            .iter()
            .skip(1)
            .map(|axis| usize::try_from(*axis).ok())
            .collect::<Option<_>>()
            .ok_or_else(|| {
                unsupported(format!("input `{}` leaves its shape open: give the shape of a row", tensor.name))
            })?,
    };
    Ok(Slot { name: tensor.name.clone(), datatype, shape })
}

impl Layout {
    /// Shape of one row: that of the only input, or all columns of several.
    pub(super) fn row_shape(&self) -> Vec<usize> {
        match self.slots.as_slice() {
            [one] if !one.shape.is_empty() => one.shape.clone(),
            many => vec![many.iter().map(Slot::len).sum()],
        }
    }

    /// The inputs of these rows.
    pub(super) fn inputs(&self, rows: &Tensor) -> Result<Vec<NamedValue>, TargetError> {
        let wanted: usize = self.slots.iter().map(Slot::len).sum();
        if rows.row_len() != wanted {
            let reason = format!("a row has {} values, the endpoint takes {wanted}", rows.row_len());
            return Err(unsupported(reason));
        }
        let mut from = 0;
        self.slots
            .iter()
            .map(|slot| {
                let part = from..from + slot.len();
                from = part.end;
                let data: Vec<f32> =
                    (0..rows.rows()).flat_map(|row| rows.row(row)[part.clone()].to_vec()).collect();
                let mut shape = vec![rows.rows()];
                shape.extend_from_slice(&slot.shape);
                Ok(NamedValue { name: slot.name.clone(), value: typed(slot, shape, &data)? })
            })
            .collect()
    }
}

impl Slot {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The values in the element type the input takes.
fn typed(slot: &Slot, shape: Vec<usize>, data: &[f32]) -> Result<Value, TargetError> {
    let shaped = |_| TargetError::Malformed { reason: format!("input `{}` cannot hold the rows", slot.name) };
    let whole = || -> Result<(), TargetError> {
        if data.iter().any(|value| value.fract() != 0.0 || value.abs() > 16_777_216.0) {
            let name = &slot.name;
            return Err(unsupported(format!(
                "input `{name}` takes whole numbers: mark its columns as integer"
            )));
        }
        Ok(())
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and small"
    )]
    Ok(match slot.datatype {
        Datatype::Fp64 => Value::F64(
            Tensor::new(shape, data.iter().map(|value| f64::from(*value)).collect()).map_err(shaped)?,
        ),
        Datatype::Int64 => {
            whole()?;
            Value::I64(Tensor::new(shape, data.iter().map(|value| *value as i64).collect()).map_err(shaped)?)
        }
        Datatype::Int32 => {
            whole()?;
            Value::I32(Tensor::new(shape, data.iter().map(|value| *value as i32).collect()).map_err(shaped)?)
        }
        Datatype::Uint8 => {
            whole()?;
            if data.iter().any(|value| !(0.0..=255.0).contains(value)) {
                return Err(unsupported(format!("input `{}` takes 0 to 255", slot.name)));
            }
            Value::U8(Tensor::new(shape, data.iter().map(|value| *value as u8).collect()).map_err(shaped)?)
        }
        Datatype::Fp32 => Value::F32(Tensor::new(shape, data.to_vec()).map_err(shaped)?),
        other => return Err(unsupported(format!("input `{}` takes {}", slot.name, other.name()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(json: &str) -> Result<Layout, TargetError> {
        serde_json::from_str::<Metadata>(json).unwrap().layout(None, None, None, None)
    }

    #[test]
    fn decisions_are_recognised() {
        let net = layout(
            r#"{"name": "m", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1, 8, 8]}],
                "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 10]}]}"#,
        )
        .unwrap();
        assert_eq!((net.row_shape(), net.label, net.scores.as_deref()), (vec![1, 8, 8], None, Some("p")));
        assert_eq!(net.columns, Some(10));
        let table = layout(
            r#"{"inputs": [{"name": "age", "datatype": "INT64", "shape": [-1, 1]}, {"name": "pay", "datatype": "FP32", "shape": [-1, 1]}],
                "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}, {"name": "p", "datatype": "FP32", "shape": [-1, -1]}]}"#,
        )
        .unwrap();
        assert_eq!(
            (table.row_shape(), table.label.as_deref(), table.scores.as_deref()),
            (vec![2], Some("label"), Some("p"))
        );
        let inputs = table.inputs(&Tensor::new([2, 2], vec![30.0, 1.5, 40.0, 2.5]).unwrap()).unwrap();
        assert_eq!(inputs[0].value, Value::I64(Tensor::new([2, 1], vec![30, 40]).unwrap()));
        assert!(table.inputs(&Tensor::new([1, 2], vec![30.5, 1.0]).unwrap()).is_err());
    }

    #[test]
    fn what_cannot_be_attacked_is_said() {
        for json in [
            r#"{"inputs": [{"name": "t", "datatype": "BYTES", "shape": [-1]}], "outputs": []}"#,
            r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}], "outputs": []}"#,
            r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}], "outputs": []}"#,
            r#"{"inputs": [], "outputs": []}"#,
        ] {
            assert!(matches!(layout(json), Err(TargetError::Unsupported { .. })), "{json}");
        }
    }
}
