//! Any bytes as JSON and as YAML: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (source, effects) = (support::source(data), mantlet_formats::pickle::Effects::default());
    let text = String::from_utf8_lossy(data);
    let _ = mantlet_formats::regexes::is_endless(&text, data.len() % 2 == 0);
    if support::one_of(data, [true, false]) {
        support::same(data, || mantlet_formats::config::json(&source, effects));
    } else {
        support::same(data, || mantlet_formats::config::yaml(&text, effects));
    }
});
