//! Any bytes as compiled Python: calls and limits, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::python::{Role, bytecode};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let role = support::one_of(data, [Role::Module, Role::Install, Role::Startup]);
    support::same(data, || bytecode::analyse(&source, role));
});
