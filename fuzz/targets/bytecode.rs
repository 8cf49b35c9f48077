//! Any bytes as compiled Python: calls and limits, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::python::{Role, bytecode};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let role = [Role::Module, Role::Install, Role::Startup][data.len() % 3];
    assert_eq!(bytecode::analyse(&source, role), bytecode::analyse(&source, role));
});
