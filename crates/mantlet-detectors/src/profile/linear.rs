//! Small dense linear algebra: squared distances, k-means, the eigenvectors of a symmetric matrix.

use super::space::Draws;

/// Squared Euclidean distance.
#[inline]
pub(crate) fn distance2(a: &[f32], b: &[f32]) -> f32 {
    // Four independent sums let the compiler use vector registers.
    let mut sums = [0.0_f32; 8];
    let (left, left_rest) = a.as_chunks::<8>();
    let (right, right_rest) = b.as_chunks::<8>();
    for (x, y) in left.iter().zip(right) {
        for lane in 0..8 {
            let d = x[lane] - y[lane];
            sums[lane] += d * d;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Dot product.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (left, left_rest) = a.as_chunks::<8>();
    let (right, right_rest) = b.as_chunks::<8>();
    for (x, y) in left.iter().zip(right) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + left_rest.iter().zip(right_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// The index of the nearest of `centres` (rows of `width` values) and its squared distance.
pub(crate) fn nearest(row: &[f32], centres: &[f32], width: usize) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    for (index, centre) in centres.chunks_exact(width.max(1)).enumerate() {
        let d = distance2(row, centre);
        if d < best.1 {
            best = (index, d);
        }
    }
    best
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
