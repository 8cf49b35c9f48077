//! Any bytes as onnx: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    support::shown(data, || mantlet_formats::onnx::analyse(&source, &support::bounds()));
    let _ = mantlet_formats::onnx::graph(&source).overrides();
    let _ = mantlet_formats::onnx::tensors(&source);
});
