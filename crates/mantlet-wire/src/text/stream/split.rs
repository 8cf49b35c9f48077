//! Bytes of an event stream cut into events, however they arrive. Blank lines that end nothing belong to the event
//! behind them, so that a stream of nothing else is no flood of events.

use memchr::memchr2;

use crate::Defect;

/// Collects bytes until a blank line ends an event.
///
/// Lines end with `\n`, `\r\n` or `\r` (the WHATWG's server-sent events, section 9.2.5). A `\r` that is the last byte
/// so far may be half of `\r\n`, so it waits for the next byte: the cut between two chunks never changes an event.
#[derive(Debug)]
pub(super) struct Splitter {
    buffer: Vec<u8>,
    /// Where the line that is being read starts.
    line: usize,
    /// No line ends before here.
    scanned: usize,
    /// Whether the event has a line yet. Blank lines before its first belong to it.
    begun: bool,
    limit: usize,
}

impl Splitter {
    pub(super) const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), line: 0, scanned: 0, begun: false, limit }
    }

    /// Takes bytes and hands over each event they complete, its blank line included.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut event: impl FnMut(&[u8]) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(end) = self.next_blank() {
            event(&self.buffer[start..end])?;
            start = end;
        }
        self.buffer.drain(..start);
        self.line -= start;
        self.scanned -= start;
        if self.buffer.len() > self.limit {
            return Err(Defect::TooLarge { found: self.buffer.len(), limit: self.limit });
        }
        Ok(())
    }

    /// The bytes no blank line ended.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        (self.line, self.scanned, self.begun) = (0, 0, false);
        std::mem::take(&mut self.buffer)
    }

    /// The end of the next blank line.
    fn next_blank(&mut self) -> Option<usize> {
        loop {
            let Some(found) = self.buffer.get(self.scanned..).and_then(|rest| memchr2(b'\n', b'\r', rest))
            else {
                self.scanned = self.buffer.len();
                return None;
            };
            let at = self.scanned + found;
            let end = match (self.buffer[at], self.buffer.get(at + 1)) {
                (b'\r', None) => {
                    self.scanned = at;
                    return None;
                }
                (b'\r', Some(b'\n')) => at + 2,
                _ => at + 1,
            };
            let blank = at == self.line;
            self.line = end;
            self.scanned = end;
            if blank && self.begun {
                self.begun = false;
                return Some(end);
            }
            self.begun |= !blank;
        }
    }
}

/// The lines of an event, each with the range of its text without its end.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        let (length, end) = match memchr2(b'\n', b'\r', rest.as_bytes()) {
            None => (rest.len(), 0),
            Some(found) => (found, if rest[found..].starts_with("\r\n") { 2 } else { 1 }),
        };
        at += length + end;
        Some((start, &rest[..length]))
    })
}
