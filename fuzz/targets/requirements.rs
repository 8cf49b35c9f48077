//! Any text as a list of requirements, of pip and of conda: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use mantlet_formats::requirements::{Kind, analyse, recognise};
    let text = String::from_utf8_lossy(data);
    let kinds = [Kind::Pip, Kind::Environment, Kind::Project, Kind::Metadata, Kind::EntryPoints];
    let kind = support::one_of(data, kinds);
    support::same(data, || analyse(&text, kind));
    let _ = recognise("conda.yaml", &text);
});
