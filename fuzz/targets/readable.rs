//! Any text as a model that is text: a TensorFlow graph, boosted trees, ncnn, the metadata of stores. The same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::{models, tensorflow};

fuzz_target!(|data: &[u8]| {
    let (source, text) = (support::source(data), String::from_utf8_lossy(data));
    support::same(data, || tensorflow::readable(&text));
    let names = ["model.txt", ".zarray", "zarr.json", "model.param", "weights.json", "model.toml"];
    let name = support::one_of(data, names);
    support::same(data, || models::text(&source, name));
});
