//! Any bytes as TensorFlow Lite: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let _ = support::same(data, || mantlet_formats::tflite::analyse(&source, &support::bounds()));
    let _ = support::same(data, || mantlet_formats::tflite::graph(&source).overrides());
});
