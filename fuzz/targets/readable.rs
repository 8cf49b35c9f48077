//! Any text as a model that is text: graphs of TensorFlow and ONNX in text and JSON, programs of torch.export, boosted trees, ncnn, the metadata of stores. The same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::{models, protoform, secrets, torch};

fuzz_target!(|data: &[u8]| {
    let (source, text) = (support::source(data), String::from_utf8_lossy(data));
    support::same(data, || protoform::from_text(&text));
    support::same(data, || protoform::from_json(&source));
    support::same(data, || torch::exported(&source));
    support::same(data, || secrets::named(&text));
    support::same(data, || secrets::named_in_pickle(data));
    let names = ["model.txt", ".zarray", "zarr.json", "model.param", "weights.json", "model.toml"];
    let name = support::one_of(data, names);
    support::same(data, || models::text(&source, name));
});
