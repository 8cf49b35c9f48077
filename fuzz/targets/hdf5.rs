//! Any bytes as HDF5: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    let _ = support::same(data, || mantlet_formats::hdf5::analyse(&source, &support::bounds()));
    let _ = support::same(data, || mantlet_formats::hdf5::pickles(&source));
    for (tensor, bytes) in mantlet_formats::hdf5::chunked(&source, &support::bounds()) {
        assert_eq!(tensor.len, bytes.len() as u64);
    }
});
