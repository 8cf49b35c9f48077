//! Any bytes as JSON and as YAML: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (source, effects) = (support::source(data), mantlet_formats::pickle::Effects::default());
    assert_eq!(
        mantlet_formats::config::json(&source, effects),
        mantlet_formats::config::json(&source, effects)
    );
    let text = String::from_utf8_lossy(data);
    assert_eq!(mantlet_formats::config::yaml(&text, effects), mantlet_formats::config::yaml(&text, effects));
    let _ = mantlet_formats::card::analyse(&text);
});
