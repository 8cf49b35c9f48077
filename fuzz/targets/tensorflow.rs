//! Any bytes as TensorFlow: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let first = support::same(data, || mantlet_formats::tensorflow::recognise(&source));
    let file = first.unwrap_or_default();
    let _ = mantlet_formats::tensorflow::analyse(&source, file, &support::bounds());
    let _ = mantlet_formats::tensorflow::graph(&source, file).overrides();
});
