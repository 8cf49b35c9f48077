//! Any bytes as JSON and as YAML, event by event: what opens is closed, as far as the text goes.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::tree::{Event, json, yaml};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for reader in 0..2 {
        let mut depth = 0_i64;
        let mut visit = |event: Event<'_>, _: u64| match event {
            Event::Open { .. } => depth += 1,
            Event::Close => {
                depth -= 1;
                assert!(depth >= 0, "more is closed than was opened");
            }
            _ => {}
        };
        let _ = if reader == 0 { json(&support::source(data), &mut visit) } else { yaml(&text, &mut visit) };
    }
});
