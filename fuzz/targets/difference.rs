//! Any two files as two versions of a model: compared by structure, the same file is the same.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_scan::diff::diff_sources;

fuzz_target!(|data: &[u8]| {
    let Some((&[name, cut], data)) = data.split_first_chunk::<2>() else { return };
    let names =
        ["model.safetensors", "model.pkl", "config.json", "model.onnx", "model.pt", "tool.py", "model.gguf"];
    let name = names[usize::from(name) % names.len()];
    let options = mantlet_scan::Options { bounds: support::bounds(), ..mantlet_scan::Options::default() };
    let source = support::source(data);
    if cut % 8 == 7 {
        assert!(diff_sources(name, &source, &source, &options).files.is_empty(), "nothing changed");
        return;
    }
    // Either the second part of the bytes, or the first part with its end changed.
    let other = if cut & 1 == 0 {
        data[usize::from(cut).min(data.len())..].to_vec()
    } else {
        let mut other = data.to_vec();
        if let Some(byte) = other.iter_mut().rev().nth(usize::from(cut)) {
            *byte ^= cut;
        }
        other
    };
    let _ = diff_sources(name, &source, &support::source(&other), &options).text();
});
