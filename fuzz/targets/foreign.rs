//! Any bytes as a model of TensorFlow, TensorFlow Lite or Keras: turned into a graph or refused by name, in bounded memory.
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
    let Ok(foreign) = mantlet_model::load_foreign(&support::source(data), None, limits) else { return };
    // What is written down to be run is a model that loads.
    let limits = mantlet_model::Limits { max_bytes: 64 << 20, ..limits };
    assert!(mantlet_model::load(&foreign.file, limits).is_ok());
});
