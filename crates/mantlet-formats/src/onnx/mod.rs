//! ONNX: protobuf messages of `onnx.proto` (IR version 10 and earlier).

mod functions;
mod graph;
mod operators;
pub mod schema;
mod tensors;

mod walk;

pub use graph::{graph, names};
pub use tensors::tensors;
pub use walk::{External, Onnx, analyse, is_onnx};
