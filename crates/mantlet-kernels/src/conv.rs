//! Convolution in two dimensions as a matrix product: images to columns and back.

use std::ops::Range;

/// One spatial axis of a convolution or pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Length of the input.
    pub input: usize,
    /// Length of the window.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Distance between the window's elements.
    pub dilation: usize,
    /// Zeros put before the input.
    pub pad_begin: usize,
    /// Length of the output.
    pub output: usize,
}

impl Axis {
    /// The input index under window element `tap` at output `at`; `None` in the padding.
    #[must_use]
    pub fn input_at(&self, at: usize, tap: usize) -> Option<usize> {
        (at * self.stride + tap * self.dilation)
            .checked_sub(self.pad_begin)
            .filter(|&index| index < self.input)
    }

    /// The outputs `from..to` for which window element `tap` lies inside the input.
    #[must_use]
    pub fn inside(&self, tap: usize) -> (usize, usize) {
        let offset = tap * self.dilation;
        let from = self.pad_begin.saturating_sub(offset).div_ceil(self.stride).min(self.output);
        let reach = (self.input + self.pad_begin).saturating_sub(offset);
        let to = reach.div_ceil(self.stride).min(self.output);
        (from, to.max(from))
    }
}

/// A two-dimensional window over `channels` planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Planes of one image (of one group).
    pub channels: usize,
    /// The vertical axis.
    pub y: Axis,
    /// The horizontal axis.
    pub x: Axis,
}

impl Conv2d {
    /// Rows of the column matrix: values under one window.
    #[must_use]
    pub fn window(&self) -> usize {
        self.channels * self.y.kernel * self.x.kernel
    }

    /// Columns per image: output positions.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.y.output * self.x.output
    }

    /// When lines of the image and of the output have the same length and the window moves by one: the run
    /// of outputs under which window element `(ky, kx)` reads one run of the image (margins included), and
    /// where that run starts. `None` otherwise, or when the element never meets the image.
    fn shifted(&self, ky: usize, kx: usize) -> Option<(Range<usize>, usize)> {
        let (y, x) = (&self.y, &self.x);
        if x.stride != 1 || y.stride != 1 || x.input != x.output {
            return None;
        }
        let ((top, bottom), (left, right)) = (y.inside(ky), x.inside(kx));
        if top == bottom || left == right {
            return None;
        }
        let line = top + ky * y.dilation - y.pad_begin;
        let from = line * x.input + left + kx * x.dilation - x.pad_begin;
        Some((top * x.output + left..(bottom - 1) * x.output + right, from))
    }

    /// Values of one image.
    #[must_use]
    pub fn image(&self) -> usize {
        self.channels * self.y.input * self.x.input
    }
}

/// Writes the windows of one image as columns `at..at + positions` of a row-major matrix with `width`
/// columns and `window` rows.
///
/// # Panics
/// When a slice is too short.
pub fn im2col(shape: &Conv2d, image: &[f32], columns: &mut [f32], width: usize, at: usize) {
    let (y, x) = (&shape.y, &shape.x);
    let plane = y.input * x.input;
    for channel in 0..shape.channels {
        let source = &image[channel * plane..(channel + 1) * plane];
        for ky in 0..y.kernel {
            let (top, bottom) = y.inside(ky);
            for kx in 0..x.kernel {
                let row = (channel * y.kernel + ky) * x.kernel + kx;
                let target = &mut columns[row * width + at..row * width + at + shape.positions()];
                let (left, right) = x.inside(kx);
                target[..top * x.output].fill(0.0);
                target[bottom * x.output..].fill(0.0);
                if let Some((range, from)) = shape.shifted(ky, kx) {
                    // Rows follow each other at the same distance in both: one copy, then the margins.
                    let len = range.len();
                    target[range].copy_from_slice(&source[from..from + len]);
                    margins(target, x.output, (top, bottom), (left, right));
                    continue;
                }
                for oy in top..bottom {
                    let line = &mut target[oy * x.output..(oy + 1) * x.output];
                    let iy = oy * y.stride + ky * y.dilation - y.pad_begin;
                    let from = &source[iy * x.input..(iy + 1) * x.input];
                    line[..left].fill(0.0);
                    line[right..].fill(0.0);
                    if left < right {
                        let first = left * x.stride + kx * x.dilation - x.pad_begin;
                        if x.stride == 1 {
                            copy_short(&mut line[left..right], &from[first..first + right - left]);
                        } else {
                            for (slot, value) in
                                line[left..right].iter_mut().zip(from[first..].iter().step_by(x.stride))
                            {
                                *slot = *value;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A copy that does not call `memcpy` for the few values a line of a small image has.
#[inline]
fn copy_short(target: &mut [f32], source: &[f32]) {
    if target.len() > 32 {
        target.copy_from_slice(source);
    } else {
        for (slot, value) in target.iter_mut().zip(source) {
            *slot = *value;
        }
    }
}

/// Zeros what the window sees left and right of the image in the lines `top..bottom`.
fn margins(plane: &mut [f32], width: usize, (top, bottom): (usize, usize), (left, right): (usize, usize)) {
    if left == 0 && right == width {
        return;
    }
    for line in plane[top * width..bottom * width].chunks_exact_mut(width) {
        line[..left].fill(0.0);
        line[right..].fill(0.0);
    }
}

/// Adds columns back onto the image they came from: the transpose of [`im2col`]. What the columns hold for
/// the padding is overwritten.
///
/// # Panics
/// When a slice is too short.
pub fn col2im(shape: &Conv2d, columns: &mut [f32], width: usize, at: usize, image: &mut [f32]) {
    let (y, x) = (&shape.y, &shape.x);
    let plane = y.input * x.input;
    for channel in 0..shape.channels {
        let target = &mut image[channel * plane..(channel + 1) * plane];
        for ky in 0..y.kernel {
            let (top, bottom) = y.inside(ky);
            for kx in 0..x.kernel {
                let row = (channel * y.kernel + ky) * x.kernel + kx;
                let source = &mut columns[row * width + at..row * width + at + shape.positions()];
                let (left, right) = x.inside(kx);
                if left == right {
                    continue;
                }
                if let Some((range, from)) = shape.shifted(ky, kx) {
                    margins(source, x.output, (top, bottom), (left, right));
                    let len = range.len();
                    for (slot, value) in target[from..from + len].iter_mut().zip(&source[range]) {
                        *slot += *value;
                    }
                    continue;
                }
                for oy in top..bottom {
                    let line = &source[oy * x.output + left..oy * x.output + right];
                    let iy = oy * y.stride + ky * y.dilation - y.pad_begin;
                    let first = iy * x.input + left * x.stride + kx * x.dilation - x.pad_begin;
                    if x.stride == 1 {
                        for (slot, value) in target[first..first + line.len()].iter_mut().zip(line) {
                            *slot += *value;
                        }
                    } else {
                        for (slot, value) in target[first..].iter_mut().step_by(x.stride).zip(line) {
                            *slot += *value;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, begin: usize, end: usize) -> Axis {
        let span = (kernel - 1) * dilation + 1;
        let output = (input + begin + end - span) / stride + 1;
        Axis { input, kernel, stride, dilation, pad_begin: begin, output }
    }

    #[test]
    fn columns_are_the_windows_and_back_is_the_transpose() {
        for (y, x) in [
            (axis(4, 3, 1, 1, 1, 1), axis(5, 3, 1, 1, 1, 1)),
            (axis(8, 3, 1, 1, 1, 1), axis(8, 3, 1, 1, 1, 1)),
            (axis(3, 5, 1, 1, 4, 4), axis(2, 5, 1, 1, 2, 2)),
            (axis(6, 3, 1, 2, 2, 2), axis(6, 3, 1, 2, 2, 2)),
            (axis(5, 2, 1, 1, 0, 0), axis(4, 2, 1, 1, 1, 0)),
            (axis(5, 2, 2, 1, 0, 1), axis(4, 3, 2, 1, 2, 0)),
            (axis(7, 3, 1, 2, 2, 3), axis(6, 2, 3, 2, 0, 2)),
            (axis(1, 3, 1, 1, 3, 3), axis(2, 1, 1, 1, 0, 0)),
            (axis(2, 2, 5, 1, 0, 0), axis(3, 3, 2, 1, 4, 4)),
        ] {
            let shape = Conv2d { channels: 2, y, x };
            let image: Vec<f32> = (0..shape.image()).map(|i| (i as f32 * 0.7).sin()).collect();
            let (width, at) = (shape.positions() + 3, 2);
            let mut columns = vec![f32::NAN; shape.window() * width];
            im2col(&shape, &image, &mut columns, width, at);
            let seed: Vec<f32> = (0..columns.len()).map(|i| (i as f32 * 1.3).cos()).collect();
            let mut expected = vec![0.0; shape.image()];
            for c in 0..2 {
                for (ky, kx) in (0..y.kernel).flat_map(|ky| (0..x.kernel).map(move |kx| (ky, kx))) {
                    for (oy, ox) in (0..y.output).flat_map(|oy| (0..x.output).map(move |ox| (oy, ox))) {
                        let row = (c * y.kernel + ky) * x.kernel + kx;
                        let slot = row * width + at + oy * x.output + ox;
                        let place = y.input_at(oy, ky).zip(x.input_at(ox, kx));
                        let index = place.map(|(iy, ix)| (c * y.input + iy) * x.input + ix);
                        assert_eq!(columns[slot], index.map_or(0.0, |index| image[index]));
                        if let Some(index) = index {
                            expected[index] += seed[slot];
                        }
                    }
                }
            }
            let mut back = vec![0.0; shape.image()];
            col2im(&shape, &mut seed.clone(), width, at, &mut back);
            for (a, b) in back.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-4);
            }
        }
    }
}
