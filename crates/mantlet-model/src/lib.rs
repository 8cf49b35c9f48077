//! Loads and runs models that are data: a differentiable ONNX interpreter with an exact tree-ensemble
//! evaluator, and graphs of TensorFlow, TensorFlow Lite and Keras as what they are in ONNX. Inference, gradients with respect to inputs and inner values, and activations, in bounded
//! memory and time; nothing in a model file can run code.

mod attrs;
mod bounds;
mod census;
mod classifier;
mod decode;
mod error;
mod execute;
mod fields;
mod foreign;
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
pub use foreign::{Foreign, load_foreign};
pub use load::{ExternalData, load, load_with_external};
pub use model::{Dtype, Heads, Limits, Model, OutputKind, Port, Signature, Words};
pub use weights::{Architecture, load_weights};
