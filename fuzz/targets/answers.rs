//! Any text as what a server or a person writes: addresses, redirects, headers, challenges. Never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    mantlet_remote::read_texts(&String::from_utf8_lossy(data));
});
