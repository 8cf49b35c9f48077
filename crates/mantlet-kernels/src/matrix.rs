//! The matrix product, safely.

/// How a matrix lies in a slice: `(row stride, column stride)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Distance between rows.
    pub rows: usize,
    /// Distance between columns.
    pub columns: usize,
}

impl Layout {
    /// Row-major with this many columns.
    #[must_use]
    pub const fn row_major(columns: usize) -> Self {
        Self { rows: columns, columns: 1 }
    }

    /// The transpose of a row-major matrix whose rows have this length.
    #[must_use]
    pub const fn transposed(stored_columns: usize) -> Self {
        Self { rows: 1, columns: stored_columns }
    }

    /// One past the last element an `m` by `n` matrix of this layout touches; `None` on overflow.
    fn extent(self, m: usize, n: usize) -> Option<usize> {
        if m == 0 || n == 0 {
            return Some(0);
        }
        let down = self.rows.checked_mul(m - 1)?;
        let across = self.columns.checked_mul(n - 1)?;
        down.checked_add(across)?.checked_add(1)
    }
}

/// `c = alpha * a * b + beta * c` for `a` of `m x k`, `b` of `k x n`, `c` of `m x n`.
///
/// # Panics
/// When a slice is shorter than its matrix, a stride does not fit the machine, or rows of `c` overlap.
#[expect(clippy::too_many_arguments, reason = "the arguments are those of every gemm")]
pub fn sgemm(
    (m, k, n): (usize, usize, usize),
    alpha: f32,
    a: &[f32],
    a_layout: Layout,
    b: &[f32],
    b_layout: Layout,
    beta: f32,
    c: &mut [f32],
    c_layout: Layout,
) {
    let fits = |layout: Layout, rows, columns, len: usize| {
        layout.extent(rows, columns).is_some_and(|extent| extent <= len && extent <= isize::MAX as usize)
    };
    assert!(fits(a_layout, m, k, a.len()), "left matrix is shorter than {m}x{k}");
    assert!(fits(b_layout, k, n, b.len()), "right matrix is shorter than {k}x{n}");
    assert!(fits(c_layout, m, n, c.len()), "result is shorter than {m}x{n}");
    let apart =
        |inner: usize, count: usize, outer: usize| inner.checked_mul(count).is_some_and(|s| s <= outer);
    assert!(
        m <= 1
            || n <= 1
            || (c_layout.columns > 0 && apart(c_layout.columns, n, c_layout.rows))
            || (c_layout.rows > 0 && apart(c_layout.rows, m, c_layout.columns)),
        "elements of the result overlap"
    );
    assert!(m <= 1 || c_layout.rows > 0, "elements of the result overlap");
    assert!(n <= 1 || c_layout.columns > 0, "elements of the result overlap");
    if m == 0 || n == 0 {
        return;
    }
    #[expect(clippy::cast_possible_wrap, reason = "strides of matrices that fit a slice fit isize")]
    let signed = |layout: Layout| (layout.rows as isize, layout.columns as isize);
    let ((ra, ca), (rb, cb), (rc, cc)) = (signed(a_layout), signed(b_layout), signed(c_layout));
    // SAFETY: every element the kernel reads or writes lies inside its slice (checked above by `extent`),
    // elements of `c` do not alias each other (checked) nor `a` and `b` (`c` is borrowed mutably), strides
    // that are never multiplied (extent 1) are passed through unused, and f32 has no invalid bit pattern.
    #[expect(unsafe_code, reason = "matrixmultiply takes raw pointers")]
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            alpha,
            a.as_ptr(),
            ra,
            ca,
            b.as_ptr(),
            rb,
            cb,
            beta,
            c.as_mut_ptr(),
            rc,
            cc,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_every_layout_agree_with_the_definition() {
        for (m, k, n) in [(1, 1, 1), (2, 3, 4), (17, 9, 33), (5, 0, 3), (0, 2, 2), (1, 7, 20)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 5) as f32 - 2.0).collect();
            for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
                let la = if ta { Layout::transposed(m) } else { Layout::row_major(k) };
                let lb = if tb { Layout::transposed(k) } else { Layout::row_major(n) };
                let mut c = vec![1.0; m * n];
                sgemm((m, k, n), 2.0, &a, la, &b, lb, 0.5, &mut c, Layout::row_major(n));
                for i in 0..m {
                    for j in 0..n {
                        let sum: f32 = (0..k)
                            .map(|l| a[i * la.rows + l * la.columns] * b[l * lb.rows + j * lb.columns])
                            .sum();
                        assert_eq!(c[i * n + j], 2.0 * sum + 0.5);
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "shorter")]
    fn short_slices_are_refused() {
        sgemm(
            (2, 2, 2),
            1.0,
            &[0.0; 3],
            Layout::row_major(2),
            &[0.0; 4],
            Layout::row_major(2),
            0.0,
            &mut [0.0; 4],
            Layout::row_major(2),
        );
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn overlapping_results_are_refused() {
        sgemm(
            (2, 1, 2),
            1.0,
            &[0.0; 2],
            Layout::row_major(1),
            &[0.0; 2],
            Layout::row_major(2),
            0.0,
            &mut [0.0; 4],
            Layout { rows: 1, columns: 1 },
        );
    }
}
