//! Any bytes through the pass that looks at each byte: secrets, addresses, programs, pickles in the raw and in text.
//! The same twice, and nothing found outside.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::sweep::{Swept, sweep};
use mantlet_formats::{metadata, pass};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let len = data.len() as u64;
    let (secrets, programs, indicators, pickles) = support::same(data, || {
        let swept = sweep(&source, u64::MAX);
        (swept.secrets, swept.programs, swept.indicators, swept.pickles)
    });
    for program in &programs {
        assert!(program.offset < len, "{program:?} lies inside");
    }
    for secret in secrets.iter().chain(&indicators) {
        assert!(secret.offset < len, "{secret:?} lies inside");
    }
    for pickle in &pickles {
        assert!(pickle.offset < len, "{pickle:?} lies inside");
    }
    let _ = mantlet_formats::secrets::find(&source, len / 2);
    let mut only = Swept::for_pickles();
    let mut bytes = 0;
    let _ = pass::pass(&source, len, |step| {
        bytes += step.new_bytes().len() as u64;
        only.see(step);
    });
    assert_eq!(bytes, len, "each byte is new once");
    let _ = (metadata::program(data), metadata::hidden(data));
});
