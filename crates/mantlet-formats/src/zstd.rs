//! The frames of a Zstandard file (RFC 8878, 3.1): where those lie that decoders skip.

use mantlet_vocab::Source;

use crate::window::Window;

/// Frames and blocks that are walked.
const MAX_STEPS: u32 = 4_000_000;

/// Start and end of what skippable frames hold, as far as the frames can be walked.
#[must_use]
pub fn skipped(source: &dyn Source) -> Vec<(u64, u64)> {
    let mut walk = Walk { window: Window::new(source, 0), steps: 0, found: Vec::new() };
    while walk.frame().is_some() && walk.found.len() < 256 {}
    walk.found
}

struct Walk<'a> {
    window: Window<'a>,
    steps: u32,
    found: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn frame(&mut self) -> Option<()> {
        let magic = u32::from_le_bytes(self.window.array()?);
        match magic {
            0x184d_2a50..=0x184d_2a5f => {
                let size = u64::from(u32::from_le_bytes(self.window.array()?));
                let start = self.window.offset();
                if magic == 0x184d_2a5e && self.seek_table(start, size) {
                    return Some(());
                }
                self.window.seek(start);
                self.window.skip(size).then(|| self.found.push((start, start + size)))
            }
            0xfd2f_b528 => self.compressed(),
            _ => None,
        }
    }

    /// Whether the frame is a table of where frames begin, which readers that leap use: entries of 8 bytes, or 12 with
    /// checksums, how many, and a mark.
    fn seek_table(&mut self, start: u64, size: u64) -> bool {
        let Some(before) = size.checked_sub(9) else { return false };
        self.window.seek(start + before);
        let Some([a, b, c, d, flags]) = self.window.array() else { return false };
        let Some(mark) = self.window.array() else { return false };
        let entry = if flags & 0x80 == 0 { 8 } else { 12 };
        u32::from_le_bytes(mark) == 0x8f92_eab1
            && u64::from(u32::from_le_bytes([a, b, c, d])) * entry == before
            && flags & 0x7c == 0
    }

    fn compressed(&mut self) -> Option<()> {
        let descriptor = self.window.byte()?;
        let single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content = match descriptor >> 6 {
            0 => u64::from(single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        self.window.skip(u64::from(!single) + dictionary + content).then_some(())?;
        loop {
            self.steps += 1;
            let [a, b, c] = self.window.array()?;
            let header = u32::from_le_bytes([a, b, c, 0]);
            let size = match header >> 1 & 3 {
                1 => 1,
                3 => return None,
                _ => u64::from(header >> 3),
            };
            if self.steps > MAX_STEPS || !self.window.skip(size) {
                return None;
            }
            if header & 1 == 1 {
                break;
            }
        }
        let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
        self.window.skip(checksum).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::skipped;
    use mantlet_vocab::MemorySource;

    #[test]
    fn skippable_frames_are_found_before_and_after_others() {
        let skip =
            |data: &[u8]| [&b"\x53\x2a\x4d\x18"[..], &(data.len() as u32).to_le_bytes(), data].concat();
        // One raw block of three bytes, the last, in a frame of a single segment.
        let frame = b"\x28\xb5\x2f\xfd\x20\x03\x19\0\0abc";
        let bytes = [&skip(b"one")[..], frame, &skip(b"three")].concat();
        assert_eq!(skipped(&MemorySource::new(&bytes)), [(8, 11), (31, 36)]);
        assert_eq!(skipped(&MemorySource::new(frame)), []);
        let table =
            [&[12, 0, 0, 0, 3, 0, 0, 0][..], &[1, 0, 0, 0, 0], &0x8f92_eab1_u32.to_le_bytes()].concat();
        let seekable = |table: &[u8]| {
            let head = [&b"\x5e\x2a\x4d\x18"[..], &(table.len() as u32).to_le_bytes(), table].concat();
            skipped(&MemorySource::new(&[frame, &head[..]].concat())).len()
        };
        assert_eq!((seekable(&table), seekable(&table[4..])), (0, 1));
        assert_eq!(skipped(&MemorySource::new(b"\x53\x2a\x4d\x18\xff\xff\xff\xffabc")), []);
    }
}
