//! Any bytes as an ONNX model: loaded or refused by name, in bounded memory.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = mantlet_model::Limits {
        max_bytes: 1 << 20,
        max_memory: 32 << 20,
        max_nodes: 1_000,
        max_millis: Some(500),
    };
    let Ok(model) = mantlet_model::load(&support::source(data), limits) else { return };
    let _ = model.signature();
    let _ = model.differentiable();
});
