//! The layers of a network: forward, and backward to inputs and weights. Rows of a batch stand one after the
//! other; an image is `[channels, height, width]`.

use mantlet_kernels::{Axis, Conv2d, Layout, col2im, im2col, sgemm};
use rand::{Rng, RngExt as _};

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layer {
    /// `out x in` weights and `out` biases.
    Dense { input: usize, output: usize, weights: Vec<f32>, bias: Vec<f32> },
    /// 3x3 with padding 1: `[out, in, 3, 3]` weights.
    Conv { shape: Plane, output: usize, weights: Vec<f32>, bias: Vec<f32> },
    /// The larger of a value and zero.
    Relu,
    /// The largest of each 2x2 window, stride 2.
    Pool { shape: Plane },
}

/// Channels, height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plane {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Plane {
    pub(crate) const fn len(self) -> usize {
        self.channels * self.height * self.width
    }

    const fn window(self) -> Conv2d {
        Conv2d { channels: self.channels, y: axis(self.height), x: axis(self.width) }
    }

    /// After 2x2 pooling.
    pub(crate) const fn pooled(self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, ..self }
    }
}

const fn axis(length: usize) -> Axis {
    Axis { input: length, kernel: 3, stride: 1, dilation: 1, pad_begin: 1, output: length }
}

/// Gradients of a layer's weights and biases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradient {
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Layer {
    /// A dense layer with He initialisation (He and others, 2015).
    pub(crate) fn dense(input: usize, output: usize, random: &mut impl Rng) -> Self {
        Self::Dense { input, output, weights: he(input, input * output, random), bias: vec![0.0; output] }
    }

    /// A convolution with He initialisation.
    pub(crate) fn conv(shape: Plane, output: usize, random: &mut impl Rng) -> Self {
        let window = shape.channels * 9;
        Self::Conv { shape, output, weights: he(window, window * output, random), bias: vec![0.0; output] }
    }

    /// Values it gives for `rows` rows of `input`.
    pub(crate) fn forward(&self, input: &[f32], rows: usize) -> Vec<f32> {
        match self {
            Self::Dense { input: from, output, weights, bias } => {
                let mut out: Vec<f32> = (0..rows).flat_map(|_| bias.iter().copied()).collect();
                let (a, b, c) =
                    (Layout::row_major(*from), Layout::transposed(*from), Layout::row_major(*output));
                sgemm((rows, *from, *output), 1.0, input, a, weights, b, 1.0, &mut out, c);
                out
            }
            Self::Conv { shape, output, weights, bias } => {
                let (window, positions) = (shape.window(), shape.window().positions());
                let mut columns = vec![0.0; window.window() * positions];
                let mut out = Vec::with_capacity(rows * output * positions);
                for image in input.chunks_exact(shape.len()).take(rows) {
                    im2col(&window, image, &mut columns, positions, 0);
                    let start = out.len();
                    bias.iter().for_each(|&bias| out.extend(std::iter::repeat_n(bias, positions)));
                    let size = (*output, window.window(), positions);
                    let (a, b, c) = (
                        Layout::row_major(window.window()),
                        Layout::row_major(positions),
                        Layout::row_major(positions),
                    );
                    sgemm(size, 1.0, weights, a, &columns, b, 1.0, &mut out[start..], c);
                }
                out
            }
            Self::Relu => input.iter().map(|value| value.max(0.0)).collect(),
            Self::Pool { shape } => {
                let mut out = Vec::with_capacity(input.len() / 4);
                for_windows(*shape, input, |values, best| out.push(values[best]));
                out
            }
        }
    }

    /// The gradient of the input, and of the weights, for the gradient `output` of what [`Self::forward`] gave.
    /// The first layer's input gradient is nobody's business: `wanted` is false there.
    pub(crate) fn backward(
        &self,
        input: &[f32],
        output: &[f32],
        rows: usize,
        wanted: bool,
    ) -> (Vec<f32>, Gradient) {
        match self {
            Self::Dense { input: from, output: to, weights, .. } => {
                let mut gradient = Gradient { weights: vec![0.0; weights.len()], bias: vec![0.0; *to] };
                let (a, b, c) = (Layout::transposed(*to), Layout::row_major(*from), Layout::row_major(*from));
                sgemm((*to, rows, *from), 1.0, output, a, input, b, 0.0, &mut gradient.weights, c);
                for row in output.chunks_exact(*to) {
                    gradient.bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                let mut back = vec![0.0; if wanted { rows * from } else { 0 }];
                if wanted {
                    let (a, b, c) =
                        (Layout::row_major(*to), Layout::row_major(*from), Layout::row_major(*from));
                    sgemm((rows, *to, *from), 1.0, output, a, weights, b, 0.0, &mut back, c);
                }
                (back, gradient)
            }
            Self::Conv { shape, output: to, weights, .. } => {
                let window = shape.window();
                let (size, positions) = (window.window(), window.positions());
                let mut gradient = Gradient { weights: vec![0.0; weights.len()], bias: vec![0.0; *to] };
                let mut back = vec![0.0; if wanted { rows * shape.len() } else { 0 }];
                let mut columns = vec![0.0; size * positions];
                for row in 0..rows {
                    let image = &input[row * shape.len()..(row + 1) * shape.len()];
                    let slope = &output[row * to * positions..(row + 1) * to * positions];
                    im2col(&window, image, &mut columns, positions, 0);
                    let (a, b, c) = (
                        Layout::row_major(positions),
                        Layout::transposed(positions),
                        Layout::row_major(size),
                    );
                    sgemm((*to, positions, size), 1.0, slope, a, &columns, b, 1.0, &mut gradient.weights, c);
                    for (sum, plane) in gradient.bias.iter_mut().zip(slope.chunks_exact(positions)) {
                        *sum += plane.iter().sum::<f32>();
                    }
                    if wanted {
                        let (a, b, c) = (
                            Layout::transposed(size),
                            Layout::row_major(positions),
                            Layout::row_major(positions),
                        );
                        sgemm((size, *to, positions), 1.0, weights, a, slope, b, 0.0, &mut columns, c);
                        let image = &mut back[row * shape.len()..(row + 1) * shape.len()];
                        col2im(&window, &mut columns, positions, 0, image);
                    }
                }
                (back, gradient)
            }
            Self::Relu => {
                let back =
                    input.iter().zip(output).map(|(&value, &slope)| if value > 0.0 { slope } else { 0.0 });
                (back.collect(), Gradient::default())
            }
            Self::Pool { shape } => {
                let mut back = vec![0.0; input.len()];
                let mut slopes = output.iter();
                let mut targets = Vec::with_capacity(output.len());
                each_window(*shape, input.len(), |window| {
                    let best = best_of(input, window);
                    targets.push(window[best]);
                });
                for target in targets {
                    back[target] += slopes.next().copied().unwrap_or(0.0);
                }
                (back, Gradient::default())
            }
        }
    }

    /// Weights and biases to change, when it has any.
    pub(crate) fn parameters(&mut self) -> Option<(&mut [f32], &mut [f32])> {
        match self {
            Self::Dense { weights, bias, .. } | Self::Conv { weights, bias, .. } => Some((weights, bias)),
            Self::Relu | Self::Pool { .. } => None,
        }
    }
}

fn he(fan_in: usize, count: usize, random: &mut impl Rng) -> Vec<f32> {
    let bound = (6.0 / fan_in.max(1) as f32).sqrt();
    (0..count).map(|_| random.random_range(-bound..=bound)).collect()
}

/// Calls with the four indices of each 2x2 window, image after image.
fn each_window(shape: Plane, len: usize, mut visit: impl FnMut([usize; 4])) {
    let plane = shape.height * shape.width;
    for start in (0..len).step_by(plane.max(1)) {
        for y in 0..shape.height / 2 {
            for x in 0..shape.width / 2 {
                let corner = start + 2 * y * shape.width + 2 * x;
                visit([corner, corner + 1, corner + shape.width, corner + shape.width + 1]);
            }
        }
    }
}

/// The first of the largest, as inference engines choose.
fn best_of(values: &[f32], window: [usize; 4]) -> usize {
    (1..4).fold(0, |best, other| if values[window[other]] > values[window[best]] { other } else { best })
}

fn for_windows(shape: Plane, input: &[f32], mut visit: impl FnMut([f32; 4], usize)) {
    each_window(shape, input.len(), |window| visit(window.map(|index| input[index]), best_of(input, window)));
}
