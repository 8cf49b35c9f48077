//! A region too large for memory, shown to the engine window by window.

use std::sync::{Mutex, PoisonError};

use boreal::memory::{FragmentedMemory, MemoryParams, Region, RegionDescription};
use mantlet_vocab::{Source, read_exact_at};

/// Bytes in memory at once.
pub(crate) const WINDOW: usize = 4 << 20;
/// Bytes that two windows share while strings are looked for, so that a shorter string is never cut in two.
const OVERLAP: usize = 64 << 10;

pub(crate) struct Windows<'a> {
    source: &'a dyn Source,
    unread: &'a Mutex<Option<String>>,
    buffer: Vec<u8>,
    /// Start and length of what the buffer holds.
    held: Option<(u64, usize)>,
    next: u64,
    now: Option<(u64, usize)>,
    /// The first pass looks for strings; later ones answer conditions, which want windows that do not overlap.
    first: bool,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(source: &'a dyn Source, unread: &'a Mutex<Option<String>>) -> Self {
        Self { source, unread, buffer: Vec::new(), held: None, next: 0, now: None, first: true }
    }

    fn failed(&self, why: String) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.get_or_insert(why);
    }
}

impl std::fmt::Debug for Windows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows").field("next", &self.next).finish_non_exhaustive()
    }
}

impl FragmentedMemory for Windows<'_> {
    fn next(&mut self, _: &MemoryParams) -> Option<RegionDescription> {
        let rest = self.source.len().checked_sub(self.next).filter(|&rest| rest > 0)?;
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(WINDOW);
        let start = self.next;
        self.now = Some((start, length));
        let last = length as u64 == rest;
        let step = if self.first && !last { length - OVERLAP } else { length };
        self.next = start.saturating_add(step as u64);
        Some(RegionDescription { start: usize::try_from(start).ok()?, length })
    }

    fn fetch(&mut self, _: &MemoryParams) -> Option<Region<'_>> {
        let (start, length) = self.now?;
        if self.held != Some((start, length)) {
            self.held = None;
            self.buffer.resize(length, 0);
            match read_exact_at(self.source, start, &mut self.buffer) {
                Ok(count) if count == length => self.held = Some((start, length)),
                Ok(count) => {
                    self.failed(format!("it ends at {:#x}, before its own end", start + count as u64));
                    return None;
                }
                Err(error) => {
                    self.failed(error.to_string());
                    return None;
                }
            }
        }
        Some(Region { start: usize::try_from(start).ok()?, mem: &self.buffer })
    }

    fn reset(&mut self) {
        self.first = false;
        self.next = 0;
        self.now = None;
    }
}
