//! Any bytes as the metadata of a store of arrays: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::store;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    for name in [".zarray", ".zmetadata", "zarr.json"] {
        support::same(data, || store::analyse(&source, name));
    }
    let bounds = support::bounds();
    support::same(data, || store::ocdbt::analyse(&source, &bounds));
    support::same(data, || store::parameters(&source));
});
