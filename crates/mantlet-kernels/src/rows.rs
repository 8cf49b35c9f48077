//! One row beside many: squared distances and products.
//!
//! Each result is summed in eight lanes and then across them, in the same order in registers of every width: what a
//! machine finds does not depend on how wide its registers are.

/// Squared Euclidean distances of `row` to each of the `rows` of its length, as many as `found` has room for.
pub fn distances(row: &[f32], rows: &[f32], found: &mut [f32]) {
    crate::matrix::widest(row, rows, found, Each::Distance);
}

/// Dot products of `row` with each of the `rows` of its length, as many as `found` has room for.
pub fn products(row: &[f32], rows: &[f32], found: &mut [f32]) {
    crate::matrix::widest(row, rows, found, Each::Product);
}

/// What is found of two rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Each {
    Distance,
    Product,
}

/// The work itself, compiled into whatever calls it.
#[inline(always)]
pub(crate) fn each(row: &[f32], rows: &[f32], found: &mut [f32], each: Each) {
    let others = rows.chunks_exact(row.len().max(1)).zip(found);
    // Loops, not closures: what an iterator calls is compiled on its own, for the narrowest registers there are.
    match each {
        Each::Distance => {
            for (other, found) in others {
                *found = distance(row, other);
            }
        }
        Each::Product => {
            for (other, found) in others {
                *found = product(row, other);
            }
        }
    }
}

/// The squared Euclidean distance of two rows, as far as both go.
#[inline(always)]
#[must_use]
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
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

#[inline(always)]
fn product(a: &[f32], b: &[f32]) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_gives_the_same_bits_and_the_definition() {
        for width in [1, 3, 8, 17, 64] {
            let row: Vec<f32> = (0..width).map(|at| (at as f32 * 0.37).sin()).collect();
            let rows: Vec<f32> = (0..width * 9).map(|at| (at as f32 * 1.7).cos()).collect();
            type Wide = fn(&[f32], &[f32], &mut [f32]);
            let both: [(Each, Wide); 2] = [(Each::Distance, distances), (Each::Product, products)];
            for (what, wide) in both {
                let (mut plain, mut found) = ([0.0; 9], [0.0; 9]);
                each(&row, &rows, &mut plain, what);
                wide(&row, &rows, &mut found);
                assert_eq!(plain.map(f32::to_bits), found.map(f32::to_bits));
                for (other, found) in rows.chunks_exact(width).zip(found) {
                    let pairs = row.iter().zip(other);
                    let exact: f32 = match what {
                        Each::Distance => pairs.map(|(x, y)| (x - y) * (x - y)).sum(),
                        Each::Product => pairs.map(|(x, y)| x * y).sum(),
                    };
                    assert!((exact - found).abs() < 1e-4);
                }
            }
        }
        let mut none = [1.0; 2];
        distances(&[], &[], &mut none);
        assert_eq!(none, [1.0; 2]);
    }
}
