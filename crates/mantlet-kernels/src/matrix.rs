//! The matrix product, safely, and what runs in registers found at run time.
//!
//! Long because all unsafe code stands in one file.

use crate::lanes::{self, Lanes, Pool2d, RESULTS};
use crate::rows::{self, Each};

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

/// Values in one block of the direct convolution: four results across, for four channels, of sixteen images.
pub(crate) type Tile = [[[f32; 16]; 4]; 4];

/// Where the taps of one tile are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taps {
    /// Planes, lines of the window, places of a line.
    pub(crate) depth: usize,
    pub(crate) lines: usize,
    pub(crate) places: usize,
    /// Distances in values between planes and between lines of the block.
    pub(crate) plane: usize,
    pub(crate) line: usize,
}

impl Taps {
    /// Values of the block a tile reads from its first one on.
    fn reach(&self) -> Option<usize> {
        let last = self.plane.checked_mul(self.depth.checked_sub(1)?)?;
        let last = last.checked_add(self.line.checked_mul(self.lines.checked_sub(1)?)?)?;
        last.checked_add(self.places.checked_add(3)?.checked_mul(16)?)
    }
}

/// Adds every tap of a window to a tile: `tile[m][x][lane] += weights[tap][m] * block[tap + x][lane]`.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn tile(taps: Taps, block: &[f32], weights: &[f32], tile: &mut Tile) {
    assert!(taps.reach().is_some_and(|reach| reach <= block.len()), "the block is too short");
    let count = taps.depth * taps.lines * taps.places;
    assert!(weights.len() >= 4 * count, "the weights are too short");
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has the feature; all that is read lies inside the slices (checked above).
            #[expect(unsafe_code, reason = "code for registers found at run time")]
            return unsafe { wide::tile512(taps, block.as_ptr(), weights.as_ptr(), tile) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "code for registers found at run time")]
            return unsafe { wide::tile256(taps, block.as_ptr(), weights.as_ptr(), tile) };
        }
    }
    for c in 0..taps.depth {
        for y in 0..taps.lines {
            for x in 0..taps.places {
                let from = c * taps.plane + y * taps.line + x * 16;
                let weights = &weights[((c * taps.lines + y) * taps.places + x) * 4..][..4];
                for (sums, weight) in tile.iter_mut().zip(weights) {
                    for (across, sums) in sums.iter_mut().enumerate() {
                        let values = &block[from + across * 16..][..16];
                        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
                    }
                }
            }
        }
    }
}

/// One row beside many, in the widest registers there are.
pub(crate) fn widest(row: &[f32], rows: &[f32], found: &mut [f32], each: Each) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has the feature.
        #[expect(unsafe_code, reason = "code for registers found at run time")]
        return unsafe { wide::each256(row, rows, found, each) };
    }
    rows::each(row, rows, found, each);
}

/// One pass of pooling over a block of rows side by side.
pub(crate) enum Pooling<'a> {
    /// The largest value of each window.
    Largest { x: &'a [Lanes], out: &'a mut [Lanes] },
    /// Its gradient.
    LargestBack { x: &'a [Lanes], out: &'a [Lanes], gradient: &'a [Lanes], to: &'a mut [Lanes] },
}

/// Pooling in the widest registers there are.
pub(crate) fn pool(pool: &Pool2d, what: Pooling<'_>) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has the feature.
            #[expect(unsafe_code, reason = "code for registers found at run time")]
            return unsafe { wide::pool512(pool, what) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has the feature.
            #[expect(unsafe_code, reason = "code for registers found at run time")]
            return unsafe { wide::pool256(pool, what) };
        }
    }
    lanes::pool(pool, what);
}

/// Adds a product to sixteen sums of a full layer: `sums[m] += weights[k][m] * x[k]` over all `k`.
///
/// # Panics
/// When there are not as many weights as values.
pub(crate) fn dense(x: &[Lanes], weights: &[[f32; RESULTS]], sums: &mut [Lanes; RESULTS]) {
    assert_eq!(x.len(), weights.len(), "a full layer of another depth");
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has the feature.
            #[expect(unsafe_code, reason = "code for registers found at run time")]
            return unsafe { wide::dense512(x, weights, sums) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine has the features.
            #[expect(unsafe_code, reason = "code for registers found at run time")]
            return unsafe { wide::dense256(x, weights, sums) };
        }
    }
    for (values, weights) in x.iter().zip(weights) {
        for (sums, weight) in sums.iter_mut().zip(weights) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
    }
}

/// [`tile`] in wide registers.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{Each, Lanes, Pool2d, Pooling, RESULTS, Taps, Tile, lanes, rows};

    /// The same code in registers of eight values.
    #[target_feature(enable = "avx2")]
    pub(super) fn pool256(pool: &Pool2d, what: Pooling<'_>) {
        lanes::pool(pool, what);
    }

    /// The same code in registers of sixteen values.
    #[target_feature(enable = "avx512f")]
    pub(super) fn pool512(pool: &Pool2d, what: Pooling<'_>) {
        lanes::pool(pool, what);
    }

    /// Sixteen sums in sixteen registers.
    #[target_feature(enable = "avx512f")]
    pub(super) fn dense512(x: &[Lanes], weights: &[[f32; RESULTS]], sums: &mut [Lanes; RESULTS]) {
        let mut own = [_mm512_set1_ps(0.0); RESULTS];
        for m in 0..RESULTS {
            // SAFETY: an array of sixteen values is read.
            #[expect(unsafe_code, reason = "registers are loaded from raw pointers")]
            unsafe {
                own[m] = _mm512_loadu_ps(sums[m].as_ptr());
            }
        }
        for (values, weights) in x.iter().zip(weights) {
            // SAFETY: an array of sixteen values is read.
            #[expect(unsafe_code, reason = "registers are loaded from raw pointers")]
            let values = unsafe { _mm512_loadu_ps(values.as_ptr()) };
            for m in 0..RESULTS {
                own[m] = _mm512_fmadd_ps(values, _mm512_set1_ps(weights[m]), own[m]);
            }
        }
        for m in 0..RESULTS {
            // SAFETY: an array of sixteen values is written.
            #[expect(unsafe_code, reason = "registers are stored to raw pointers")]
            unsafe {
                _mm512_storeu_ps(sums[m].as_mut_ptr(), own[m]);
            }
        }
    }

    /// Eight sums of half the lanes at a time.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dense256(x: &[Lanes], weights: &[[f32; RESULTS]], sums: &mut [Lanes; RESULTS]) {
        for (half, first) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            let mut own = [_mm256_set1_ps(0.0); 8];
            for m in 0..8 {
                // SAFETY: half of an array of sixteen values is read.
                #[expect(unsafe_code, reason = "registers are loaded from raw pointers")]
                unsafe {
                    own[m] = _mm256_loadu_ps(sums[first + m].as_ptr().add(half));
                }
            }
            for (values, weights) in x.iter().zip(weights) {
                // SAFETY: half of an array of sixteen values is read.
                #[expect(unsafe_code, reason = "registers are loaded from raw pointers")]
                let values = unsafe { _mm256_loadu_ps(values.as_ptr().add(half)) };
                for m in 0..8 {
                    own[m] = _mm256_fmadd_ps(values, _mm256_set1_ps(weights[first + m]), own[m]);
                }
            }
            for m in 0..8 {
                // SAFETY: half of an array of sixteen values is written.
                #[expect(unsafe_code, reason = "registers are stored to raw pointers")]
                unsafe {
                    _mm256_storeu_ps(sums[first + m].as_mut_ptr().add(half), own[m]);
                }
            }
        }
    }

    /// Eight lanes are one register; nothing is fused, so that the bits are those of narrow registers.
    #[target_feature(enable = "avx2")]
    pub(super) fn each256(row: &[f32], rows: &[f32], found: &mut [f32], each: Each) {
        rows::each(row, rows, found, each);
    }

    /// SAFETY: the machine has AVX-512F; `block` and `weights` hold what `taps` reaches.
    #[expect(unsafe_code, reason = "registers are loaded from raw pointers")]
    #[target_feature(enable = "avx512f")]
    #[expect(clippy::needless_range_loop, reason = "registers are numbered")]
    pub(super) unsafe fn tile512(taps: Taps, block: *const f32, weights: *const f32, tile: &mut Tile) {
        // SAFETY: as said above; the tile is an array of the extent that is read and written.
        unsafe {
            let mut sums = [[_mm512_set1_ps(0.0); 4]; 4];
            for m in 0..4 {
                for x in 0..4 {
                    sums[m][x] = _mm512_loadu_ps(tile[m][x].as_ptr());
                }
            }
            let mut weight = weights;
            for c in 0..taps.depth {
                for y in 0..taps.lines {
                    let mut from = block.add(c * taps.plane + y * taps.line);
                    for _ in 0..taps.places {
                        let values = [
                            _mm512_loadu_ps(from),
                            _mm512_loadu_ps(from.add(16)),
                            _mm512_loadu_ps(from.add(32)),
                            _mm512_loadu_ps(from.add(48)),
                        ];
                        for m in 0..4 {
                            let factor = _mm512_set1_ps(*weight.add(m));
                            for x in 0..4 {
                                sums[m][x] = _mm512_fmadd_ps(values[x], factor, sums[m][x]);
                            }
                        }
                        weight = weight.add(4);
                        from = from.add(16);
                    }
                }
            }
            for m in 0..4 {
                for x in 0..4 {
                    _mm512_storeu_ps(tile[m][x].as_mut_ptr(), sums[m][x]);
                }
            }
        }
    }

    /// SAFETY: the machine has AVX2 and FMA; `block` and `weights` hold what `taps` reaches.
    #[expect(unsafe_code, reason = "registers are loaded from raw pointers")]
    #[target_feature(enable = "avx2,fma")]
    #[expect(clippy::needless_range_loop, reason = "registers are numbered")]
    pub(super) unsafe fn tile256(taps: Taps, block: *const f32, weights: *const f32, tile: &mut Tile) {
        // SAFETY: as said above; the tile is an array of the extent that is read and written.
        unsafe {
            // Half the lanes of two neighbours at a time: eight sums, two values and a factor fit the registers.
            for half in 0..2 {
                for pair in 0..2 {
                    let mut sums = [[_mm256_set1_ps(0.0); 2]; 4];
                    for m in 0..4 {
                        for x in 0..2 {
                            sums[m][x] = _mm256_loadu_ps(tile[m][2 * pair + x].as_ptr().add(8 * half));
                        }
                    }
                    let mut weight = weights;
                    for c in 0..taps.depth {
                        for y in 0..taps.lines {
                            let line = c * taps.plane + y * taps.line;
                            let mut from = block.add(line + 32 * pair + 8 * half);
                            for _ in 0..taps.places {
                                let values = [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(16))];
                                for m in 0..4 {
                                    let factor = _mm256_set1_ps(*weight.add(m));
                                    for x in 0..2 {
                                        sums[m][x] = _mm256_fmadd_ps(values[x], factor, sums[m][x]);
                                    }
                                }
                                weight = weight.add(4);
                                from = from.add(16);
                            }
                        }
                    }
                    for m in 0..4 {
                        for x in 0..2 {
                            _mm256_storeu_ps(tile[m][2 * pair + x].as_mut_ptr().add(8 * half), sums[m][x]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_width_gives_the_same() {
        let taps = Taps { depth: 2, lines: 2, places: 3, plane: 320, line: 160 };
        let block: Vec<f32> = (0..640).map(|at| (at as f32 * 0.37).sin()).collect();
        let weights: Vec<f32> = (0..48).map(|at| (at as f32 * 1.7).cos()).collect();
        let mut tiles = Vec::new();
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let mut tile = [[[0.5; 16]; 4]; 4];
            // SAFETY: the features are there; the last value read is at 320 + 160 + 5 * 16 < 640.
            #[expect(unsafe_code, reason = "one width is asked for")]
            unsafe {
                tile256(taps, block.as_ptr(), weights.as_ptr(), &mut tile);
            }
            tiles.push(tile);
        }
        if is_x86_feature_detected!("avx512f") {
            let mut tile = [[[0.5; 16]; 4]; 4];
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "one width is asked for")]
            unsafe {
                tile512(taps, block.as_ptr(), weights.as_ptr(), &mut tile);
            }
            tiles.push(tile);
        }
        for tile in &tiles {
            assert_eq!(tile, &tiles[0]);
            let tap = |c: usize, y: usize, x: usize| c * 320 + y * 160 + x * 16;
            for m in 0..4 {
                for across in 0..4 {
                    for lane in 0..16 {
                        let mut sum = 0.5;
                        for (c, y, x) in
                            (0..2).flat_map(|c| (0..2).flat_map(move |y| (0..3).map(move |x| (c, y, x))))
                        {
                            sum += weights[((c * 2 + y) * 3 + x) * 4 + m]
                                * block[tap(c, y, x) + across * 16 + lane];
                        }
                        assert!((tile[m][across][lane] - sum).abs() < 1e-4);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_full_layer_has_the_same_bits_in_every_width() {
        let x: Vec<Lanes> = (0..9).map(|k| std::array::from_fn(|l| ((k * 16 + l) as f32).sin())).collect();
        let weights: Vec<[f32; RESULTS]> =
            (0..9).map(|k| std::array::from_fn(|m| ((k * 16 + m) as f32 * 1.7).cos())).collect();
        let start: [Lanes; RESULTS] = [[0.25; 16]; RESULTS];
        let mut found = Vec::new();
        if is_x86_feature_detected!("avx512f") {
            let mut sums = start;
            // SAFETY: the feature is there.
            #[expect(unsafe_code, reason = "one width is asked for")]
            unsafe {
                wide::dense512(&x, &weights, &mut sums);
            }
            found.push(sums);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let mut sums = start;
            // SAFETY: the features are there.
            #[expect(unsafe_code, reason = "one width is asked for")]
            unsafe {
                wide::dense256(&x, &weights, &mut sums);
            }
            found.push(sums);
        }
        for sums in &found {
            assert_eq!(sums, &found[0]);
            for m in 0..RESULTS {
                let sum: f32 = (0..9).map(|k| weights[k][m] * x[k][5]).sum();
                assert!((sums[m][5] - sum - 0.25).abs() < 1e-5);
            }
        }
    }

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
