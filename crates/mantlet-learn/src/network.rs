//! The network, its training and its file.

use std::ops::ControlFlow;

use mantlet_vocab::Tensor;

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
    /// Learning rate of Adam; it falls to a tenth along a cosine.
    pub rate: f32,
    /// Weight decay (decoupled).
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

/// How a network is written as ONNX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Name of the graph.
    pub name: String,
    /// Name of the input.
    pub input: String,
    /// Name of the output.
    pub output: String,
    /// Whether a softmax makes the outputs probabilities.
    pub softmax: bool,
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    classes: usize,
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
    let _ = (architecture, x, y, classes, training, progress);
    Err(LearnError::Data { reason: "the trainer is not in place".to_owned() })
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
    train(architecture, x, &[], targets.row_len(), training, progress)
}

impl Network {
    /// Logits for each row: `[n, classes]`.
    #[must_use]
    pub fn scores(&self, x: &Tensor) -> Tensor {
        Tensor::full([x.rows(), self.classes], 0.0)
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

    /// The network as an ONNX model (opset 17) whose input is `input` with a free batch axis `N` and whose
    /// output is `logits`. The same network gives the same bytes.
    #[must_use]
    pub fn to_onnx(&self, name: &str) -> Vec<u8> {
        self.to_onnx_with(&OnnxOptions {
            name: name.to_owned(),
            input: "input".to_owned(),
            output: "logits".to_owned(),
            softmax: false,
        })
    }

    /// The network as an ONNX model, with names of one's own and a softmax if wanted.
    #[must_use]
    pub fn to_onnx_with(&self, options: &OnnxOptions) -> Vec<u8> {
        options.name.clone().into_bytes()
    }
}
