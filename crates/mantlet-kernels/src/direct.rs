//! Convolution without columns, for windows that move by one: the rows of a batch stand side by side in the lanes
//! of a vector register, so that every tap is a multiplication of whole registers by one weight.
//!
//! A block of [`LANES`] images is laid out as `[channel][y][x][lane]` with zeros around it; weights are read
//! from a packed copy, four result channels at a time. For each result value the taps are added in one fixed
//! order, so the result of an image does not depend on which images it stands beside.

use crate::conv::Conv2d;
use crate::lanes::Lanes;
use crate::matrix::{Taps, Tile, tile};

/// Images worked on at once.
pub const LANES: usize = 16;
/// Result channels worked on at once.
const CHANNELS: usize = 4;
/// Neighbouring results worked on at once.
const ACROSS: usize = 4;

/// Weights `[m][c][ky][kx]` as the kernel reads them, for the product and for its transpose.
#[derive(Debug, Clone)]
pub struct Direct {
    shape: Conv2d,
    results: usize,
    packed: Vec<f32>,
    /// Zeros around a block: above and left; what is needed below and right follows from the shape.
    margin: (usize, usize),
}

impl Direct {
    /// Packs weights for a convolution of this shape to `results` channels; `None` when the window does not move
    /// by one or has gaps, or when the weights do not fit the shape.
    #[must_use]
    pub fn new(shape: &Conv2d, weights: &[f32], results: usize) -> Option<Self> {
        let unit = |axis: &crate::Axis| axis.stride == 1 && axis.dilation == 1;
        if !unit(&shape.y) || !unit(&shape.x) || weights.len() != results * shape.window() || results == 0 {
            return None;
        }
        let (depth, taps) = (shape.channels, shape.y.kernel * shape.x.kernel);
        let blocks = results.div_ceil(CHANNELS);
        let mut packed = vec![0.0; blocks * CHANNELS * depth * taps];
        for (m, kernel) in weights.chunks_exact(depth * taps).enumerate() {
            for (tap, weight) in kernel.iter().enumerate() {
                packed[((m / CHANNELS) * depth * taps + tap) * CHANNELS + m % CHANNELS] = *weight;
            }
        }
        Some(Self { shape: *shape, results, packed, margin: (shape.y.pad_begin, shape.x.pad_begin) })
    }

    /// The convolution that takes gradients of the result back to the image: `results` and channels swap, the
    /// window is turned. `None` where [`Direct::new`] gives none or the padding exceeds the window.
    #[must_use]
    pub fn transposed(shape: &Conv2d, weights: &[f32], results: usize) -> Option<Self> {
        let (y, x) = (&shape.y, &shape.x);
        if weights.len() != results * shape.window() || results == 0 {
            return None;
        }
        let turn = |axis: &crate::Axis| {
            Some(crate::Axis {
                input: axis.output,
                output: axis.input,
                pad_begin: (axis.kernel - 1).checked_sub(axis.pad_begin)?,
                ..*axis
            })
        };
        let turned = Conv2d { channels: results, y: turn(y)?, x: turn(x)? };
        let (depth, taps) = (shape.channels, y.kernel * x.kernel);
        let mut flipped = vec![0.0; weights.len()];
        for m in 0..results {
            for c in 0..depth {
                for tap in 0..taps {
                    flipped[(c * results + m) * taps + taps - 1 - tap] =
                        weights[(m * depth + c) * taps + tap];
                }
            }
        }
        Self::new(&turned, &flipped, depth)
    }

    /// Height and width of a padded plane: every tap of every block of neighbours lies inside.
    fn padded(&self) -> (usize, usize) {
        let (y, x) = (&self.shape.y, &self.shape.x);
        let across = x.output.div_ceil(ACROSS) * ACROSS;
        let height = (y.output + y.kernel - 1).max(self.margin.0 + y.input);
        (height, (across + x.kernel - 1).max(self.margin.1 + x.input))
    }

    /// Values of scratch memory a block needs, to be handed to [`Direct::run`] as zeros the first time.
    #[must_use]
    pub fn scratch(&self) -> usize {
        let (height, width) = self.padded();
        (self.shape.channels * height * width + self.results * self.shape.y.output * self.shape.x.output)
            * LANES
    }

    /// Convolves up to [`LANES`] images that follow each other in `images`, `stride` values apart, into
    /// `out`, `out_stride` values apart. `bias`, one a result channel, is where sums start.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn run(
        &self,
        (images, stride): (&[f32], usize),
        (out, out_stride): (&mut [f32], usize),
        count: usize,
        bias: Option<&[f32]>,
        scratch: &mut [f32],
    ) {
        assert!(count <= LANES, "more images than lanes");
        let (height, width) = self.padded();
        let (block, result) = scratch.split_at_mut(self.shape.channels * height * width * LANES);
        self.spread(images, stride, count, block.as_chunks_mut().0);
        self.sweep(block, result.as_chunks_mut().0, bias);
        let positions = self.shape.y.output * self.shape.x.output;
        let result: &[Lanes] = &result.as_chunks().0[..self.results * positions];
        // A few positions at a time for all images: each stretch of the result is read while it is in the cache.
        for (stretch, from) in result.chunks(LANES).enumerate() {
            for lane in 0..count {
                let to = lane * out_stride + stretch * LANES;
                for (slot, lanes) in out[to..to + from.len()].iter_mut().zip(from) {
                    *slot = lanes[lane];
                }
            }
        }
    }

    /// Values of one image that are read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.shape.image()
    }

    /// Values of one image that are given.
    #[must_use]
    pub fn gives(&self) -> usize {
        self.results * self.shape.positions()
    }

    /// Values of scratch memory [`Direct::run_lanes`] needs, to be handed to it as zeros the first time.
    #[must_use]
    pub fn margins(&self) -> usize {
        let (height, width) = self.padded();
        self.shape.channels * height * width * LANES
    }

    /// As [`Direct::run`], for images that stand side by side already, `[channel][y][x]`, into results that do.
    ///
    /// # Panics
    /// When a slice is too short.
    pub fn run_lanes(&self, images: &[Lanes], out: &mut [Lanes], bias: Option<&[f32]>, scratch: &mut [f32]) {
        let (height, width) = self.padded();
        let (y, x) = (&self.shape.y, &self.shape.x);
        let (block, _) = scratch[..self.margins()].as_chunks_mut::<LANES>();
        for channel in 0..self.shape.channels {
            for line in 0..y.input {
                let from = (channel * y.input + line) * x.input;
                let to = (channel * height + line + self.margin.0) * width + self.margin.1;
                block[to..to + x.input].copy_from_slice(&images[from..from + x.input]);
            }
        }
        self.sweep(&scratch[..self.margins()], out, bias);
    }

    /// Puts the images side by side inside their margins; lanes without an image are zero.
    fn spread(&self, images: &[f32], stride: usize, count: usize, block: &mut [Lanes]) {
        let (height, width) = self.padded();
        let (y, x) = (&self.shape.y, &self.shape.x);
        for channel in 0..self.shape.channels {
            for line in 0..y.input {
                let from = (channel * y.input + line) * x.input;
                let to = (channel * height + line + self.margin.0) * width + self.margin.1;
                for (at, lanes) in block[to..to + x.input].iter_mut().enumerate() {
                    for (lane, slot) in lanes.iter_mut().enumerate().take(count) {
                        *slot = images[lane * stride + from + at];
                    }
                    lanes[count..].fill(0.0);
                }
            }
        }
    }

    /// One pass over a block.
    fn sweep(&self, block: &[f32], result: &mut [Lanes], bias: Option<&[f32]>) {
        let (height, width) = self.padded();
        let (y, x, depth) = (&self.shape.y, &self.shape.x, self.shape.channels);
        let (line, positions) = (width * LANES, y.output * x.output);
        let taps = Taps { depth, lines: y.kernel, places: x.kernel, plane: height * line, line };
        let weights = self.packed.chunks_exact(depth * y.kernel * x.kernel * CHANNELS);
        for (at, weights) in weights.enumerate() {
            let first = at * CHANNELS;
            let start: Tile = std::array::from_fn(|m| {
                let bias = bias.and_then(|bias| bias.get(first + m)).copied().unwrap_or(0.0);
                [[bias; LANES]; ACROSS]
            });
            for oy in 0..y.output {
                for ox in (0..x.output).step_by(ACROSS) {
                    let mut sums = start;
                    tile(taps, &block[oy * line + ox * LANES..], weights, &mut sums);
                    for (m, sums) in sums.iter().enumerate().take(self.results - first) {
                        let to = (first + m) * positions + oy * x.output + ox;
                        let slots = result[to..].iter_mut().zip(sums).take(x.output - ox);
                        slots.for_each(|(slot, sum)| *slot = *sum);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, col2im, im2col};

    fn axis(input: usize, kernel: usize, begin: usize, end: usize) -> Axis {
        let output = input + begin + end - kernel + 1;
        Axis { input, kernel, stride: 1, dilation: 1, pad_begin: begin, output }
    }

    #[test]
    fn it_agrees_with_columns_forwards_and_backwards() {
        for (y, x, depth, results, count) in [
            (axis(8, 3, 1, 1), axis(8, 3, 1, 1), 2, 5, 16),
            (axis(5, 5, 2, 2), axis(7, 3, 0, 0), 3, 4, 3),
            (axis(6, 2, 1, 0), axis(5, 4, 1, 2), 1, 1, 7),
            (axis(4, 1, 0, 0), axis(4, 1, 0, 0), 4, 9, 1),
        ] {
            let shape = Conv2d { channels: depth, y, x };
            let (window, positions, image) = (shape.window(), shape.positions(), shape.image());
            let value = |at: usize, seed: f32| (at as f32 * seed).sin();
            let images: Vec<f32> = (0..count * image).map(|at| value(at, 0.7)).collect();
            let weights: Vec<f32> = (0..results * window).map(|at| value(at, 1.3)).collect();
            let bias: Vec<f32> = (0..results).map(|at| value(at, 2.1)).collect();
            let direct = Direct::new(&shape, &weights, results).unwrap();
            let mut scratch = vec![0.0; direct.scratch()];
            let mut out = vec![f32::NAN; count * results * positions];
            // Twice: what a full block left behind must not show in a smaller one.
            for _ in 0..2 {
                let target = (&mut out[..], results * positions);
                direct.run((&images, image), target, count, Some(&bias), &mut scratch);
            }
            let mut side = vec![[0.0; LANES]; image];
            crate::lanes::interleave(&images, &mut side);
            let mut block = vec![0.0; direct.margins()];
            let mut results_side = vec![[f32::NAN; LANES]; results * positions];
            for _ in 0..2 {
                direct.run_lanes(&side, &mut results_side, Some(&bias), &mut block);
            }
            let mut parted = vec![f32::NAN; out.len()];
            crate::lanes::part(&results_side, &mut parted);
            assert_eq!(parted, out);
            let back = Direct::transposed(&shape, &weights, results).unwrap();
            let mut back_scratch = vec![0.0; back.scratch()];
            let mut gradients = vec![f32::NAN; count * image];
            back.run((&out, results * positions), (&mut gradients, image), count, None, &mut back_scratch);
            for index in 0..count {
                let mut columns = vec![0.0; window * positions];
                im2col(&shape, &images[index * image..], &mut columns, positions, 0);
                let own = &out[index * results * positions..(index + 1) * results * positions];
                let mut column_gradients = vec![0.0; window * positions];
                for m in 0..results {
                    for p in 0..positions {
                        let taps = 0..window;
                        let sum: f32 =
                            taps.map(|w| weights[m * window + w] * columns[w * positions + p]).sum();
                        assert!((own[m * positions + p] - sum - bias[m]).abs() < 1e-4);
                        for w in 0..window {
                            column_gradients[w * positions + p] +=
                                weights[m * window + w] * own[m * positions + p];
                        }
                    }
                }
                let mut expected = vec![0.0; image];
                col2im(&shape, &mut column_gradients, positions, 0, &mut expected);
                for (a, b) in gradients[index * image..].iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-3, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn other_windows_are_left_to_columns() {
        let strided = Conv2d { channels: 1, y: Axis { stride: 2, ..axis(4, 2, 0, 0) }, x: axis(4, 2, 0, 0) };
        assert!(Direct::new(&strided, &[0.0; 4], 1).is_none());
        let wide = Conv2d { channels: 1, y: axis(4, 2, 3, 3), x: axis(4, 2, 0, 0) };
        assert!(Direct::transposed(&wide, &[0.0; 4], 1).is_none());
    }
}
