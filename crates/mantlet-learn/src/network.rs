//! The network and its training.

use std::ops::ControlFlow;

use mantlet_vocab::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::layers::{Gradient, Layer, Plane};

/// Why nothing could be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// Rows and targets do not fit each other or the architecture.
    #[error("the training data do not fit: {reason}")]
    Data {
        /// What does not fit.
        reason: String,
    },
}

/// The shape of a learner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Architecture {
    /// One dense layer: logistic regression.
    Linear,
    /// Dense layers with `relu` between them.
    Mlp {
        /// Widths of the hidden layers.
        hidden: Vec<usize>,
    },
    /// Blocks of 3x3 convolution, `relu` and 2x2 max-pooling, then dense layers. Rows are `[C, H, W]`.
    Cnn {
        /// Channels of each block.
        channels: Vec<usize>,
        /// Widths of the hidden dense layers.
        dense: Vec<usize>,
    },
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows in a step.
    pub batch: usize,
    /// Learning rate of Adam (Kingma and Ba, 2015); it falls to a tenth along a cosine.
    pub rate: f32,
    /// Weight decay, decoupled (Loshchilov and Hutter, 2019).
    pub decay: f32,
    /// Decides the first weights and the order of the rows.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self { epochs: 20, batch: 64, rate: 2e-3, decay: 1e-4, seed: 0 }
    }
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Epochs done.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Mean loss of this epoch.
    pub loss: f32,
    /// Share of rows classified right while training in this epoch.
    pub accuracy: f32,
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub(crate) row: Vec<usize>,
    pub(crate) classes: usize,
    pub(crate) layers: Vec<Layer>,
}

/// Trains on rows `x` with the classes `y`. Stops early when `progress` breaks. The same arguments give the
/// same weights, bit for bit, on the same machine.
///
/// # Errors
/// When rows, labels and architecture do not fit.
pub fn train(
    architecture: &Architecture,
    x: &Tensor,
    y: &[usize],
    classes: usize,
    training: &Training,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Network, LearnError> {
    if let Some(label) = y.iter().find(|&&label| label >= classes) {
        return Err(LearnError::Data { reason: format!("label {label} is not below {classes} classes") });
    }
    let mut targets = Tensor::full([y.len(), classes], 0.0);
    for (row, &label) in y.iter().enumerate() {
        targets.row_mut(row)[label] = 1.0;
    }
    train_soft(architecture, x, &targets, training, progress)
}

/// Trains on rows `x` with a probability for each class (`[n, classes]`): for copies of another model.
///
/// # Errors
/// As [`train`].
pub fn train_soft(
    architecture: &Architecture,
    x: &Tensor,
    targets: &Tensor,
    training: &Training,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Network, LearnError> {
    descend(architecture, x, targets, training, Error::Entropy, progress)
}

/// Trains on rows `x` with numbers `[n, outputs]` by their squared error: for scores, prices and ranks. Numbers of
/// about unit size are learned best; bring others there first.
///
/// # Errors
/// As [`train`], and when a number is not finite.
pub fn train_values(
    architecture: &Architecture,
    x: &Tensor,
    values: &Tensor,
    training: &Training,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Network, LearnError> {
    if values.data().iter().any(|value| !value.is_finite()) {
        return Err(LearnError::Data {
            reason: "a target is not a finite number; drop its row first".to_owned(),
        });
    }
    descend(architecture, x, values, training, Error::Squared, progress)
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Error {
    /// The cross-entropy of classes.
    Entropy,
    /// Half the squared difference of numbers.
    Squared,
}

fn descend(
    architecture: &Architecture,
    x: &Tensor,
    targets: &Tensor,
    training: &Training,
    error: Error,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Network, LearnError> {
    let fault = |reason: String| Err(LearnError::Data { reason });
    if x.rows() != targets.rows() || x.rows() == 0 {
        return fault(format!("{} rows and {} targets", x.rows(), targets.rows()));
    }
    if training.batch == 0 || targets.row_len() == 0 {
        return fault("a batch and a number of classes must be at least 1".to_owned());
    }
    if x.data().iter().any(|value| !value.is_finite()) {
        return fault("a value is not a finite number; fill or drop it first".to_owned());
    }
    let mut random = ChaCha8Rng::seed_from_u64(training.seed);
    let mut network =
        Network::fresh(architecture, x.shape().get(1..).unwrap_or_default(), targets.row_len(), &mut random)?;
    let mut adam = Adam::of(&mut network.layers);
    let mut order: Vec<usize> = (0..x.rows()).collect();
    let steps = training.epochs * x.rows().div_ceil(training.batch);
    let mut step = 0;
    for epoch in 1..=training.epochs {
        order.shuffle(&mut random);
        let (mut loss, mut right) = (0.0_f64, 0_usize);
        for batch in order.chunks(training.batch) {
            let (rows, wanted) = (x.select(batch), targets.select(batch));
            let (batch_loss, batch_right, gradients) = network.gradients(&rows, &wanted, error);
            loss += batch_loss;
            right += batch_right;
            let turn = step as f32 / steps.max(1) as f32 * std::f32::consts::PI;
            let rate = training.rate * (0.1 + 0.45 * (1.0 + turn.cos()));
            adam.step(&mut network.layers, &gradients, rate, training.decay);
            step += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a figure that is shown")]
        let told = Progress {
            epoch,
            epochs: training.epochs,
            loss: (loss / x.rows() as f64) as f32,
            accuracy: right as f32 / x.rows() as f32,
        };
        if progress(told).is_break() {
            break;
        }
    }
    Ok(network)
}

impl Network {
    fn fresh(
        architecture: &Architecture,
        row: &[usize],
        classes: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, LearnError> {
        let mut layers = Vec::new();
        let mut width: usize = row.iter().product();
        let hidden = match architecture {
            Architecture::Linear => &Vec::new(),
            Architecture::Mlp { hidden } => hidden,
            Architecture::Cnn { channels, dense } => {
                let [c, h, w] = *row else {
                    let reason =
                        format!("rows of a convolutional network are [channels, height, width], not {row:?}");
                    return Err(LearnError::Data { reason });
                };
                let mut plane = Plane { channels: c, height: h, width: w };
                for &output in channels {
                    layers.push(Layer::conv(plane, output, random));
                    layers.push(Layer::Relu);
                    plane.channels = output;
                    let halves = |side: usize| side >= 2 && side.is_multiple_of(2);
                    if !halves(plane.height) || !halves(plane.width) {
                        let reason = format!("an image of {}x{} cannot be halved", plane.height, plane.width);
                        return Err(LearnError::Data { reason });
                    }
                    layers.push(Layer::Pool { shape: plane });
                    plane = plane.pooled();
                }
                width = plane.len();
                dense
            }
        };
        for &output in hidden {
            layers.push(Layer::dense(width, output, random));
            layers.push(Layer::Relu);
            width = output;
        }
        layers.push(Layer::dense(width, classes, random));
        Ok(Self { row: row.to_vec(), classes, layers })
    }

    /// Sum of losses, rows classified right, and the gradient of the mean loss for each layer.
    pub(crate) fn gradients(
        &self,
        rows: &Tensor,
        targets: &Tensor,
        error: Error,
    ) -> (f64, usize, Vec<Gradient>) {
        let count = rows.rows();
        let mut values = vec![rows.data().to_vec()];
        for layer in &self.layers {
            let next = layer.forward(values.last().map_or(&[], Vec::as_slice), count);
            values.push(next);
        }
        let mut slope = values.pop().unwrap_or_default();
        let (mut loss, mut right) = (0.0, 0);
        for (logits, target) in
            slope.chunks_exact_mut(self.classes).zip(targets.data().chunks_exact(self.classes))
        {
            right += usize::from(best(logits) == best(target));
            if error == Error::Squared {
                for (value, wanted) in logits.iter_mut().zip(target) {
                    let apart = *value - wanted;
                    loss += 0.5 * f64::from(apart) * f64::from(apart);
                    *value = apart / count as f32;
                }
                continue;
            }
            let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = logits.iter().map(|value| (value - top).exp()).sum();
            let log_sum = sum.ln() + top;
            for (value, wanted) in logits.iter_mut().zip(target) {
                loss += f64::from(wanted * (log_sum - *value));
                *value = ((*value - log_sum).exp() - wanted) / count as f32;
            }
        }
        let mut gradients = vec![Gradient::default(); self.layers.len()];
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let (back, gradient) = layer.backward(&values[index], &slope, count, index > 0);
            gradients[index] = gradient;
            slope = back;
        }
        (loss, right, gradients)
    }

    /// Logits for each row: `[n, classes]`.
    #[must_use]
    pub fn scores(&self, x: &Tensor) -> Tensor {
        const BATCH: usize = 256;
        let len = x.row_len();
        let mut out = Vec::with_capacity(x.rows() * self.classes);
        for rows in x.data().chunks(BATCH * len.max(1)) {
            let count = rows.len() / len.max(1);
            let mut values = rows.to_vec();
            for layer in &self.layers {
                values = layer.forward(&values, count);
            }
            out.extend(values);
        }
        let rows = out.len() / self.classes.max(1);
        Tensor::new([rows, self.classes], out).unwrap_or_else(|_| Tensor::full([0, self.classes], 0.0))
    }

    /// Logits of the rows `x`, and the gradient of `sum(cotangent * logits)` with respect to them, of their shape.
    /// `cotangent` is asked once, with the logits `[n, classes]`, and returns a tensor of that shape.
    pub fn input_gradient(
        &self,
        x: &Tensor,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> (Tensor, Tensor) {
        let count = x.rows();
        let mut values = vec![x.data().to_vec()];
        for layer in &self.layers {
            let next = layer.forward(values.last().map_or(&[], Vec::as_slice), count);
            values.push(next);
        }
        let empty = || Tensor::full([0, self.classes], 0.0);
        let logits =
            Tensor::new([count, self.classes], values.pop().unwrap_or_default()).unwrap_or_else(|_| empty());
        let mut slope = cotangent(&logits).into_data();
        slope.resize(count * self.classes, 0.0);
        for (index, layer) in self.layers.iter().enumerate().rev() {
            slope = layer.backward(&values[index], &slope, count, true).0;
        }
        let gradient = Tensor::new(x.shape(), slope).unwrap_or_else(|_| Tensor::full(x.shape(), 0.0));
        (logits, gradient)
    }

    /// The class of each row.
    #[must_use]
    pub fn labels(&self, x: &Tensor) -> Vec<usize> {
        self.scores(x).argmax_rows()
    }

    /// The share of rows classified as `y`.
    #[must_use]
    pub fn accuracy(&self, x: &Tensor, y: &[usize]) -> f64 {
        let right = self.labels(x).iter().zip(y).filter(|(a, b)| a == b).count();
        right as f64 / y.len().max(1) as f64
    }
}

fn best(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, other| if values[other] > values[best] { other } else { best })
}

/// Adam with decoupled weight decay; biases do not decay.
struct Adam {
    moments: Vec<[Moment; 2]>,
    steps: i32,
}

#[derive(Default)]
struct Moment {
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Adam {
    fn of(layers: &mut [Layer]) -> Self {
        let moment = |len: usize| Moment { mean: vec![0.0; len], square: vec![0.0; len] };
        let moments = layers.iter_mut().map(|layer| match layer.parameters() {
            Some((weights, bias)) => [moment(weights.len()), moment(bias.len())],
            None => [Moment::default(), Moment::default()],
        });
        Self { moments: moments.collect(), steps: 0 }
    }

    fn step(&mut self, layers: &mut [Layer], gradients: &[Gradient], rate: f32, decay: f32) {
        self.steps += 1;
        let (first, second) = (1.0 - 0.9_f32.powi(self.steps), 1.0 - 0.999_f32.powi(self.steps));
        for ((layer, gradient), [of_weights, of_bias]) in
            layers.iter_mut().zip(gradients).zip(&mut self.moments)
        {
            let Some((weights, bias)) = layer.parameters() else { continue };
            for (values, slopes, moment, decay) in
                [(weights, &gradient.weights, of_weights, decay), (bias, &gradient.bias, of_bias, 0.0)]
            {
                for (((value, slope), mean), square) in
                    values.iter_mut().zip(slopes).zip(&mut moment.mean).zip(&mut moment.square)
                {
                    *mean = 0.9 * *mean + 0.1 * slope;
                    *square = 0.999 * *square + 0.001 * slope * slope;
                    let direction = (*mean / first) / ((*square / second).sqrt() + 1e-8);
                    *value -= rate * (direction + decay * *value);
                }
            }
        }
    }
}
