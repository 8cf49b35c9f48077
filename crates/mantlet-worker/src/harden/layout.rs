//! From an attack's rows to the inputs of a request, in the model's own names, types and shapes.

use mantlet_vocab::{NamedValue, Tensor, Value};

/// How a row's numbers become a request's inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Name, a value of the right type, and the shape of one row.
    parts: Vec<(String, Value, Vec<usize>)>,
    width: usize,
}

impl Layout {
    /// That of these inputs, which hold any number of rows. `None` where one of them is text: its values are not an
    /// attacker's numbers.
    #[must_use]
    pub fn of(inputs: &[NamedValue]) -> Option<Self> {
        let mut parts = Vec::new();
        let mut width = 0;
        for input in inputs {
            let shape: Vec<usize> = input.value.shape().iter().skip(1).copied().collect();
            width += shape.iter().product::<usize>();
            let like = match &input.value {
                Value::F32(_) => Value::F32(Tensor::full([0], 0.0)),
                Value::F64(_) => Value::F64(Tensor::full([0], 0.0)),
                Value::I64(_) => Value::I64(Tensor::full([0], 0)),
                Value::I32(_) => Value::I32(Tensor::full([0], 0)),
                Value::U8(_) => Value::U8(Tensor::full([0], 0)),
                Value::Bool(_) => Value::Bool(Tensor::full([0], false)),
                Value::Text(_) => return None,
            };
            parts.push((input.name.clone(), like, shape));
        }
        (width > 0).then_some(Self { parts, width })
    }

    /// The rows as inputs. Rows of another width give inputs that a guard refuses as off the schema.
    #[must_use]
    pub fn inputs(&self, rows: &Tensor) -> Vec<NamedValue> {
        let count = if rows.row_len() == self.width { rows.rows() } else { 0 };
        let mut from = 0;
        let mut inputs = Vec::with_capacity(self.parts.len());
        for (name, like, shape) in &self.parts {
            let width: usize = shape.iter().product();
            let numbers = (0..count).flat_map(|row| rows.row(row)[from..from + width].iter().copied());
            let full: Vec<usize> = std::iter::once(count).chain(shape.iter().copied()).collect();
            inputs.push(NamedValue { name: name.clone(), value: cast(like, full, numbers) });
            from += width;
        }
        inputs
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the model's own element type")]
fn cast(like: &Value, shape: Vec<usize>, numbers: impl Iterator<Item = f32>) -> Value {
    // The numbers are whole rows of this shape by construction; no rows stand in should they not be.
    fn tensor<T: Clone + Default>(shape: Vec<usize>, data: Vec<T>) -> Tensor<T> {
        Tensor::new(shape, data).unwrap_or_else(|_| Tensor::full([0], T::default()))
    }
    match like {
        Value::F32(_) | Value::Text(_) => Value::F32(tensor(shape, numbers.collect())),
        Value::F64(_) => Value::F64(tensor(shape, numbers.map(f64::from).collect())),
        Value::I64(_) => Value::I64(tensor(shape, numbers.map(|v| v as i64).collect())),
        Value::I32(_) => Value::I32(tensor(shape, numbers.map(|v| v as i32).collect())),
        Value::U8(_) => Value::U8(tensor(shape, numbers.map(|v| v as u8).collect())),
        Value::Bool(_) => Value::Bool(tensor(shape, numbers.map(|v| v != 0.0).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_inputs_of_the_models_own_kind() {
        let input = |name: &str, value| NamedValue { name: name.into(), value };
        let whole = Value::I64(Tensor::new([2, 1], vec![3, 4]).unwrap());
        let picture = Value::F32(Tensor::full([2, 1, 2, 2], 0.5));
        let layout = Layout::of(&[input("age", whole), input("picture", picture)]).unwrap();
        let rows = Tensor::new([1, 5], vec![7.0, 0.1, 0.2, 0.3, 0.4]).unwrap();
        let inputs = layout.inputs(&rows);
        assert_eq!(inputs[0], input("age", Value::I64(Tensor::new([1, 1], vec![7]).unwrap())));
        assert_eq!(inputs[1].value.shape(), [1, 1, 2, 2]);
        assert_eq!(layout.inputs(&Tensor::full([1, 3], 0.0))[0].value.shape(), [0, 1]);
        let text = Value::Text(Tensor::new([1, 1], vec!["a".into()]).unwrap());
        assert_eq!(Layout::of(&[input("note", text)]), None);
    }
}
