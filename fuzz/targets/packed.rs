//! Any bytes as a compressed stream (the first byte says of which kind) and as 7z, within small bounds.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use mantlet_formats::inflate::{Inflated, Wrapper};
    use mantlet_formats::sevenz;
    use mantlet_vocab::{Source as _, read_window};
    let Some((kind, data)) = data.split_first() else { return };
    let source = support::source(data);
    let mut bounds = support::bounds();
    bounds.max_window = 1 << 20;
    let wrappers = [
        Wrapper::Raw,
        Wrapper::Zlib,
        Wrapper::Gzip,
        Wrapper::Bzip2,
        Wrapper::Xz,
        Wrapper::Lzma,
        Wrapper::Lz4,
        Wrapper::Zstd,
        Wrapper::RawLzma2(1 << 16),
        Wrapper::BcjX86,
        Wrapper::Delta(*kind),
    ];
    if let Some(wrapper) = wrappers.get(usize::from(*kind) % (wrappers.len() + 1)) {
        let inflated = Inflated::open(&source, *wrapper, &bounds, bounds.max_expanded);
        let _ = read_window(&inflated, inflated.len() / 2, 100);
        return;
    }
    let facts = sevenz::analyse(&source, &bounds);
    for folder in facts.folders.iter().filter(|folder| folder.closed.is_none()).take(4) {
        sevenz::open(&source, folder, &bounds, bounds.max_expanded, |bytes, _| {
            let _ = read_window(bytes, 0, 100);
        });
    }
    let _ = mantlet_formats::sweep::sweep(&source, u64::MAX);
});
