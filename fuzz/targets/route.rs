//! Any bytes under any name: every recogniser is asked, none panics, the answer is the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::{models, route};

fuzz_target!(|data: &[u8]| {
    let Some((length, data)) = data.split_first() else { return };
    let (name, data) = data.split_at(usize::from(*length % 24).min(data.len()));
    let (name, source) = (String::from_utf8_lossy(name), support::source(data));
    let bounds = support::bounds();
    let first = support::same(data, || route::recognise(&source, &name, &bounds));
    let _ = first.lies();
    for format in first.formats {
        let _ = models::analyse(format, &source, &bounds);
    }
});
