//! Windows of bytes to facts and defects, one module a format. Nothing here loads or executes a model.

mod bounds;
pub mod onnx;

pub use bounds::Bounds;
