//! Any bytes as pickle: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    support::shown(data, || mantlet_formats::pickle::analyse(&source, &support::bounds()));
});
