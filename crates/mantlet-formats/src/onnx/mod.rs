//! ONNX: protobuf messages of `onnx.proto` (IR version 10 and earlier).

pub mod schema;
mod walk;

pub use walk::{External, Onnx, analyse, is_onnx};
