//! Graphs of other formats, run as what they would be in ONNX: TensorFlow Lite, TensorFlow (frozen graphs, and saved models
//! with the variables beside them) and Keras (archives and HDF5 files).
//!
//! Nothing is guessed: an operator, a layer or an element type that is not known here refuses the whole model by name,
//! and what a library would compute in another way than is written here is not known.

mod batches;
mod flat;
mod fold;
mod keras;
mod layers;
mod numbers;
mod sketch;
mod tensorflow;
mod tflite;
mod wire;

use std::sync::Arc;

use mantlet_formats::{hdf5, tensorflow as graphs, tflite as lite, zip};
use mantlet_vocab::{MemorySource, Source, read_window};
use prost::Message as _;
use prost::bytes::Bytes;

use crate::graph::Graph;
use crate::onnx::OnnxModel;
use crate::{ExternalData, Limits, Model, ModelError};

/// A model of another format, ready to run.
pub struct Foreign {
    /// The model.
    pub model: Arc<dyn Model>,
    /// The ONNX file that says the same: operators have the names of those that they stand for.
    pub file: MemorySource,
}

fn invalid(place: impl Into<String>, reason: impl Into<String>) -> ModelError {
    ModelError::Graph { place: place.into(), reason: reason.into() }
}

/// Loads a model of TensorFlow Lite, TensorFlow or Keras. `beside` serves the folder of a saved model, where its variables
/// are.
///
/// # Errors
/// When the bytes are of none of these formats or broken, use what is not known, or exceed a limit.
pub fn load_foreign(
    source: &dyn Source,
    beside: Option<&dyn ExternalData>,
    limits: Limits,
) -> Result<Foreign, ModelError> {
    let len = source.len();
    if usize::try_from(len).map_or(true, |len| len > limits.max_bytes) {
        return Err(ModelError::TooLarge { len, limit: limits.max_bytes });
    }
    let whole = || read_window(source, 0, limits.max_bytes).map(Bytes::from);
    let head = read_window(source, 0, 16)?;
    let model = if lite::is_tflite(&head) {
        tflite::model(whole()?, limits)?
    } else if hdf5::signature(source).is_some() {
        keras::file(source, limits)?
    } else if zip::is_zip(source) {
        keras::archive(source, limits)?
    } else if let Some(file) = graphs::recognise(source) {
        tensorflow::model(whole()?, file, beside, limits)?
    } else {
        return Err(invalid("the file", "it is no graph of TensorFlow, TensorFlow Lite or Keras"));
    };
    let graph = Graph::build(&model, None, &limits)?;
    let file = MemorySource(model.encode_to_vec().into());
    Ok(Foreign { model: Arc::new(OnnxModel::new(graph, limits)), file })
}
