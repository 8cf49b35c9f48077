//! Any text as XML: facts, never a panic.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = mantlet_formats::xml::is_xml(&text);
    let _ = mantlet_formats::xml::analyse(&text);
});
