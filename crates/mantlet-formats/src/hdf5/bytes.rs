//! Little-endian numbers of the widths an HDF5 file declares, from a message in memory.

/// A position in the bytes of one structure.
#[derive(Clone)]
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    /// Bytes of an address, and of a length.
    pub(super) widths: (usize, usize),
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8], widths: (usize, usize)) -> Self {
        Self { rest: bytes, widths }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self, width: usize) -> Option<u64> {
        let taken = self.take(width)?;
        (width <= 8).then(|| taken.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// An address; `None` also when it is undefined.
    pub(super) fn address(&mut self) -> Option<u64> {
        let width = self.widths.0;
        let undefined = if width >= 8 { u64::MAX } else { (1 << (8 * width)) - 1 };
        self.number(width).filter(|&address| address != undefined)
    }

    pub(super) fn length(&mut self) -> Option<u64> {
        self.number(self.widths.1)
    }

    /// Text up to a zero byte.
    pub(super) fn text(&mut self) -> Option<String> {
        let end = memchr::memchr(0, self.rest)?;
        let text = String::from_utf8_lossy(&self.rest[..end.min(1_024)]).into_owned();
        self.take(end + 1)?;
        Some(text)
    }
}
