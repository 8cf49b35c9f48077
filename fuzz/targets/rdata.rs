//! Any bytes as serialised R objects, as an image and as a vocabulary: facts, never a panic.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let _ = support::same(data, || mantlet_formats::rdata::analyse(&source, &support::bounds()));
    let _ = mantlet_formats::media::image_end(&source);
    let _ = mantlet_formats::media::is_sentencepiece(&source);
});
