//! Decompression as a [`Source`]: small results in memory, large ones decompressed again as they are read.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use flate2::Crc;
use mantlet_vocab::{Source, SourceError};

use crate::Bounds;
pub(crate) use crate::decompress::SourceReader;
pub use crate::decompress::Wrapper;
use crate::decompress::{Decoder, TooMuchHistory};

/// The decompressed bytes of a source.
pub struct Inflated<'a> {
    inner: &'a dyn Source,
    wrapper: Wrapper,
    len: u64,
    /// CRC-32 of the decompressed bytes.
    pub crc: u32,
    /// Why decompression ended before its proper end.
    pub damage: Option<String>,
    /// The bound on decompressed bytes was reached.
    pub cut: bool,
    /// Why it could not be decompressed further within the bounds on memory.
    pub refused: Option<String>,
    /// Compressed bytes that were used, where bytes may follow the end.
    pub consumed: Option<u64>,
    max_window: usize,
    resident: Option<Vec<u8>>,
    stream: Mutex<Stream<'a>>,
}

struct Stream<'a> {
    /// Made when first needed, so that only one decoder holds memory at a time.
    reader: Option<Decoder<'a>>,
    start: u64,
    window: Vec<u8>,
    repeated: u64,
}

const WINDOW: usize = 128 << 10;

impl<'a> Inflated<'a> {
    /// Decompresses once to learn the length, at most `budget` bytes.
    #[must_use]
    pub fn open(inner: &'a dyn Source, wrapper: Wrapper, bounds: &Bounds, budget: u64) -> Self {
        let mut reader = Decoder::new(inner, wrapper, bounds.max_window);
        let mut scratch = vec![0; 64 << 10];
        let mut resident = Some(Vec::new());
        let (mut crc, mut len) = (Crc::new(), 0_u64);
        let (mut damage, mut cut, mut refused) = (None, false, None);
        loop {
            match reader.read(&mut scratch) {
                Ok(0) => break,
                Ok(count) => {
                    crc.update(&scratch[..count]);
                    len += count as u64;
                    if let Some(bytes) = &mut resident {
                        if bytes.len() + count <= bounds.max_resident {
                            bytes.extend_from_slice(&scratch[..count]);
                        } else {
                            resident = None;
                        }
                    }
                    if len > budget {
                        cut = true;
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let history = error.get_ref().is_some_and(|inner| inner.is::<TooMuchHistory>());
                    *(if history { &mut refused } else { &mut damage }) = Some(error.to_string());
                    break;
                }
            }
        }
        let consumed = reader.consumed();
        let stream = Mutex::new(Stream { reader: None, start: 0, window: Vec::new(), repeated: 0 });
        let (crc, max_window) = (crc.sum(), bounds.max_window);
        Self { inner, wrapper, len, crc, damage, cut, refused, consumed, max_window, resident, stream }
    }

    /// Memory this may hold as history while it is read.
    #[must_use]
    pub fn window(&self) -> usize {
        if self.resident.is_some() {
            return 0;
        }
        match self.wrapper {
            Wrapper::Raw | Wrapper::Zlib | Wrapper::Gzip | Wrapper::BcjX86 | Wrapper::Delta(_) => 64 << 10,
            Wrapper::Bzip2 => 4 << 20,
            Wrapper::Lz4 => 8 << 20,
            _ => usize::try_from(self.len).unwrap_or(usize::MAX).min(self.max_window),
        }
    }
}

impl Source for Inflated<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let fault = |reason: &str| SourceError { offset, reason: reason.to_owned() };
        let want = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        if let Some(bytes) = &self.resident {
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = bytes.get(at..).unwrap_or(&[]);
            let count = rest.len().min(want);
            buffer[..count].copy_from_slice(&rest[..count]);
            return Ok(count);
        }
        if want == 0 {
            return Ok(0);
        }
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if offset < stream.start {
            // Going back means decompressing again; a file that forces this often is not followed.
            stream.repeated = stream.repeated.saturating_add(stream.start);
            if stream.repeated > self.len.saturating_mul(8).saturating_add(256 << 20) {
                return Err(fault("compressed data would have to be decompressed too often"));
            }
            stream.reader = None;
            stream.start = 0;
            stream.window.clear();
        }
        while offset >= stream.start + stream.window.len() as u64 {
            let keep = stream.window.len().min(WINDOW / 2);
            let drop = stream.window.len() - keep;
            stream.window.drain(..drop);
            stream.start += drop as u64;
            let from = stream.window.len();
            stream.window.resize(WINDOW, 0);
            let Stream { reader, window, .. } = &mut *stream;
            let reader =
                reader.get_or_insert_with(|| Decoder::new(self.inner, self.wrapper, self.max_window));
            let count = reader.read(&mut window[from..]).unwrap_or(0);
            window.truncate(from + count);
            if count == 0 {
                return Err(fault("compressed data ends early"));
            }
        }
        let at = (offset - stream.start) as usize;
        let rest = &stream.window[at..];
        let count = rest.len().min(want);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::{MemorySource, read_window};
    use std::io::Write as _;

    #[test]
    fn large_streams_read_at_any_offset_in_little_memory() {
        let plain: Vec<u8> = (0..3_000_000_u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let source = MemorySource::new(&encoder.finish().unwrap());
        let inflated = Inflated::open(&source, Wrapper::Gzip, &Bounds::default(), 1 << 30);
        assert_eq!(inflated.len(), plain.len() as u64);
        assert!(inflated.resident.is_none() && inflated.damage.is_none());
        for at in [0, 11_000_000, 5, 6_000_000, 200_000, plain.len() - 3] {
            let window = read_window(&inflated, at as u64, 100).unwrap();
            assert_eq!(window, &plain[at..(at + 100).min(plain.len())]);
        }
        assert!(Inflated::open(&source, Wrapper::Gzip, &Bounds::default(), 1_000).cut);
    }

    #[test]
    fn damage_is_said_and_the_rest_is_kept() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&[7; 100_000]).unwrap();
        let mut bytes = encoder.finish().unwrap();
        bytes.truncate(bytes.len() - 8);
        let source = MemorySource::new(&bytes);
        let inflated = Inflated::open(&source, Wrapper::Zlib, &Bounds::default(), 1 << 30);
        assert!(inflated.damage.is_some() || inflated.len() < 100_000);
    }
}
