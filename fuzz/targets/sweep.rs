//! Any bytes through the pass that looks at each byte: secrets, addresses, programs, pickles in the raw and in text.
//! The same twice, and nothing found outside.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::sweep::{Swept, sweep};
use mantlet_formats::{metadata, pass, secrets};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let len = data.len() as u64;
    let swept = sweep(&source, u64::MAX);
    for secret in swept.secrets.iter().chain(&swept.indicators) {
        assert!(secret.offset < len, "{secret:?} lies inside");
    }
    for pickle in &swept.pickles {
        assert!(pickle.offset < len, "{pickle:?} lies inside");
    }
    let again = sweep(&source, u64::MAX);
    assert_eq!((&swept.secrets, &swept.programs), (&again.secrets, &again.programs));
    assert_eq!((&swept.indicators, &swept.pickles), (&again.indicators, &again.pickles));
    let _ = secrets::find(&source, len / 2);
    let mut pickles = Swept::for_pickles();
    let mut bytes = 0;
    let _ = pass::pass(&source, len, |step| {
        bytes += step.new_bytes().len() as u64;
        pickles.see(step);
    });
    assert_eq!(bytes, len, "each byte is new once");
    let _ = (metadata::program(data), metadata::hidden(data));
});
