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

/// What `look` gives; for one input in eight it must give the same twice.
#[allow(dead_code)]
pub fn same<T: PartialEq + std::fmt::Debug>(data: &[u8], look: impl Fn() -> T) -> T {
    let first = look();
    if again(data) {
        assert_eq!(first, look());
    }
    first
}

/// As [`same`], for facts that are compared as they are shown.
#[allow(dead_code)]
pub fn shown<T: std::fmt::Debug>(data: &[u8], look: impl Fn() -> T) -> T {
    let first = look();
    if again(data) {
        assert_eq!(format!("{first:?}"), format!("{:?}", look()));
    }
    first
}

fn again(data: &[u8]) -> bool {
    data.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte)) % 8 == 0
}

/// One of several, chosen by the input, which stays what it is.
#[allow(dead_code)]
pub fn one_of<T: Copy, const N: usize>(data: &[u8], choices: [T; N]) -> T {
    choices[data.len() % N]
}
