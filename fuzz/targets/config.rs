//! Any bytes as JSON and as YAML: facts, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    assert_eq!(mantlet_formats::config::json(&source), mantlet_formats::config::json(&source));
    let text = String::from_utf8_lossy(data);
    assert_eq!(mantlet_formats::config::yaml(&text), mantlet_formats::config::yaml(&text));
    let _ = mantlet_formats::card::analyse(&text);
});
