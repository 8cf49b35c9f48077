//! Bytes that can be read at any offset, without saying where they come from.

use std::sync::Arc;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read at {offset:#x}: {reason}")]
pub struct SourceError {
    /// Where.
    pub offset: u64,
    /// Why, in the operating system's words.
    pub reason: String,
}

/// A random-access run of bytes. Implemented over files, archive members and network objects by engines;
/// this crate only has memory and windows of another source.
pub trait Source: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads up to `buffer.len()` bytes at `offset`; short only at the end, 0 at or past it.
    ///
    /// # Errors
    /// When the bytes exist and cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError>;
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn len(&self) -> u64 {
        (**self).len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        (**self).read_at(offset, buffer)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> u64 {
        (**self).len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        (**self).read_at(offset, buffer)
    }
}

/// Bytes in memory.
#[derive(Debug, Clone)]
pub struct MemorySource(pub Arc<[u8]>);

impl MemorySource {
    /// A source over a copy of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Source for MemorySource {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A window of another source.
#[derive(Debug, Clone)]
pub struct SubSource<S> {
    inner: S,
    start: u64,
    len: u64,
}

impl<S: Source> SubSource<S> {
    /// `len` bytes from `start`, cut at the end of `inner`.
    #[must_use]
    pub fn new(inner: S, start: u64, len: u64) -> Self {
        let start = start.min(inner.len());
        let len = len.min(inner.len() - start);
        Self { inner, start, len }
    }
}

impl<S: Source> Source for SubSource<S> {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let rest = self.len.saturating_sub(offset);
        let count = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        if count == 0 {
            return Ok(0);
        }
        self.inner.read_at(self.start.saturating_add(offset), &mut buffer[..count])
    }
}

/// Fills `buffer` from `offset` as far as the source goes; returns how many bytes were read.
///
/// # Errors
/// As [`Source::read_at`].
pub fn read_exact_at(
    source: &(impl Source + ?Sized),
    offset: u64,
    buffer: &mut [u8],
) -> Result<usize, SourceError> {
    let mut done = 0;
    while done < buffer.len() {
        match source.read_at(offset.saturating_add(done as u64), &mut buffer[done..])? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Up to `len` bytes from `offset` in a fresh buffer, never more than the source has.
///
/// # Errors
/// As [`Source::read_at`].
pub fn read_window(source: &(impl Source + ?Sized), offset: u64, len: usize) -> Result<Vec<u8>, SourceError> {
    let rest = usize::try_from(source.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut buffer = vec![0; len.min(rest)];
    let count = read_exact_at(source, offset, &mut buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_never_leave_their_bounds() {
        let memory = MemorySource::new(b"0123456789");
        let window = SubSource::new(&memory, 3, 4);
        assert_eq!(read_window(&window, 0, 100).unwrap(), b"3456");
        assert_eq!(read_window(&window, 2, 1).unwrap(), b"5");
        assert_eq!(read_window(&window, 9, 1).unwrap(), b"");
        assert_eq!(SubSource::new(&memory, 8, u64::MAX).len(), 2);
        assert_eq!(SubSource::new(&memory, u64::MAX, 1).len(), 0);
        assert_eq!(read_window(&memory, u64::MAX, 5).unwrap(), b"");
    }
}
