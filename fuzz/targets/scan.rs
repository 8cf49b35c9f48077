//! Any bytes through the content router, all formats and all rules.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((name, data)) = data.split_first() else { return };
    let names = [
        "model.pkl",
        "model.pt",
        "model.onnx",
        "model.zip",
        "model.npy",
        "model.safetensors",
        "model",
        "config.json",
        "model.yaml",
        "code.py",
        "book.ipynb",
        "README.md",
        "template.jinja",
        "MLmodel",
        "setup.py",
        "tiny-1.0-py3-none-any.whl",
        "tiny-1.0.tar.gz",
        "Dockerfile",
        "serve.sh",
        "start.pth",
        "model.mar",
        "model.nemo",
        "model.keras",
        "model.tflite",
        "model.pbtxt",
        "model.bin",
    ];
    let options = mantlet_scan::Options { bounds: support::bounds(), ..mantlet_scan::Options::default() };
    let _ =
        mantlet_scan::scan_source(names[usize::from(*name) % names.len()], &support::source(data), &options);
});
