//! Sixteen rows side by side: layers over blocks laid out as `[value][lane]`, so that every layer works on whole
//! registers and nothing is turned between one layer and the next. What comes out for a row does not depend on
//! which rows it stands beside.

use crate::conv::Axis;
use crate::direct::LANES;
use crate::matrix::{self, Pooling};

/// One value of each of the rows that stand side by side.
pub type Lanes = [f32; LANES];

/// Results worked on at once.
pub(crate) const RESULTS: usize = 16;

/// Puts up to [`LANES`] rows that follow each other side by side; lanes without a row are zero.
///
/// # Panics
/// When there are more rows than lanes, or `rows` is no whole number of rows of `block`'s length.
pub fn interleave(rows: &[f32], block: &mut [Lanes]) {
    let len = block.len();
    if len == 0 {
        return;
    }
    assert!(rows.len().is_multiple_of(len) && rows.len() / len <= LANES, "more rows than lanes");
    block.fill([0.0; LANES]);
    for (lane, row) in rows.chunks_exact(len).enumerate() {
        for (lanes, value) in block.iter_mut().zip(row) {
            lanes[lane] = *value;
        }
    }
}

/// The rows of a block, one behind the other: as many as `rows` has room for.
///
/// # Panics
/// As [`interleave`].
pub fn part(block: &[Lanes], rows: &mut [f32]) {
    let len = block.len();
    if len == 0 {
        return;
    }
    assert!(rows.len().is_multiple_of(len) && rows.len() / len <= LANES, "more rows than lanes");
    for (lane, row) in rows.chunks_exact_mut(len).enumerate() {
        for (value, lanes) in row.iter_mut().zip(block) {
            *value = lanes[lane];
        }
    }
}

/// A full layer: `out[m] = bias[m] + sum over k of weights[m][k] * x[k]`, weights packed once.
#[derive(Debug, Clone)]
pub struct Dense {
    results: usize,
    depth: usize,
    packed: Vec<[f32; RESULTS]>,
}

impl Dense {
    /// Packs a matrix of `results` rows and `depth` columns that lies in `weights` with these distances between rows
    /// and between columns; `None` when it does not fit.
    #[must_use]
    pub fn new(weights: &[f32], (results, depth): (usize, usize), layout: crate::Layout) -> Option<Self> {
        if results == 0 || depth == 0 {
            return None;
        }
        let last =
            layout.rows.checked_mul(results - 1)?.checked_add(layout.columns.checked_mul(depth - 1)?)?;
        if last >= weights.len() {
            return None;
        }
        let mut packed = vec![[0.0; RESULTS]; results.div_ceil(RESULTS).checked_mul(depth)?];
        for m in 0..results {
            for k in 0..depth {
                packed[m / RESULTS * depth + k][m % RESULTS] = weights[m * layout.rows + k * layout.columns];
            }
        }
        Some(Self { results, depth, packed })
    }

    /// How many results.
    #[must_use]
    pub const fn results(&self) -> usize {
        self.results
    }

    /// How many values are read.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The layer over one block.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn run(&self, x: &[Lanes], out: &mut [Lanes], bias: Option<&[f32]>) {
        let x = &x[..self.depth];
        let blocks = self.packed.chunks_exact(self.depth).zip(out[..self.results].chunks_mut(RESULTS));
        for (block, (weights, out)) in blocks.enumerate() {
            let start =
                |m: usize| bias.and_then(|bias| bias.get(block * RESULTS + m)).copied().unwrap_or(0.0);
            let mut sums: [Lanes; RESULTS] = std::array::from_fn(|m| [start(m); LANES]);
            matrix::dense(x, weights, &mut sums);
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

/// Runs a block of code for the places of one window in its plane, in order. No closure: what is called from code for
/// wide registers has to become part of it.
macro_rules! places {
    ($pool:expr, $oy:expr, $ox:expr, $place:ident => $body:block) => {{
        let ((mut iy, bottom), (left, right)) = (inside(&$pool.y, $oy), inside(&$pool.x, $ox));
        while iy < bottom {
            let mut ix = left;
            while ix < right {
                let $place = iy * $pool.x.input + ix;
                $body
                ix += $pool.x.dilation;
            }
            iy += $pool.y.dilation;
        }
    }};
}

/// Pooling over the planes of a block `[channel][y][x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    /// Planes.
    pub channels: usize,
    /// The vertical axis.
    pub y: Axis,
    /// The horizontal axis.
    pub x: Axis,
}

impl Pool2d {
    /// Values of one row that are read.
    #[must_use]
    pub const fn reads(&self) -> usize {
        self.channels * self.y.input * self.x.input
    }

    /// Values of one row that are given.
    #[must_use]
    pub const fn gives(&self) -> usize {
        self.channels * self.y.output * self.x.output
    }

    /// Values of a plane before and after.
    pub(crate) const fn sizes(&self) -> (usize, usize) {
        (self.y.input * self.x.input, self.y.output * self.x.output)
    }

    /// The largest value of each window; what is no number wins.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn largest(&self, x: &[Lanes], out: &mut [Lanes]) {
        matrix::pool(self, Pooling::Largest { x, out });
    }

    /// Gradients of the windows back to the first place of each that holds its largest value.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn largest_back(&self, x: &[Lanes], out: &[Lanes], gradient: &[Lanes], to: &mut [Lanes]) {
        matrix::pool(self, Pooling::LargestBack { x, out, gradient, to });
    }

    /// The sum of each window times `share` of it.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn shared(&self, x: &[Lanes], out: &mut [Lanes], share: &[f32]) {
        let (size, positions) = self.sizes();
        for channel in 0..self.channels {
            let (x, out) = (&x[channel * size..][..size], &mut out[channel * positions..][..positions]);
            for oy in 0..self.y.output {
                for ox in 0..self.x.output {
                    let at = oy * self.x.output + ox;
                    let mut sum = [0.0; LANES];
                    places!(self, oy, ox, place => {
                        let values = &x[place];
                        (0..LANES).for_each(|lane| sum[lane] += values[lane]);
                    });
                    out[at] = sum.map(|value| value * share[at]);
                }
            }
        }
    }

    /// The transpose of [`Pool2d::shared`].
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn shared_back(&self, gradient: &[Lanes], to: &mut [Lanes], share: &[f32]) {
        let (size, positions) = self.sizes();
        to[..self.channels * size].fill([0.0; LANES]);
        for channel in 0..self.channels {
            let to = &mut to[channel * size..][..size];
            for oy in 0..self.y.output {
                for ox in 0..self.x.output {
                    let at = oy * self.x.output + ox;
                    let part = gradient[channel * positions + at].map(|value| value * share[at]);
                    places!(self, oy, ox, place => {
                        let slots = &mut to[place];
                        (0..LANES).for_each(|lane| slots[lane] += part[lane]);
                    });
                }
            }
        }
    }
}

/// The places of an axis under the window at `at` that lie inside the input: the first, and one past the last; they
/// are a dilation apart.
#[inline(always)]
fn inside(axis: &Axis, at: usize) -> (usize, usize) {
    let start = at * axis.stride;
    let before = axis.pad_begin.saturating_sub(start).div_ceil(axis.dilation);
    let end = (start + (axis.kernel - 1) * axis.dilation + 1).saturating_sub(axis.pad_begin);
    (start + before * axis.dilation - axis.pad_begin.min(start + before * axis.dilation), end.min(axis.input))
}

/// The work of pooling, compiled into whatever calls it.
#[inline(always)]
pub(crate) fn pool(pool: &Pool2d, what: Pooling<'_>) {
    let (size, positions) = pool.sizes();
    match what {
        Pooling::Largest { x, out } => {
            for channel in 0..pool.channels {
                let (x, out) = (&x[channel * size..][..size], &mut out[channel * positions..][..positions]);
                for oy in 0..pool.y.output {
                    for ox in 0..pool.x.output {
                        let mut best = [f32::NEG_INFINITY; LANES];
                        places!(pool, oy, ox, place => {
                            let values = &x[place];
                            for lane in 0..LANES {
                                let value = values[lane];
                                best[lane] =
                                    if (value > best[lane]) | value.is_nan() { value } else { best[lane] };
                            }
                        });
                        out[oy * pool.x.output + ox] = best;
                    }
                }
            }
        }
        Pooling::LargestBack { x, out, gradient, to } => {
            to[..pool.channels * size].fill([0.0; LANES]);
            for channel in 0..pool.channels {
                let (x, to) = (&x[channel * size..][..size], &mut to[channel * size..][..size]);
                for oy in 0..pool.y.output {
                    for ox in 0..pool.x.output {
                        let at = channel * positions + oy * pool.x.output + ox;
                        let best = &out[at];
                        // What is still to be given away: everything, until the first place takes it.
                        let mut left = gradient[at];
                        places!(pool, oy, ox, place => {
                            let (values, slots) = (&x[place], &mut to[place]);
                            for lane in 0..LANES {
                                let takes = (values[lane] == best[lane]) | values[lane].is_nan();
                                slots[lane] += if takes { left[lane] } else { 0.0 };
                                left[lane] = if takes { 0.0 } else { left[lane] };
                            }
                        });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    fn wave(len: usize, pace: f32) -> Vec<f32> {
        (0..len).map(|at| (at as f32 * pace).sin()).collect()
    }

    fn blocks(len: usize, pace: f32) -> Vec<Lanes> {
        let mut block = vec![[0.0; LANES]; len];
        interleave(&wave(len * LANES, pace), &mut block);
        block
    }

    #[test]
    fn rows_stand_side_by_side_and_part_again() {
        let rows = wave(7 * 5, 0.3);
        let mut block = vec![[f32::NAN; LANES]; 7];
        interleave(&rows, &mut block);
        assert_eq!(block[3][2], rows[2 * 7 + 3]);
        assert_eq!(block[6][5], 0.0);
        let mut back = vec![0.0; 7 * 5];
        part(&block, &mut back);
        assert_eq!(back, rows);
    }

    #[test]
    fn a_full_layer_is_the_product() {
        for (results, depth) in [(1, 1), (10, 64), (33, 7)] {
            let (weights, bias, x) = (wave(results * depth, 1.3), wave(results, 2.1), blocks(depth, 0.7));
            let plain = Dense::new(&weights, (results, depth), Layout::row_major(depth)).unwrap();
            let turned = Dense::new(&weights, (depth, results), Layout::transposed(depth)).unwrap();
            let mut out = vec![[f32::NAN; LANES]; results];
            plain.run(&x, &mut out, Some(&bias));
            let mut back = vec![[f32::NAN; LANES]; depth];
            turned.run(&out, &mut back, None);
            for lane in 0..LANES {
                for m in 0..results {
                    let sum: f32 = (0..depth).map(|k| weights[m * depth + k] * x[k][lane]).sum();
                    assert!((out[m][lane] - sum - bias[m]).abs() < 1e-4);
                }
                for k in 0..depth {
                    let sum: f32 = (0..results).map(|m| weights[m * depth + k] * out[m][lane]).sum();
                    assert!((back[k][lane] - sum).abs() < 1e-3);
                }
            }
        }
        assert!(Dense::new(&[0.0; 5], (2, 3), Layout::row_major(3)).is_none());
    }

    #[test]
    fn windows_give_their_largest_and_take_gradients_back_where_it_first_stands() {
        let axis = |input, kernel, stride, pad_begin, output| Axis {
            input,
            kernel,
            stride,
            dilation: 1,
            pad_begin,
            output,
        };
        for (y, x) in [
            (axis(4, 2, 2, 0, 2), axis(6, 2, 2, 0, 3)),
            (axis(5, 3, 2, 1, 3), axis(4, 3, 1, 1, 4)),
            (axis(3, 3, 1, 0, 1), axis(3, 3, 1, 0, 1)),
            (Axis { dilation: 2, ..axis(5, 2, 1, 1, 5) }, Axis { dilation: 3, ..axis(6, 3, 2, 2, 2) }),
        ] {
            let pool = Pool2d { channels: 2, y, x };
            let (size, positions) = pool.sizes();
            // Rounded, so that windows have ties.
            let values: Vec<Lanes> =
                blocks(2 * size, 0.9).into_iter().map(|lanes| lanes.map(|v| (v * 3.0).round())).collect();
            let gradient = blocks(2 * positions, 1.7);
            let mut out = vec![[f32::NAN; LANES]; 2 * positions];
            pool.largest(&values, &mut out);
            let mut to = vec![[f32::NAN; LANES]; 2 * size];
            pool.largest_back(&values, &out, &gradient, &mut to);
            let share = vec![0.25; positions];
            let (mut mean, mut spread) = (out.clone(), to.clone());
            pool.shared(&values, &mut mean, &share);
            pool.shared_back(&gradient, &mut spread, &share);
            for lane in 0..LANES {
                let (mut first, mut even) = (vec![0.0; 2 * size], vec![0.0; 2 * size]);
                for (at, given) in gradient.iter().enumerate() {
                    let (channel, place) = (at / positions, at % positions);
                    let mut window = Vec::new();
                    let (oy, ox) = (place / x.output, place % x.output);
                    places!(pool, oy, ox, inner => {
                        window.push(inner);
                    });
                    let taps = (0..y.kernel).filter_map(|tap| y.input_at(place / x.output, tap));
                    let across = |iy: usize| {
                        let taps = (0..x.kernel).filter_map(move |tap| x.input_at(place % x.output, tap));
                        taps.map(move |ix| iy * x.input + ix)
                    };
                    assert_eq!(window, taps.flat_map(across).collect::<Vec<_>>());
                    let value = |place: &usize| values[channel * size + place][lane];
                    let top = window.iter().map(value).fold(f32::NEG_INFINITY, f32::max);
                    assert_eq!(out[at][lane], top);
                    let wins = window.iter().find(|place| value(place) == top).unwrap();
                    first[channel * size + wins] += given[lane];
                    let sum: f32 = window.iter().map(value).sum();
                    assert!((mean[at][lane] - 0.25 * sum).abs() < 1e-5);
                    window.iter().for_each(|place| even[channel * size + place] += 0.25 * given[lane]);
                }
                for at in 0..2 * size {
                    assert!((to[at][lane] - first[at]).abs() < 1e-6);
                    assert!((spread[at][lane] - even[at]).abs() < 1e-6);
                }
            }
        }
    }
}
