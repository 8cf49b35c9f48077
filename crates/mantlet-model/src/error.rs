//! Why a model could not be loaded or run.

use mantlet_vocab::{ShapeError, SourceError};

/// Why a model could not be loaded, run or differentiated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The bytes could not be read.
    #[error("cannot read the model file")]
    Read(#[from] SourceError),
    /// The file is larger than allowed.
    #[error("the model file has {len} bytes, the limit is {limit} (raise `max_bytes`)")]
    TooLarge {
        /// Its length.
        len: u64,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not an ONNX model.
    #[error("not an ONNX model: {reason}")]
    NotOnnx {
        /// What is wrong, and where if known.
        reason: String,
    },
    /// Operators this interpreter does not have; the whole list, sorted.
    #[error("operators not supported: {}", .operators.join(", "))]
    Unsupported {
        /// Their names, with the domain when it is not the default one.
        operators: Vec<String>,
    },
    /// A tensor lives in another file and none was given.
    #[error("tensor `{tensor}` is stored in `{location}`: load the model with its external data")]
    ExternalData {
        /// The tensor.
        tensor: String,
        /// The file it names.
        location: String,
    },
    /// The graph contradicts itself.
    #[error("the graph is invalid at {place}: {reason}")]
    Graph {
        /// The node, tensor or input.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The tensors of a file and what says how layers stand over them do not fit.
    #[error("weights and architecture do not fit at {place}: {reason}")]
    Misfit {
        /// The tensor, the layer or the key.
        place: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// A value given does not fit the model's signature.
    #[error("input `{name}`: {reason}")]
    Input {
        /// The input.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An operator failed on the values that reached it.
    #[error("node {node} ({operator}): {reason}")]
    Run {
        /// The node's name or position.
        node: String,
        /// The operator.
        operator: String,
        /// What is wrong.
        reason: String,
    },
    /// More memory than allowed would be needed.
    #[error("running the model needs more than {limit} bytes (raise `max_memory`)")]
    Memory {
        /// The limit.
        limit: usize,
    },
    /// More time than allowed was used.
    #[error("running the model took longer than {limit} ms (raise `max_millis`)")]
    Time {
        /// The limit.
        limit: u64,
    },
    /// The gradient does not exist; the operators in the way.
    #[error("not differentiable because of: {} (use attacks that need no gradient)", .operators.join(", "))]
    NotDifferentiable {
        /// The operators in the way, sorted.
        operators: Vec<String>,
    },
    /// The model cannot be seen as a classifier.
    #[error("not a classifier that can be probed: {reason}")]
    NotClassifier {
        /// Why, and what would help.
        reason: String,
    },
    /// An engine that is not this crate's failed.
    #[error("{engine}: {reason}")]
    Engine {
        /// Which one.
        engine: String,
        /// What it says.
        reason: String,
    },
    /// No value of that name is in the graph.
    #[error("the graph has no value named `{name}`")]
    NoSuchValue {
        /// The name.
        name: String,
    },
    /// A shape that does not hold its values.
    #[error("shape mismatch")]
    Shape(#[from] ShapeError),
}
