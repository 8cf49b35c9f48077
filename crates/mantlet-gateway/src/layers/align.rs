//! Layer: values under the names the model's profile knows.
//!
//! Classic dialects name a table by its member (`instances`, `ndarray`) or its columns one by one, where the profile has
//! the inputs of the model. The values stay what they are; where nothing fits, they keep their names, and the schema
//! speaks for itself.

use mantlet_detectors::Profile;
use mantlet_vocab::{NamedValue, Tensor, Value};

/// Members that hold a table without naming it.
const UNNAMED: [&str; 8] =
    ["instances", "inputs", "examples", "data", "ndarray", "tensor", "dataframe_records", "predictions"];

/// The values under the profile's names.
pub(super) fn aligned(values: Vec<NamedValue>, profile: Option<&Profile>) -> Vec<NamedValue> {
    let Some(inputs) = profile.map(|profile| &profile.inputs) else { return values };
    if values.iter().any(|value| inputs.iter().any(|input| input.name == value.name)) {
        return values;
    }
    match (inputs.as_slice(), values.as_slice()) {
        ([input], [value]) if UNNAMED.contains(&value.name.as_str()) => {
            vec![NamedValue { name: input.name.clone(), value: value.value.clone() }]
        }
        ([input], columns) if columns.len() > 1 && columns.len() == input.columns.len() => {
            match side_by_side(columns, &input.shape) {
                Some(value) => vec![NamedValue { name: input.name.clone(), value }],
                None => values,
            }
        }
        (inputs, [table]) if UNNAMED.contains(&table.name.as_str()) && inputs.len() > 1 => {
            let single = inputs.iter().all(|input| input.columns.len() == 1);
            match apart(&table.value, inputs.len()).filter(|_| single) {
                Some(columns) => inputs
                    .iter()
                    .zip(columns)
                    .map(|(input, value)| NamedValue { name: input.name.clone(), value })
                    .collect(),
                None => values,
            }
        }
        _ => values,
    }
}

/// Columns of numbers as one table, in their order.
fn side_by_side(columns: &[NamedValue], row: &[usize]) -> Option<Value> {
    let rows = *columns.first()?.value.shape().first()?;
    let mut numbers = Vec::with_capacity(columns.len());
    for column in columns {
        let shape = column.value.shape();
        if shape.first() != Some(&rows) || shape.iter().skip(1).any(|axis| *axis != 1) {
            return None;
        }
        numbers.push(doubles(&column.value)?);
    }
    let data = (0..rows).flat_map(|at| numbers.iter().filter_map(move |column| column.get(at).copied()));
    let shape: Vec<usize> = std::iter::once(rows).chain(row.iter().copied()).collect();
    Tensor::new(shape, data.collect()).ok().map(Value::F64)
}

/// A table of numbers as its columns.
fn apart(table: &Value, width: usize) -> Option<Vec<Value>> {
    let &[rows, found] = table.shape() else { return None };
    if found != width {
        return None;
    }
    let numbers = doubles(table)?;
    (0..width)
        .map(|at| {
            let column = numbers.chunks_exact(width).filter_map(|row| row.get(at).copied()).collect();
            Tensor::new([rows], column).ok().map(Value::F64)
        })
        .collect()
}

fn doubles(value: &Value) -> Option<Vec<f64>> {
    Some(match value {
        Value::F64(t) => t.data().to_vec(),
        Value::Bool(t) => t.data().iter().map(|&value| f64::from(u8::from(value))).collect(),
        Value::Text(_) => return None,
        other => other.to_f32()?.data().iter().map(|&value| f64::from(value)).collect(),
    })
}
