//! From bytes to a model that can run.

use std::sync::Arc;

use mantlet_formats::onnx::schema::ModelProto;
use mantlet_vocab::{Source, read_window};
use prost::Message;
use prost::bytes::Bytes;

use crate::graph::Graph;
use crate::onnx::OnnxModel;
use crate::{Limits, Model, ModelError};

/// Finds the files a model keeps tensors in. `location` is what the model says and is not to be trusted: an
/// implementation decides which names it serves.
pub trait ExternalData {
    /// The bytes at that location, or `None`.
    fn open(&self, location: &str) -> Option<Box<dyn Source>>;
}

/// Loads an ONNX model whose tensors are all in the file.
///
/// # Errors
/// When the bytes are no valid ONNX model, use operators that are not supported, or exceed a limit.
pub fn load(source: &dyn Source, limits: Limits) -> Result<Arc<dyn Model>, ModelError> {
    load_with_external(source, None, limits)
}

/// Loads an ONNX model, with the files it keeps tensors in.
///
/// # Errors
/// As [`load`].
pub fn load_with_external(
    source: &dyn Source,
    external: Option<&dyn ExternalData>,
    limits: Limits,
) -> Result<Arc<dyn Model>, ModelError> {
    let len = source.len();
    if usize::try_from(len).map_or(true, |len| len > limits.max_bytes) {
        return Err(ModelError::TooLarge { len, limit: limits.max_bytes });
    }
    let bytes = Bytes::from(read_window(source, 0, limits.max_bytes)?);
    crate::census::check(&bytes, &limits)?;
    let model =
        ModelProto::decode(bytes).map_err(|error| ModelError::NotOnnx { reason: error.to_string() })?;
    if model.graph.is_none() {
        return Err(ModelError::NotOnnx { reason: "it has no graph".to_owned() });
    }
    let graph = Graph::build(&model, external, &limits)?;
    drop(model);
    Ok(Arc::new(OnnxModel::new(graph, limits)))
}
