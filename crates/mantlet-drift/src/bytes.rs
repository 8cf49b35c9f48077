//! Numbers and texts as bytes for another process.

/// Seven bits a byte, the lowest first; the highest bit says that more follow (LEB128).
pub fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Bytes behind their length.
pub fn put_block(bytes: &mut Vec<u8>, block: &[u8]) {
    put(bytes, block.len() as u64);
    bytes.extend_from_slice(block);
}

/// Bytes of another process, read from the front. Nothing is taken for granted: every step says nothing where the
/// bytes end or make no sense.
#[derive(Debug, Clone, Copy)]
pub struct Left<'a>(pub &'a [u8]);

impl<'a> Left<'a> {
    /// Whether all was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// A number that [`put`] wrote.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that says how many things follow; never more than there are bytes left.
    pub fn many(&mut self) -> Option<usize> {
        let many = usize::try_from(self.number()?).ok()?;
        (many <= self.0.len()).then_some(many)
    }

    /// Eight bytes as they are, the lowest first.
    pub fn eight(&mut self) -> Option<u64> {
        let (eight, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*eight))
    }

    /// Bytes that [`put_block`] wrote.
    pub fn block(&mut self) -> Option<&'a [u8]> {
        let many = self.many()?;
        let (block, rest) = self.0.split_at_checked(many)?;
        self.0 = rest;
        Some(block)
    }

    /// The same as text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.block()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_ends_early_is_nothing() {
        let mut bytes = Vec::new();
        for number in [0, 1, 127, 128, 300, u64::MAX] {
            put(&mut bytes, number);
        }
        put_block(&mut bytes, "Zürich".as_bytes());
        let mut left = Left(&bytes);
        for number in [0, 1, 127, 128, 300, u64::MAX] {
            assert_eq!(left.number(), Some(number));
        }
        assert_eq!(left.text(), Some("Zürich"));
        assert!(left.is_empty());
        assert_eq!(Left(&[0x80]).number(), None);
        // A length beyond the end is not believed, whatever room it asks for.
        assert_eq!(Left(&[0xff, 0xff, 0xff, 0xff, 0x0f]).block(), None);
        assert_eq!(Left(&[0xff; 12]).number(), None);
    }
}
