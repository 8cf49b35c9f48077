//! One pass over the bytes of a source, in steps small enough to stay in the cache, for all who look at each byte.

use mantlet_vocab::{Source, SourceError, read_exact_at};

/// New bytes of one step.
const STEP: usize = 256 << 10;
/// Bytes that were new before and are shown again.
const BACK: usize = 4 << 10;
/// Bytes that will be new in the next step and are shown already.
const AHEAD: usize = 8 << 10;

/// One step of a pass: the new bytes, with what lies around them.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    bytes: &'a [u8],
    from: usize,
    to: usize,
    at: u64,
}

impl<'a> Step<'a> {
    /// The new bytes: each byte of the source is new in exactly one step.
    #[must_use]
    pub fn new_bytes(&self) -> &'a [u8] {
        &self.bytes[self.from..self.to]
    }

    /// Offset in the source of the first new byte.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.at
    }

    /// The new bytes with up to 4 KiB before and 8 KiB after them, and where among these they are.
    pub(crate) fn around(&self) -> (&'a [u8], std::ops::Range<usize>) {
        (self.bytes, self.from..self.to)
    }
}

/// Shows the first `limit` bytes of a source to `each`, in order; returns how many there were.
///
/// # Errors
/// As [`Source::read_at`].
pub fn pass(source: &dyn Source, limit: u64, mut each: impl FnMut(Step<'_>)) -> Result<u64, SourceError> {
    let limit = limit.min(source.len());
    let room = usize::try_from(source.len()).unwrap_or(usize::MAX).min(STEP + AHEAD);
    let mut buffer = vec![0; BACK + room];
    // `held` bytes of the buffer are read; those before `from` were new in an earlier step.
    let (mut at, mut from, mut held) = (0_u64, 0_usize, 0_usize);
    while at < limit {
        let end = (from + room).min(buffer.len());
        held += read_exact_at(source, at + (held - from) as u64, &mut buffer[held..end])?;
        let to =
            held.min(from + STEP).min(from.saturating_add(usize::try_from(limit - at).unwrap_or(usize::MAX)));
        if to == from {
            break;
        }
        each(Step { bytes: &buffer[..held], from, to, at });
        at += (to - from) as u64;
        let keep = to.saturating_sub(BACK);
        buffer.copy_within(keep..held, 0);
        (from, held) = (to - keep, held - keep);
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn every_byte_is_new_once_and_its_neighbours_are_there() {
        for (len, limit) in
            [(0, u64::MAX), (1, 9), (STEP, u64::MAX), (3 * STEP + 77, u64::MAX), (2 * STEP, 300_000)]
        {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut seen = Vec::new();
            let count = pass(&MemorySource::new(&bytes), limit, |step| {
                assert_eq!(step.offset(), seen.len() as u64);
                seen.extend_from_slice(step.new_bytes());
                let (around, new) = step.around();
                let at = step.offset() as usize;
                assert_eq!(new.start, at.min(BACK));
                assert!(around.len() - new.end >= (len - at - new.len()).min(AHEAD), "{len} {at}");
                assert_eq!(around, &bytes[at - new.start..at - new.start + around.len()]);
            });
            let whole = len.min(usize::try_from(limit).unwrap_or(usize::MAX));
            assert_eq!(count.unwrap(), whole as u64);
            assert_eq!(seen, bytes[..whole]);
        }
    }
}
