//! Any text as Python source in each role: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use mantlet_formats::python::{Role, analyse};
    let text = String::from_utf8_lossy(data);
    let roles = [Role::Script, Role::Module, Role::Install, Role::Startup, Role::Notebook];
    // By the length, so that any program is an input as it stands.
    let role = support::one_of(data, roles);
    support::same(data, || analyse(&text, role));
});
