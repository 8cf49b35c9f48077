//! What a process may take of its machine.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// What a process may take of its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Tasks at once.
    pub cores: NonZeroUsize,
    /// Bytes that operators may hold in memory, over all tasks; what they need beyond is spilled or refused. Decoded
    /// pages of Parquet come on top, a few megabytes a task.
    pub memory: usize,
    /// Bytes that may be spilled to the scratch folder.
    pub spill: u64,
    /// Where spilled and exchanged data lie while a query runs.
    pub scratch: PathBuf,
}

impl Bounds {
    /// 256 MiB of memory and 4 GiB of disk in this folder, on all cores.
    #[must_use]
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { cores, memory: 256 << 20, spill: 4 << 30, scratch: scratch.into() }
    }
}
