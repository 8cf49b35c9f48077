//! Any text as Python source: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use mantlet_formats::python::{Role, analyse};
    let text = String::from_utf8_lossy(data);
    assert_eq!(analyse(&text, Role::Script), analyse(&text, Role::Script));
});
