//! Dense row-major tensors, and the values a model takes and gives.

use serde::{Deserialize, Serialize};

/// A shape that does not fit its data, or overflows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shape {shape:?} does not hold {len} values")]
pub struct ShapeError {
    /// The shape.
    pub shape: Vec<usize>,
    /// The number of values.
    pub len: usize,
}

/// A dense tensor in row-major order. The first axis is the batch (rows) unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensor<T = f32> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T> Tensor<T> {
    /// A tensor of this shape over these values.
    ///
    /// # Errors
    /// When the product of the shape is not the number of values.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<T>) -> Result<Self, ShapeError> {
        let shape = shape.into();
        let product = shape.iter().try_fold(1_usize, |product, &axis| product.checked_mul(axis));
        if product == Some(data.len()) {
            Ok(Self { shape, data })
        } else {
            Err(ShapeError { shape, len: data.len() })
        }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, row-major.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The values, row-major, to write.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Gives up the values.
    #[must_use]
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// Rows: the first axis, or 1 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Values in one row.
    #[must_use]
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The values of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[T] {
        let len = self.row_len();
        &self.data[index * len..(index + 1) * len]
    }

    /// The values of row `index`, to write.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row_mut(&mut self, index: usize) -> &mut [T] {
        let len = self.row_len();
        &mut self.data[index * len..(index + 1) * len]
    }

    /// The same values under another shape.
    ///
    /// # Errors
    /// When the shape does not hold them.
    pub fn reshape(self, shape: impl Into<Vec<usize>>) -> Result<Self, ShapeError> {
        Self::new(shape, self.data)
    }
}

impl<T: Clone> Tensor<T> {
    /// A tensor of one repeated value.
    #[must_use]
    pub fn full(shape: impl Into<Vec<usize>>, value: T) -> Self {
        let shape = shape.into();
        let len = shape.iter().product();
        Self { shape, data: vec![value; len] }
    }

    /// The rows at these indices, in this order.
    ///
    /// # Panics
    /// When an index is not a row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        let data = rows.iter().flat_map(|&row| self.row(row).iter().cloned()).collect();
        Self { shape, data }
    }
}

impl Tensor<f32> {
    /// The index of the largest value of each row; the first of equals. NaN never wins.
    #[must_use]
    pub fn argmax_rows(&self) -> Vec<usize> {
        (0..self.rows())
            .map(|row| {
                let mut best = (0, f32::NEG_INFINITY);
                for (index, &value) in self.row(row).iter().enumerate() {
                    if value > best.1 {
                        best = (index, value);
                    }
                }
                best.0
            })
            .collect()
    }
}

/// A tensor of any element type that models exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", tag = "dtype")]
#[expect(missing_docs, reason = "the variants are the element types")]
pub enum Value {
    F32(Tensor<f32>),
    F64(Tensor<f64>),
    I64(Tensor<i64>),
    I32(Tensor<i32>),
    U8(Tensor<u8>),
    Bool(Tensor<bool>),
    /// UTF-8 strings.
    Text(Tensor<String>),
}

impl Value {
    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(t) => t.shape(),
            Self::F64(t) => t.shape(),
            Self::I64(t) => t.shape(),
            Self::I32(t) => t.shape(),
            Self::U8(t) => t.shape(),
            Self::Bool(t) => t.shape(),
            Self::Text(t) => t.shape(),
        }
    }

    /// The numbers as `f32` (booleans as 0 and 1); `None` for text.
    #[must_use]
    pub fn to_f32(&self) -> Option<Tensor<f32>> {
        let shape = self.shape().to_vec();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "models compute in f32"
        )]
        let data: Vec<f32> = match self {
            Self::F32(t) => t.data().to_vec(),
            Self::F64(t) => t.data().iter().map(|&v| v as f32).collect(),
            Self::I64(t) => t.data().iter().map(|&v| v as f32).collect(),
            Self::I32(t) => t.data().iter().map(|&v| v as f32).collect(),
            Self::U8(t) => t.data().iter().map(|&v| f32::from(v)).collect(),
            Self::Bool(t) => t.data().iter().map(|&v| f32::from(u8::from(v))).collect(),
            Self::Text(_) => return None,
        };
        Tensor::new(shape, data).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked_and_rows_are_views() {
        assert!(Tensor::new([2, 3], vec![0.0_f32; 5]).is_err());
        assert!(Tensor::<f32>::new([usize::MAX, 2], vec![]).is_err());
        let tensor = Tensor::new([2, 3], vec![0.0, 2.0, 1.0, 5.0, f32::NAN, 4.0]).unwrap();
        assert_eq!(tensor.argmax_rows(), [1, 0]);
        assert_eq!(tensor.select(&[1]).data()[0], 5.0);
        assert_eq!(tensor.row_len(), 3);
    }
}
