//! Any bytes as tar: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    support::shown(data, || mantlet_formats::tar::analyse(&source, &support::bounds()));
    for entry in mantlet_formats::tar::analyse(&source, &support::bounds()).entries {
        if let Some(holes) = &entry.sparse {
            let whole = mantlet_formats::tar::Sparse::new(&source, holes);
            let _ = mantlet_vocab::read_window(&whole, holes.len / 2, 4_096);
        }
    }
});
