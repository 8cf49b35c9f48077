//! Loads and runs models that are data: a differentiable ONNX interpreter with an exact tree-ensemble
//! evaluator. Inference, gradients with respect to inputs and inner values, and activations, in bounded
//! memory and time; nothing in a model file can run code.

mod attrs;
mod bounds;
mod census;
mod classifier;
mod decode;
mod error;
mod execute;
mod graph;
mod heads;
mod load;
mod model;
mod onnx;
mod ops;
mod rows;
mod run;
mod side;
mod values;
mod weights;

pub use classifier::Classifier;
pub use error::ModelError;
pub use load::{ExternalData, load, load_with_external};
pub use model::{Dtype, Heads, Limits, Model, OutputKind, Port, Signature, Words};
pub use weights::{Architecture, load_weights};
