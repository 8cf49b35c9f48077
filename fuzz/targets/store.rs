//! Any bytes as the metadata of a store of arrays: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::store;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    for name in [".zarray", ".zmetadata", "zarr.json"] {
        assert_eq!(store::analyse(&source, name), store::analyse(&source, name));
    }
    let bounds = support::bounds();
    assert_eq!(store::ocdbt::analyse(&source, &bounds), store::ocdbt::analyse(&source, &bounds));
});
