//! Any text as a template: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = support::same(data, || mantlet_formats::jinja::analyse(&text));
});
