//! Any bytes as compiled Python: calls and limits, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::python::{Role, bytecode};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    assert_eq!(bytecode::analyse(&source, Role::Module), bytecode::analyse(&source, Role::Module));
});
