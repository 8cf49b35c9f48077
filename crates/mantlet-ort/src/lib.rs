//! Inference by ONNX Runtime, where the user has it: the library is loaded from the path that was named, never
//! looked for, and never asked for gradients, which stay with the interpreter of `mantlet-model`.
//!
//! A file is given to the library only when it keeps all tensors inside: a file that names others could make it read
//! what it should not.

mod model;
mod values;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mantlet_formats::onnx::schema::{GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto};
use mantlet_model::{Limits, Model, ModelError};
use mantlet_vocab::{Source, read_window};
use ort::environment::Environment;
use prost::Message as _;

/// Where a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The first CUDA device; the library has to be built for it.
    Cuda,
}

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// It could not be loaded.
    #[error(
        "cannot load ONNX Runtime from {path}: {reason} (name the file of the library, such as `libonnxruntime.so.1.31.0` \
         of the Python package `onnxruntime`)"
    )]
    Load {
        /// The path that was named.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is too old.
    #[error("the ONNX Runtime at {path} has version {found}; 1.{least} or later is needed")]
    Old {
        /// The path that was named.
        path: PathBuf,
        /// What it says of itself.
        found: String,
        /// The least minor version.
        least: u32,
    },
    /// Another one is in use in this process.
    #[error("ONNX Runtime was loaded from {first} already; one process uses one library, not {path} as well")]
    Another {
        /// The one in use.
        first: PathBuf,
        /// The path that was named.
        path: PathBuf,
    },
    /// It was loaded and does not start.
    #[error("ONNX Runtime from {path} does not start: {reason}")]
    Start {
        /// The path that was named.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
}

/// The library this process has loaded; it cannot be unloaded.
static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A loaded ONNX Runtime.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    device: Device,
    version: String,
}

impl Runtime {
    /// Loads the library from this file.
    ///
    /// # Errors
    /// When it cannot be loaded, is too old, or another one is in use in this process.
    pub fn open(path: &Path, device: Device) -> Result<Self, RuntimeError> {
        let path = path.to_owned();
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = loaded.as_ref().filter(|first| **first != path) {
            return Err(RuntimeError::Another { first: first.clone(), path });
        }
        // Relative paths are those of the caller, not of the program's own file.
        let whole = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let builder = match ort::init_from(&whole) {
            Ok(builder) => builder,
            Err(ort::LoadDynamicError::BadVersion { version_str, .. }) => {
                return Err(RuntimeError::Old { path, found: version_str, least: ort::MINOR_VERSION });
            }
            Err(error) => return Err(RuntimeError::Load { path, reason: error.to_string() }),
        };
        *loaded = Some(path.clone());
        let environment = builder
            .with_telemetry(false)
            .build()
            .map_err(|error| RuntimeError::Start { path: path.clone(), reason: error.to_string() })?;
        // A link without a version leads to a file that has it in its name.
        let file = std::fs::canonicalize(&whole).unwrap_or(whole);
        Ok(Self { environment, device, version: version(ort::info(), &file) })
    }

    /// What reports call it.
    #[must_use]
    pub fn name(&self) -> String {
        let device = if self.device == Device::Cuda { " on CUDA" } else { "" };
        format!("ONNX Runtime {}{device}", self.version)
    }

    /// A model whose outputs this library computes. `ours` is the same file in the interpreter, when that has all
    /// operators of it: gradients, inner values and the ensemble's trees come from there; without it there are none.
    ///
    /// # Errors
    /// When the bytes are no ONNX model, exceed a limit, keep tensors in other files, or the library refuses them.
    pub fn load(
        &self,
        source: &dyn Source,
        ours: Option<Arc<dyn Model>>,
        limits: &Limits,
    ) -> Result<Arc<dyn Model>, ModelError> {
        let len = source.len();
        if usize::try_from(len).map_or(true, |len| len > limits.max_bytes) {
            return Err(ModelError::TooLarge { len, limit: limits.max_bytes });
        }
        let bytes = read_window(source, 0, limits.max_bytes)?;
        let not_onnx = |reason: String| ModelError::NotOnnx { reason };
        let file = ModelProto::decode(&*bytes).map_err(|error| not_onnx(error.to_string()))?;
        let graph = file.graph.as_ref().ok_or_else(|| not_onnx("it has no graph".to_owned()))?;
        stands_alone(graph, 0)?;
        file.functions.iter().try_for_each(|function| nodes_stand_alone(&function.node, 0))?;
        let regression = graph.node.iter().any(|node| node.op_type.ends_with("Regressor"));
        Ok(Arc::new(model::Session::new(self, &bytes, ours, regression, limits.max_memory)?))
    }
}

/// The version in what a build says of itself, else in the name of its file, else that name.
fn version(info: &str, path: &Path) -> String {
    let branch = info.split(&[' ', ','][..]).find_map(|word| word.strip_prefix("git-branch=rel-"));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let named = name.split_once(".so.").map(|(_, version)| version.to_owned());
    branch.map(str::to_owned).or(named).unwrap_or(name)
}

/// How deep branches and loops may lie in each other.
const DEPTH: usize = 16;
/// The value of `data_location` of a tensor that lies in another file.
const EXTERNAL: i32 = 1;

/// Refuses tensors that lie in other files.
fn stands_alone(graph: &GraphProto, depth: usize) -> Result<(), ModelError> {
    if depth > DEPTH {
        let reason = "branches and loops lie too deep in each other".to_owned();
        return Err(ModelError::Graph { place: "the graph".to_owned(), reason });
    }
    graph.initializer.iter().try_for_each(lies_inside)?;
    graph.sparse_initializer.iter().try_for_each(sparse_lies_inside)?;
    nodes_stand_alone(&graph.node, depth)
}

fn nodes_stand_alone(nodes: &[NodeProto], depth: usize) -> Result<(), ModelError> {
    for attribute in nodes.iter().flat_map(|node| &node.attribute) {
        attribute.t.iter().chain(&attribute.tensors).try_for_each(lies_inside)?;
        let sparse = attribute.sparse_tensor.as_deref().into_iter().chain(&attribute.sparse_tensors);
        sparse.into_iter().try_for_each(sparse_lies_inside)?;
        let graphs = attribute.g.as_deref().into_iter().chain(&attribute.graphs);
        graphs.into_iter().try_for_each(|graph| stands_alone(graph, depth + 1))?;
    }
    Ok(())
}

fn sparse_lies_inside(tensor: &SparseTensorProto) -> Result<(), ModelError> {
    tensor.values.iter().chain(&tensor.indices).try_for_each(lies_inside)
}

fn lies_inside(tensor: &TensorProto) -> Result<(), ModelError> {
    if tensor.data_location != EXTERNAL && tensor.external_data.is_empty() {
        return Ok(());
    }
    let location = tensor.external_data.iter().find(|entry| entry.key == "location");
    Err(ModelError::ExternalData {
        tensor: tensor.name.clone(),
        location: location.map(|entry| entry.value.clone()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_release() {
        let path = Path::new("lib/libonnxruntime.so.1.9");
        let info = "ORT Build Info: git-branch=rel-1.31.1, git-commit-id=26250ae, build type=Release";
        assert_eq!(version(info, path), "1.31.1");
        assert_eq!(version("ORT Build Info: git-branch=HEAD, build type=Release", path), "1.9");
        assert_eq!(version("", Path::new("onnxruntime.dll")), "onnxruntime.dll");
    }

    #[test]
    fn a_library_that_is_not_there_is_named_with_what_to_do() {
        let Err(error) = Runtime::open(Path::new("nowhere/libonnxruntime.so"), Device::Cpu) else {
            unreachable!("there is no such file")
        };
        let text = error.to_string();
        assert!(text.starts_with("cannot load ONNX Runtime from nowhere/libonnxruntime.so"), "{text}");
        assert!(text.contains("name the file of the library"), "{text}");
    }
}
