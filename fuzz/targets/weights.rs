//! Any bytes as weights of every format that lists them: the tensors lie inside the file, their low bits are looked
//! at, and two such files are compared as a model and its base.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::{lowbits, pass, strides, torch, weights};

fuzz_target!(|data: &[u8]| {
    let Some((cut, data)) = data.split_first() else { return };
    let (source, bounds) = (support::source(data), support::bounds());
    let _ = torch::tensors(&source, &bounds);
    if let Some(listing) = weights::list(&source, &bounds) {
        for tensor in &listing.tensors {
            let end = tensor.start.checked_add(tensor.len);
            assert!(end.is_some_and(|end| end <= data.len() as u64), "{tensor:?} lies inside");
        }
        let _ = strides::strided(&source, &listing.tensors);
        let _ = weights::loud_rows(&source, &listing.tensors);
        let mut survey = lowbits::Survey::new(listing.tensors);
        let _ = pass::pass(&source, u64::MAX, |step| survey.see(step.offset(), step.new_bytes()));
        let _ = survey.found();
    }
    // The same file with some bytes changed is the likeliest to have something to compare.
    let mut other = data.to_vec();
    for byte in other.iter_mut().rev().take(usize::from(*cut)) {
        *byte = byte.wrapping_add(*cut);
    }
    let _ = mantlet_scan::against_source(("base", &source), ("model", &support::source(&other)), &bounds);
});
