//! What all targets share: a source over the bytes, and bounds small enough that a bug shows as one.

use mantlet_formats::Bounds;
use mantlet_vocab::MemorySource;

/// The fuzzer's bytes as a source.
#[allow(dead_code)]
pub fn source(data: &[u8]) -> MemorySource {
    MemorySource::new(data)
}

/// Bounds under which nothing may take long or much memory.
#[allow(dead_code)]
pub fn bounds() -> Bounds {
    Bounds {
        max_expanded: 8 << 20,
        max_resident: 1 << 20,
        max_header: 1 << 20,
        full_content: true,
        ..Bounds::default()
    }
}
