//! How much work a parser may do on foreign data, and what it judges names by.

use crate::pickle::Effects;

/// Bounds on one examination. Reaching one is reported as a gap, never as clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Containers inside containers.
    pub max_depth: u8,
    /// Members of one container.
    pub max_members: usize,
    /// Bytes that decompression may produce for one outermost artifact.
    pub max_expanded: u64,
    /// Decompressed bytes of one member that may be kept in memory; larger members are streamed.
    pub max_resident: usize,
    /// Memory that decompressors may hold as history; a stream that needs more is a gap.
    pub max_window: usize,
    /// Bytes of metadata (headers, directories, one text line) read into memory at once.
    pub max_header: usize,
    /// Facts of one kind (imports, calls, defects) kept for one artifact.
    pub max_facts: usize,
    /// Whether every byte is to be read, weights included.
    pub full_content: bool,
    /// What the callables that files name do.
    pub effects: Effects,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_depth: 8,
            max_members: 200_000,
            max_expanded: 4 << 30,
            max_resident: 4 << 20,
            max_window: 32 << 20,
            max_header: 16 << 20,
            max_facts: 512,
            full_content: false,
            effects: Effects::default(),
        }
    }
}
