//! Any bytes as MessagePack of Flax: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    assert_eq!(mantlet_formats::msgpack::analyse(&source), mantlet_formats::msgpack::analyse(&source));
});
