//! The messages of `onnx.proto` that mantlet reads and writes.
