//! A fixed window over a [`Source`], read forwards, so that any size is parsed in constant memory.

use mantlet_vocab::{Source, SourceError, read_exact_at};

const CAPACITY: usize = 64 << 10;
/// Bytes of one line that are searched for its end.
const MAX_LINE: u64 = 64 << 20;

/// Fields of protocol buffers read in one window: the largest language models have a million.
pub(crate) const MAX_FIELDS: u64 = 32 << 20;

/// Forward reader with a fixed window. Read errors look like the end of the bytes and are kept in `failed`.
pub(crate) struct Window<'a> {
    source: &'a dyn Source,
    buffer: Vec<u8>,
    start: u64,
    position: usize,
    len: u64,
    /// A line was given up because it was longer than [`MAX_LINE`].
    pub(crate) overlong: bool,
    /// The first read error.
    pub(crate) failed: Option<SourceError>,
    /// Fields of protocol buffers that may still be read.
    pub(crate) fields: u64,
}

/// A line without its newline, cut at a bound.
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cut: bool,
}

impl<'a> Window<'a> {
    pub(crate) fn new(source: &'a dyn Source, offset: u64) -> Self {
        let len = source.len();
        Self {
            source,
            buffer: Vec::new(),
            start: offset.min(len),
            position: 0,
            len,
            overlong: false,
            failed: None,
            fields: MAX_FIELDS,
        }
    }

    /// Offset of the next byte.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.start + self.position as u64
    }

    /// Bytes between here and the end.
    #[inline]
    pub(crate) fn rest(&self) -> u64 {
        self.len - self.offset()
    }

    pub(crate) fn seek(&mut self, offset: u64) {
        let offset = offset.min(self.len);
        let inside = offset.checked_sub(self.start).filter(|&at| at <= self.buffer.len() as u64);
        if let Some(at) = inside {
            self.position = at as usize;
        } else {
            self.buffer.clear();
            self.start = offset;
            self.position = 0;
        }
    }

    #[cold]
    fn fill(&mut self) {
        self.start = self.offset();
        self.position = 0;
        let want = usize::try_from(self.len - self.start).unwrap_or(CAPACITY).min(CAPACITY);
        self.buffer.resize(want, 0);
        match read_exact_at(self.source, self.start, &mut self.buffer) {
            Ok(count) => self.buffer.truncate(count),
            Err(error) => {
                self.buffer.clear();
                self.len = self.start;
                self.failed.get_or_insert(error);
            }
        }
        if self.buffer.len() < want {
            self.len = self.start + self.buffer.len() as u64;
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        if self.position >= self.buffer.len() {
            self.fill();
        }
        let byte = *self.buffer.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    /// The next `count` bytes, at most the capacity of the window.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&[u8]> {
        if self.buffer.len() - self.position < count {
            if count > CAPACITY {
                return None;
            }
            self.fill();
        }
        let from = self.position;
        let bytes = self.buffer.get(from..from + count)?;
        self.position += count;
        Some(bytes)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Steps over `count` bytes without reading them; false when there are fewer.
    #[inline]
    pub(crate) fn skip(&mut self, count: u64) -> bool {
        if count <= (self.buffer.len() - self.position) as u64 {
            self.position += count as usize;
            return true;
        }
        if count > self.rest() {
            return false;
        }
        self.seek(self.offset() + count);
        true
    }

    /// Up to and over the next newline, keeping at most `max` bytes; `None` when no newline comes.
    pub(crate) fn line(&mut self, max: usize) -> Option<Line> {
        let mut line = Line { bytes: Vec::new(), cut: false };
        let start = self.offset();
        loop {
            if self.offset() - start > MAX_LINE {
                self.overlong = true;
                return None;
            }
            if self.position >= self.buffer.len() {
                self.fill();
            }
            let rest = self.buffer.get(self.position..).filter(|rest| !rest.is_empty())?;
            let (run, ended) = match memchr::memchr(b'\n', rest) {
                Some(at) => (at, true),
                None => (rest.len(), false),
            };
            let keep = run.min(max - line.bytes.len());
            line.bytes.extend_from_slice(&rest[..keep]);
            line.cut |= keep < run;
            self.position += run + usize::from(ended);
            if ended {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn reads_across_the_edges_of_the_window() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let source = MemorySource::new(&bytes);
        let mut window = Window::new(&source, 0);
        assert!(window.skip(CAPACITY as u64 - 2));
        let at = CAPACITY - 2;
        assert_eq!(window.take(5).unwrap(), &bytes[at..at + 5]);
        assert_eq!(window.offset(), at as u64 + 5);
        assert!(!window.skip(1 << 40));
        assert!(window.skip(window.rest()));
        assert_eq!(window.byte(), None);
        window.seek(3);
        assert_eq!(window.byte(), Some(3));
        assert!(window.take(CAPACITY + 1).is_none());
    }

    #[test]
    fn lines_are_cut_and_need_their_newline() {
        let source = MemorySource::new(b"abcdef\nxy");
        let mut window = Window::new(&source, 0);
        let line = window.line(3).unwrap();
        assert_eq!((line.bytes.as_slice(), line.cut), (&b"abc"[..], true));
        assert!(window.line(10).is_none());
    }
}
