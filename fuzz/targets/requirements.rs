//! Any text as a list of requirements, of pip and of conda: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use mantlet_formats::requirements::{Kind, analyse, recognise};
    let text = String::from_utf8_lossy(data);
    for kind in [Kind::Pip, Kind::Environment, Kind::Project, Kind::Metadata, Kind::EntryPoints] {
        assert_eq!(analyse(&text, kind), analyse(&text, kind));
    }
    let _ = recognise("conda.yaml", &text);
});
