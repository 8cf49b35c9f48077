//! From rows of numbers to the inputs of a model.

use mantlet_vocab::{NamedValue, Tensor, Value};

use crate::{Dtype, Model, ModelError};

/// Rows given to the model at once when its batch axis is free: keeps memory bounded for long tables.
const CHUNK: usize = 2048;

/// A numeric input of the model and where its columns are in a row.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    /// The shape of one row of this input.
    pub(crate) shape: Vec<usize>,
    pub(crate) start: usize,
    pub(crate) width: usize,
    /// Whether the input is a plain list with one number for each row.
    flat: bool,
}

/// How rows become inputs.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<Column>,
    /// Text inputs, and whether each is a plain list.
    pub(crate) texts: Vec<(String, bool)>,
    /// The shape of one row.
    pub(crate) row: Vec<usize>,
    /// The length of the batch axis when the file fixes it.
    pub(crate) batch: Option<usize>,
}

fn refuse(reason: impl Into<String>) -> ModelError {
    ModelError::NotClassifier { reason: reason.into() }
}

impl Layout {
    /// The layout of a model's inputs.
    pub(crate) fn new(model: &dyn Model) -> Result<Self, ModelError> {
        let ports = &model.signature().inputs;
        let (mut columns, mut texts, mut start) = (Vec::new(), Vec::new(), 0_usize);
        // A single row-shaped input of one axis, `[features]`, does not occur; one axis is the batch.
        for port in ports {
            let flat = port.shape.len() == 1;
            if port.dtype == Dtype::Text {
                texts.push((port.name.clone(), flat));
                continue;
            }
            let free = port.shape.iter().skip(1).filter(|axis| axis.is_none()).count();
            let known: usize = port.shape.iter().skip(1).flatten().product();
            let hint = || model.row_hint(&port.name).filter(|hint| known > 0 && hint % known == 0);
            let shape: Vec<usize> = match (port.shape.len(), free) {
                (0, _) => vec![hint().ok_or_else(|| unknown(&port.name))?],
                (1, _) => vec![1],
                (_, 0) => port.shape.iter().skip(1).flatten().copied().collect(),
                (2, 1) if ports.len() > 1 => vec![1],
                (_, 1) => {
                    let hint = hint().ok_or_else(|| unknown(&port.name))?;
                    port.shape.iter().skip(1).map(|axis| axis.unwrap_or(hint / known.max(1))).collect()
                }
                _ => return Err(unknown(&port.name)),
            };
            let width = crate::run::count(&shape).ok().filter(|&width| width > 0 && width < 1 << 28);
            let width =
                width.ok_or_else(|| refuse(format!("input `{}` has rows of shape {shape:?}", port.name)))?;
            columns.push(Column { name: port.name.clone(), dtype: port.dtype, shape, start, width, flat });
            start += width;
        }
        let row = match &columns[..] {
            [] => return Err(refuse("it has no numeric input")),
            [only] if texts.is_empty() => only.shape.clone(),
            _ => vec![start],
        };
        let batch = ports.iter().find_map(|port| port.shape.first().copied().flatten());
        Ok(Self { columns, texts, row, batch })
    }

    /// Values in one row.
    pub(crate) fn row_len(&self) -> usize {
        self.row.iter().product()
    }

    /// The starts of the batches of `rows` rows and how many of their rows count.
    pub(crate) fn batches(&self, rows: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let step = self.batch.unwrap_or(CHUNK).max(1);
        (0..rows).step_by(step).map(move |start| (start, step.min(rows - start)))
    }

    /// The inputs for `count` rows from `start`; a fixed batch is filled up with the last row.
    pub(crate) fn inputs(
        &self,
        x: &Tensor,
        start: usize,
        count: usize,
        fixed: &[NamedValue],
    ) -> Result<Vec<NamedValue>, ModelError> {
        let len = self.row_len();
        if x.row_len() != len || x.shape().is_empty() {
            let reason = format!("rows of shape {:?} given, {:?} expected", &x.shape().get(1..), self.row);
            return Err(ModelError::Input { name: self.columns[0].name.clone(), reason });
        }
        let rows = self.batch.unwrap_or(count);
        let source = |row: usize| x.row(start + row.min(count.saturating_sub(1)));
        let mut inputs = Vec::with_capacity(self.columns.len() + self.texts.len());
        for column in &self.columns {
            let mut shape = vec![rows];
            if !column.flat {
                shape.extend(&column.shape);
            }
            let data = if column.width == len && rows == count {
                x.data()[start * len..(start + count) * len].to_vec()
            } else {
                let part = |row| &source(row)[column.start..column.start + column.width];
                (0..rows).flat_map(|row| part(row).iter().copied()).collect()
            };
            let value = numbers(column.dtype, Tensor::new(shape, data)?)?;
            inputs.push(NamedValue { name: column.name.clone(), value });
        }
        for (name, flat) in &self.texts {
            let value = fixed.iter().find(|value| &value.name == name).map(|value| &value.value);
            let Some(Value::Text(one)) = value else {
                let reason = "it is text: fix it with one row of the data".to_owned();
                return Err(ModelError::Input { name: name.clone(), reason });
            };
            let width = one.data().len();
            let shape = if *flat { vec![rows * width] } else { vec![rows, width] };
            let data = (0..rows).flat_map(|_| one.data().iter().cloned()).collect();
            inputs.push(NamedValue { name: name.clone(), value: Value::Text(Tensor::new(shape, data)?) });
        }
        Ok(inputs)
    }
}

fn unknown(name: &str) -> ModelError {
    refuse(format!("the file does not tell the shape of a row of input `{name}`: export it with one"))
}

/// An input value of the type the port takes.
pub(crate) fn numbers(dtype: Dtype, x: Tensor) -> Result<Value, ModelError> {
    let shape = x.shape().to_vec();
    let data = || x.data().iter();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole-number inputs take the nearest whole number they can hold"
    )]
    Ok(match dtype {
        Dtype::F64 => Value::F64(Tensor::new(shape, data().map(|&v| f64::from(v)).collect())?),
        Dtype::I64 => Value::I64(Tensor::new(shape, data().map(|&v| v.round() as i64).collect())?),
        Dtype::I32 => Value::I32(Tensor::new(shape, data().map(|&v| v.round() as i32).collect())?),
        Dtype::U8 => Value::U8(Tensor::new(shape, data().map(|&v| v.round() as u8).collect())?),
        Dtype::Bool => Value::Bool(Tensor::new(shape, data().map(|&v| v >= 0.5).collect())?),
        Dtype::F32 | Dtype::Text => Value::F32(x),
    })
}
