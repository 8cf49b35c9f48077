//! Any bytes as what lies beside models: tables, archives of libraries, Java objects, images, Zstandard frames, and
//! what no format claims. Facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::route::Format;
use mantlet_formats::{ar, java, media, tabular, unclaimed, zstd};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    for format in [Format::Parquet, Format::Arrow] {
        support::same(data, || tabular::analyse(&source, format));
    }
    support::same(data, || java::analyse(&source));
    support::same(data, || zstd::skipped(&source));
    let len = data.len() as u64;
    for member in ar::members(&source, 1_000).0 {
        assert!(member.data + member.size <= len, "a member of `ar` lies inside");
    }
    if let Some(end) = media::image_end(&source) {
        assert!(end <= len, "an image ends inside");
    }
    for offset in [0, len / 2, len] {
        let _ = unclaimed::analyse(&source, offset, &support::bounds());
    }
});
