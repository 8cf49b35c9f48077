//! Rows in units of what rows of one label usually differ by: the pooled covariance within labels, inverted. Each is
//! told as it differs from the label whose mean is nearest, whatever label it has, so that what is left is not its
//! content.

use mantlet_kernels::{Layout, sgemm};

use super::grid::Rows;
use crate::feed::real;

/// Rows that the covariance is measured on at most.
const MEASURED: usize = 16_384;
/// Rows whitened at once.
const BLOCK: usize = 512;
/// At least that part of a covariance is the mean variance, so that a pixel that never changes has a finite weight;
/// more where rows are few (shrinkage: Ledoit and Wolf 2004, with a fixed rule).
const RIDGE: f64 = 0.02;

/// Whitened rows, each less the nearest of the labels' means.
pub(super) struct White {
    dims: usize,
    values: Vec<f32>,
}

impl White {
    /// Whitens; nothing when the rows have no numbers, or numbers that are none.
    pub(super) fn new(rows: &Rows, labels: usize) -> Option<Self> {
        let (dims, all) = (rows.dims(), rows.labels.len());
        if dims == 0 || all == 0 {
            return None;
        }
        let mut means = vec![vec![0.0_f64; dims]; labels];
        let mut counts = vec![0_u64; labels];
        for (row, &label) in rows.labels.iter().enumerate() {
            let Some(mean) = means.get_mut(usize::from(label)) else { continue };
            counts[usize::from(label)] += 1;
            mean.iter_mut().zip(rows.row(row)).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        for (mean, &count) in means.iter_mut().zip(&counts) {
            mean.iter_mut().for_each(|sum| *sum /= real(count.max(1)));
        }
        let step = all.div_ceil(MEASURED).max(1);
        let mut covariance = vec![0.0_f32; dims * dims];
        let mut measured = 0_u64;
        let places: Vec<usize> = (0..all).step_by(step).collect();
        for block in places.chunks(BLOCK) {
            let mut centred = Vec::with_capacity(block.len() * dims);
            for &row in block {
                let mean = means.get(usize::from(rows.labels[row]));
                let Some(mean) = mean else { continue };
                #[expect(clippy::cast_possible_truncation, reason = "a mean of numbers below 1")]
                centred.extend(rows.row(row).iter().zip(mean).map(|(value, mean)| value - *mean as f32));
            }
            let many = centred.len() / dims;
            measured += many as u64;
            let (across, own) = (Layout::transposed(dims), Layout::row_major(dims));
            sgemm((dims, many, dims), 1.0, &centred, across, &centred, own, 1.0, &mut covariance, own);
        }
        let scale = 1.0 / real(measured.max(1));
        let mut matrix: Vec<f64> = covariance.into_iter().map(|value| f64::from(value) * scale).collect();
        let trace: f64 = (0..dims).map(|at| matrix[at * dims + at]).sum();
        let shrunk = RIDGE.max(real(dims as u64) / (real(dims as u64) + 4.0 * real(measured.max(1))));
        matrix.iter_mut().for_each(|value| *value *= 1.0 - shrunk);
        let ridge = (shrunk * trace / real(dims as u64)).max(1e-9);
        (0..dims).for_each(|at| matrix[at * dims + at] += ridge);
        let inverse = inverse_of_root(matrix, dims)?;
        let mut values = vec![0.0_f32; all * dims];
        let through = |from: &[f32], many: usize, to: &mut [f32]| {
            let (own, turned) = (Layout::row_major(dims), Layout::transposed(dims));
            sgemm((many, dims, dims), 1.0, from, own, &inverse, turned, 0.0, to, own);
        };
        through(&rows.values[..all * dims], all, &mut values);
        let known: Vec<&Vec<f64>> =
            means.iter().zip(&counts).filter(|(_, count)| **count > 0).map(|(mean, _)| mean).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a mean of numbers below 1")]
        let flat: Vec<f32> = known.iter().flat_map(|mean| mean.iter().map(|value| *value as f32)).collect();
        let mut centres = vec![0.0_f32; flat.len()];
        through(&flat, known.len(), &mut centres);
        take_nearest(&mut values, &centres, dims);
        Some(Self { dims, values })
    }

    /// A row, as it differs from the label it looks most like.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dims..][..self.dims]
    }
}

/// Takes from each row the nearest of the centres.
fn take_nearest(values: &mut [f32], centres: &[f32], dims: usize) {
    let many = centres.len() / dims;
    let squares: Vec<f32> = centres.chunks_exact(dims).map(|centre| dot(centre, centre)).collect();
    let mut products = vec![0.0_f32; BLOCK * many];
    for block in values.chunks_mut(BLOCK * dims) {
        let rows = block.len() / dims;
        let (own, turned) = (Layout::row_major(dims), Layout::transposed(dims));
        sgemm(
            (rows, dims, many),
            -2.0,
            block,
            own,
            centres,
            turned,
            0.0,
            &mut products,
            Layout::row_major(many),
        );
        for (row, products) in block.chunks_exact_mut(dims).zip(products.chunks_exact(many)) {
            let far = products.iter().zip(&squares).map(|(product, square)| product + square);
            let nearest = far.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            let Some((nearest, _)) = nearest else { continue };
            row.iter_mut().zip(&centres[nearest * dims..]).for_each(|(value, centre)| *value -= centre);
        }
    }
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The inverse of the lower triangular root of a covariance (Cholesky); nothing when it is none.
fn inverse_of_root(mut matrix: Vec<f64>, dims: usize) -> Option<Vec<f32>> {
    for column in 0..dims {
        for row in column..dims {
            let (own, pivot) = (row * dims, column * dims);
            let sum: f64 = matrix[own..own + column]
                .iter()
                .zip(&matrix[pivot..pivot + column])
                .map(|(a, b)| a * b)
                .sum();
            let left = matrix[own + column] - sum;
            if row == column {
                if !(left > 0.0 && left.is_finite()) {
                    return None;
                }
                matrix[own + column] = left.sqrt();
            } else {
                matrix[own + column] = left / matrix[pivot + column];
            }
        }
    }
    // Row by row: the inverse of a lower triangular matrix is one too.
    let mut inverse = vec![0.0_f64; dims * dims];
    for row in 0..dims {
        let mut own = vec![0.0_f64; dims];
        own[row] = 1.0;
        for before in 0..row {
            let weight = matrix[row * dims + before];
            if weight != 0.0 {
                let upper = &inverse[before * dims..][..=before];
                own.iter_mut().zip(upper).for_each(|(own, value)| *own -= weight * value);
            }
        }
        let pivot = matrix[row * dims + row];
        inverse[row * dims..][..dims].iter_mut().zip(own).for_each(|(to, value)| *to = value / pivot);
    }
    #[expect(clippy::cast_possible_truncation, reason = "what single precision loses is below the ridge")]
    Some(inverse.into_iter().map(|value| value as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_the_root_turns_a_covariance_into_units() {
        let matrix = vec![4.0, 2.0, 0.4, 2.0, 3.0, 0.5, 0.4, 0.5, 1.5];
        let inverse = inverse_of_root(matrix.clone(), 3).unwrap();
        for a in 0..3 {
            for b in 0..3 {
                let mut sum = 0.0;
                for i in 0..3 {
                    for j in 0..3 {
                        sum +=
                            f64::from(inverse[a * 3 + i]) * matrix[i * 3 + j] * f64::from(inverse[b * 3 + j]);
                    }
                }
                assert!((sum - f64::from(u8::from(a == b))).abs() < 1e-5, "{a} {b} {sum}");
            }
        }
        assert!(inverse_of_root(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
