//! Any bytes as TorchScript source, as a server's manifest and as the records of torch 0.1.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::torch;

fuzz_target!(|data: &[u8]| {
    let _ = torch::operators(data, "code.py");
    for graph in torch::graphs(&String::from_utf8_lossy(data)) {
        let _ = graph.overrides();
    }
    let mut facts = torch::Torch::default();
    torch::manifest(data, &mut facts);
    let source = support::source(data);
    for storages in [true, false] {
        let _ = support::same(data, || torch::legacy::records(&source, storages, &support::bounds()));
    }
});
