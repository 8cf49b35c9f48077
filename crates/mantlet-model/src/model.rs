//! What every model offers, whatever runs it.

use std::fmt;

use mantlet_vocab::{NamedValue, Tensor, TreeEnsemble};

use crate::ModelError;

/// Element types of inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the element types")]
pub enum Dtype {
    F32,
    F64,
    I64,
    I32,
    U8,
    Bool,
    Text,
}

impl Dtype {
    /// The name the Open Inference Protocol gives it.
    #[must_use]
    pub const fn oip(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::F64 => "FP64",
            Self::I64 => "INT64",
            Self::I32 => "INT32",
            Self::U8 => "UINT8",
            Self::Bool => "BOOL",
            Self::Text => "BYTES",
        }
    }

    /// Whether gradients can be taken with respect to it.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.oip())
    }
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape; `None` for a free axis. Empty when the file does not say.
    pub shape: Vec<Option<usize>>,
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Inputs that must be given, in order.
    pub inputs: Vec<Port>,
    /// Outputs, in order. A sequence of maps (ONNX `ZipMap`) is listed as the tensor it was made of.
    pub outputs: Vec<Port>,
}

/// Bounds on what a model may cost. A model is foreign data: its shapes decide how much is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the model file, external data included.
    pub max_bytes: usize,
    /// Bytes of values alive at any time in one call (constants of the file not counted).
    pub max_memory: usize,
    /// Nodes in the graph.
    pub max_nodes: usize,
    /// Milliseconds of one call; checked between and inside operators.
    pub max_millis: Option<u64>,
}

impl Default for Limits {
    /// 512 MiB of file, 2 GiB of values, 50,000 nodes, one minute a call.
    fn default() -> Self {
        Self { max_bytes: 512 << 20, max_memory: 2 << 30, max_nodes: 50_000, max_millis: Some(60_000) }
    }
}

/// Where a model gives its decision: what a classifier view needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heads {
    /// The output with the label of each row, if any.
    pub label: Option<String>,
    /// The output with a score for each class, if any.
    pub scores: Option<String>,
    /// The inner value that holds the scores before the last softmax or sigmoid, if there is one.
    pub logits: Option<String>,
    /// What the scores are, as far as the graph says.
    pub kind: Option<OutputKind>,
    /// The names of the classes, when the file has them.
    pub classes: Vec<String>,
    /// Whether the scores are a regression rather than a classification.
    pub regression: bool,
}

/// What a classifier gives for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// Unbounded scores; softmax would make them probabilities.
    Logits,
    /// Probabilities: in 0 to 1, summing to 1 in each row.
    Probabilities,
    /// The label alone.
    LabelOnly,
}

/// The table behind an input that takes the embeddings of words rather than their numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// A row for each word.
    pub table: Tensor,
    /// The number that stands for no word.
    pub padding: usize,
}

/// A loaded model.
pub trait Model: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;

    /// What computes its outputs, when it is not this crate's interpreter: for reports.
    fn engine(&self) -> Option<&str> {
        None
    }

    /// The words whose embeddings its input takes, where it knows them.
    fn words(&self) -> Option<&Words> {
        None
    }

    /// Runs it.
    ///
    /// # Errors
    /// When a value does not fit the signature, an operator fails, or a limit is reached.
    fn infer(&self, inputs: &[NamedValue]) -> Result<Vec<NamedValue>, ModelError>;

    /// Whether the scores have a gradient with respect to a floating-point input.
    ///
    /// # Errors
    /// The operators in the way, by name.
    fn differentiable(&self) -> Result<(), Vec<String>>;

    /// The scores for the rows `x` of the only input, and the gradient of `sum(cotangent * scores)` with
    /// respect to `x`. `cotangent` is asked once, with the scores; it returns a tensor of their shape.
    ///
    /// # Errors
    /// As [`Model::infer`], and when there is no gradient.
    fn input_gradient(
        &self,
        x: &Tensor,
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Tensor), ModelError>;

    /// The value named `of` anywhere in the graph, and the gradient of `sum(cotangent * value)` with respect
    /// to the values named in `wrt` (inputs or inner values); zeros where `of` does not depend on one.
    ///
    /// # Errors
    /// As [`Model::infer`], and when there is no gradient or no such value.
    fn gradient(
        &self,
        inputs: &[NamedValue],
        of: &str,
        wrt: &[&str],
        cotangent: &mut dyn FnMut(&Tensor) -> Tensor,
    ) -> Result<(Tensor, Vec<Tensor>), ModelError>;

    /// Inner values by name, as floats.
    ///
    /// # Errors
    /// As [`Model::infer`], and when there is no such value or it is text.
    fn activations(&self, inputs: &[NamedValue], names: &[&str]) -> Result<Vec<Tensor>, ModelError>;

    /// The names of all floating-point inner values in the order they are computed, with the operator.
    fn values(&self) -> Vec<(String, String)>;

    /// The ensemble, when the model is one.
    fn trees(&self) -> Option<&TreeEnsemble>;

    /// Where it gives its decision.
    fn heads(&self) -> &Heads;

    /// The name of what the last layer with weights reads, and those weights as one row a score; `None` where the
    /// graph has no such layer.
    fn last_layer(&self) -> Option<(String, Tensor)>;

    /// For each row the least difference between the score of its label and any other's, over all inputs between `low`
    /// and `high`; positive where no such input gets another class. Bounds hold up to the rounding of sums, which is
    /// given away, and may be far from what is reached.
    ///
    /// # Errors
    /// As [`Model::infer`]; also when an operator has no bounds here, by name.
    fn margins(
        &self,
        low: &[NamedValue],
        high: &[NamedValue],
        labels: &[usize],
    ) -> Result<Vec<f32>, ModelError>;

    /// Values in one row of an input whose shape the file leaves open, where an operator tells.
    fn row_hint(&self, input: &str) -> Option<usize>;
}
