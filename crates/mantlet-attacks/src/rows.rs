//! Batches of rows of one shape.

use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};

/// The shape of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RowShape(pub(crate) Vec<usize>);

impl RowShape {
    /// The shape of these rows.
    pub(crate) fn of(rows: &Tensor) -> Self {
        Self(rows.shape().get(1..).unwrap_or(&[]).to_vec())
    }

    /// Values in a row.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// A batch over whole rows.
    pub(crate) fn batch(&self, data: Vec<f32>) -> Tensor {
        let rows = data.len().checked_div(self.len()).unwrap_or(0);
        let mut shape = vec![rows];
        shape.extend_from_slice(&self.0);
        // The data is whole rows by construction; an empty batch stands in should it not be.
        Tensor::new(shape, data).unwrap_or_else(|_| Tensor::full([0], 0.0))
    }

    /// Height and width when a row is an image with few channels: the last two axes, channels first.
    pub(crate) fn image(&self) -> Option<(usize, usize, usize)> {
        match self.0.as_slice() {
            [height, width] if *height > 2 && *width > 2 => Some((1, *height, *width)),
            [channels, height, width] if *channels <= 4 && *height > 2 && *width > 2 => {
                Some((*channels, *height, *width))
            }
            _ => None,
        }
    }
}

/// The class of each row of scores; `None` for a row that is not all numbers.
pub(crate) fn classes_of(scores: &Tensor) -> Vec<Option<usize>> {
    let best = scores.argmax_rows();
    (0..scores.rows())
        .map(|row| scores.row(row).iter().all(|value| value.is_finite()).then_some(best[row]))
        .collect()
}
