//! Small dense linear algebra: squared distances, k-means, the eigenvectors of a symmetric matrix.

use mantlet_kernels::{distances, products};

use super::space::Draws;

/// Rows that are looked at together.
const TOGETHER: usize = 64;

/// The index of the nearest of `centres` (rows of `width` values) and its squared distance.
pub(crate) fn nearest(row: &[f32], centres: &[f32], width: usize) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    let mut found = [0.0; TOGETHER];
    let Some(row) = row.get(..width) else { return best };
    for (some, centres) in centres.chunks(TOGETHER * width.max(1)).enumerate() {
        let count = centres.len() / width.max(1);
        distances(row, centres, &mut found[..count]);
        for (index, &d) in found[..count].iter().enumerate() {
            if d < best.1 {
                best = (some * TOGETHER + index, d);
            }
        }
    }
    best
}

/// The sum of the squared products of a row with each of `directions`, in their order.
pub(crate) fn spread(row: &[f32], directions: &[f32], width: usize) -> f32 {
    let mut sum = 0.0;
    let mut found = [0.0; TOGETHER];
    let Some(row) = row.get(..width) else { return f32::INFINITY };
    for directions in directions.chunks(TOGETHER * width.max(1)) {
        let count = directions.len() / width.max(1);
        products(row, directions, &mut found[..count]);
        found[..count].iter().for_each(|along| sum += along * along);
    }
    sum
}

/// Lloyd's k-means from `k` rows drawn at random; empty clusters keep their centre.
pub(crate) fn k_means(rows: &[f32], width: usize, k: usize, rounds: usize, draws: &mut Draws) -> Vec<f32> {
    let count = rows.len() / width.max(1);
    let mut order: Vec<usize> = (0..count).collect();
    draws.shuffle(&mut order);
    let mut centres: Vec<f32> =
        order.iter().take(k).flat_map(|&row| rows[row * width..(row + 1) * width].iter().copied()).collect();
    let k = centres.len() / width.max(1);
    for _ in 0..rounds {
        let mut sums = vec![0.0_f64; k * width];
        let mut counts = vec![0_u32; k];
        for row in rows.chunks_exact(width.max(1)) {
            let (index, _) = nearest(row, &centres, width);
            counts[index] += 1;
            for (sum, &value) in sums[index * width..].iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        for (index, &members) in counts.iter().enumerate().filter(|(_, members)| **members > 0) {
            for (centre, sum) in
                centres[index * width..(index + 1) * width].iter_mut().zip(&sums[index * width..])
            {
                #[expect(clippy::cast_possible_truncation, reason = "stored as f32")]
                let mean = (sum / f64::from(members)) as f32;
                *centre = mean;
            }
        }
    }
    centres
}

/// Eigenvalues and eigenvectors (rows) of a symmetric matrix, by cyclic Jacobi rotations.
pub(crate) fn eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    for _ in 0..30 {
        let off: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        let diagonal: f64 = (0..n).map(|i| a[i * n + i].powi(2)).sum();
        if off <= 1e-18 * diagonal.max(f64::MIN_POSITIVE) {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq.abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for k in 0..n {
                    let (akp, akq) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = c * akp - s * akq;
                    a[k * n + q] = s * akp + c * akq;
                }
                for k in 0..n {
                    let (apk, aqk) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = c * apk - s * aqk;
                    a[q * n + k] = s * apk + c * aqk;
                    let (vpk, vqk) = (v[p * n + k], v[q * n + k]);
                    v[p * n + k] = c * vpk - s * vqk;
                    v[q * n + k] = s * vpk + c * vqk;
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_diagonalise() {
        let a = vec![4.0, 1.0, 0.5, 1.0, 3.0, -0.2, 0.5, -0.2, 1.0];
        let (values, vectors) = eigen(a.clone(), 3);
        for i in 0..3 {
            for row in 0..3 {
                let product: f64 = (0..3).map(|k| a[row * 3 + k] * vectors[i * 3 + k]).sum();
                assert!((product - values[i] * vectors[i * 3 + row]).abs() < 1e-9);
            }
        }
    }
}
