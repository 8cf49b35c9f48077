//! Compressed streams as readers of bounded memory, one decoder a wrapper.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use mantlet_vocab::Source;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// The wrapper around a compressed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapper {
    /// Deflate without a wrapper, as in zip.
    Raw,
    /// RFC 1950.
    Zlib,
    /// RFC 1952, several members allowed.
    Gzip,
    /// bzip2, several streams allowed.
    Bzip2,
    /// xz, several streams allowed.
    Xz,
    /// The older `.lzma` with a 13-byte header.
    Lzma,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
    /// LZMA without a header, as in 7z: its five property bytes and the length it unpacks to.
    RawLzma([u8; 5], u64),
    /// LZMA2 without a container, as in 7z: the dictionary's size.
    RawLzma2(u32),
    /// Jumps of x86 programs made relative again, a step after decompression.
    BcjX86,
    /// Differences added up again, a step after decompression: the distance less one.
    Delta(u8),
}

/// More history is needed than the bounds allow; not damage.
#[derive(Debug, thiserror::Error)]
#[error("it needs {0} bytes of history to unpack")]
pub(crate) struct TooMuchHistory(pub(crate) u64);

impl TooMuchHistory {
    fn error(bytes: u64) -> io::Error {
        io::Error::new(io::ErrorKind::OutOfMemory, Self(bytes))
    }
}

/// Sequential reading of a source.
pub(crate) struct SourceReader<'a> {
    source: &'a dyn Source,
    position: u64,
}

impl<'a> SourceReader<'a> {
    pub(crate) fn new(source: &'a dyn Source, position: u64) -> Self {
        Self { source, position }
    }
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count =
            self.source.read_at(self.position, buffer).map_err(|error| io::Error::other(error.reason))?;
        self.position += count as u64;
        Ok(count)
    }
}

type Input<'a> = BufReader<SourceReader<'a>>;

/// A decoder at work.
pub(crate) enum Decoder<'a> {
    Raw(DeflateDecoder<SourceReader<'a>>),
    Zlib(ZlibDecoder<SourceReader<'a>>),
    Gzip(MultiGzDecoder<SourceReader<'a>>),
    Bzip2(bzip2::bufread::MultiBzDecoder<Input<'a>>),
    Xz(Box<Capped<lzma_rust2::XzReader<Input<'a>>>>),
    Lzma(Box<Capped<lzma_rust2::LzmaReader<Input<'a>>>>),
    Lzma2(Box<Capped<lzma_rust2::Lzma2Reader<Input<'a>>>>),
    Lz4(Lz4<'a>),
    Zstd(Box<Zstd<'a>>),
    Bcj(Box<lzma_rust2::filter::bcj::BcjReader<Input<'a>>>),
    Delta(Box<lzma_rust2::filter::delta::DeltaReader<Input<'a>>>),
    /// The header alone was refused.
    Failed(Option<io::Error>),
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(source: &'a dyn Source, wrapper: Wrapper, max_window: usize) -> Self {
        let reader = SourceReader::new(source, 0);
        let input = |reader| BufReader::with_capacity(16 << 10, reader);
        let window = max_window as u64;
        // A decoder's buffer doubles when it is full: output stops just short of that.
        let short = window.saturating_sub(128 << 10);
        let made = match wrapper {
            Wrapper::Raw => Ok(Self::Raw(DeflateDecoder::new(reader))),
            Wrapper::Zlib => Ok(Self::Zlib(ZlibDecoder::new(reader))),
            Wrapper::Gzip => Ok(Self::Gzip(MultiGzDecoder::new(reader))),
            Wrapper::Bzip2 => Ok(Self::Bzip2(bzip2::bufread::MultiBzDecoder::new(input(reader)))),
            Wrapper::Xz => {
                // Within the limit of declared history anything goes; beyond it only as much output as the
                // history that may be kept, since memory follows output.
                let limit = u32::try_from(max_window / 1_024).unwrap_or(u32::MAX).saturating_add(1_024);
                let mut probe = lzma_rust2::XzReader::new_mem_limit(input(reader), true, limit);
                let refused =
                    probe.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::OutOfMemory);
                let inner = lzma_rust2::XzReader::new(input(SourceReader::new(source, 0)), true);
                if refused {
                    Ok(Self::Xz(Box::new(Capped { inner, left: short, cap: window })))
                } else {
                    drop(inner);
                    let inner =
                        lzma_rust2::XzReader::new_mem_limit(input(SourceReader::new(source, 0)), true, limit);
                    Ok(Self::Xz(Box::new(Capped { inner, left: u64::MAX, cap: window })))
                }
            }
            Wrapper::Lzma => lzma_alone(input(reader), window),
            Wrapper::RawLzma([props, dictionary @ ..], size) => {
                raw_lzma(input(reader), size, props, u32::from_le_bytes(dictionary), window)
            }
            Wrapper::RawLzma2(dictionary) => {
                let left =
                    if u64::from(dictionary) <= window { u64::MAX } else { window.saturating_sub(128 << 10) };
                let inner = lzma_rust2::Lzma2Reader::new(input(reader), dictionary.max(4_096), None);
                Ok(Self::Lzma2(Box::new(Capped { inner, left, cap: window })))
            }
            Wrapper::BcjX86 => {
                Ok(Self::Bcj(Box::new(lzma_rust2::filter::bcj::BcjReader::new_x86(input(reader), 0))))
            }
            Wrapper::Delta(distance) => {
                let distance = usize::from(distance) + 1;
                Ok(Self::Delta(Box::new(lzma_rust2::filter::delta::DeltaReader::new(
                    input(reader),
                    distance,
                ))))
            }
            Wrapper::Lz4 => {
                Ok(Self::Lz4(Lz4 { inner: Some(lz4_flex::frame::FrameDecoder::new(input(reader))) }))
            }
            Wrapper::Zstd => {
                Ok(Self::Zstd(Box::new(Zstd { source: Some(input(reader)), frame: None, window, frames: 0 })))
            }
        };
        made.unwrap_or_else(|error| Self::Failed(Some(error)))
    }

    /// How many compressed bytes were used, where the decoder knows; the others refuse bytes after their end.
    pub(crate) fn consumed(self) -> Option<u64> {
        match self {
            Self::Raw(inner) => Some(inner.total_in()),
            Self::Zlib(inner) => Some(inner.total_in()),
            Self::Lzma(inner) => {
                let (input, unread) = inner.inner.into_parts();
                let ahead = input.buffer().len() + unread.len();
                Some(input.get_ref().position.saturating_sub(ahead as u64))
            }
            _ => None,
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(inner) => inner.read(buffer),
            Self::Zlib(inner) => inner.read(buffer),
            Self::Gzip(inner) => inner.read(buffer),
            Self::Bzip2(inner) => inner.read(buffer),
            Self::Xz(inner) => inner.read(buffer),
            Self::Lzma(inner) => inner.read(buffer),
            Self::Lzma2(inner) => inner.read(buffer),
            Self::Lz4(inner) => inner.read(buffer),
            Self::Bcj(inner) => inner.read(buffer),
            Self::Delta(inner) => inner.read(buffer),
            Self::Zstd(inner) => inner.read(buffer),
            Self::Failed(error) => Err(error.take().unwrap_or_else(|| io::Error::other("it cannot be read"))),
        }
    }
}

/// A reader whose memory follows its output: output beyond the cap is refused.
pub(crate) struct Capped<R> {
    inner: R,
    left: u64,
    cap: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(TooMuchHistory::error(self.cap.saturating_add(1))),
            };
        }
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..want])?;
        if self.left != u64::MAX {
            self.left -= count as u64;
        }
        Ok(count)
    }
}

fn lzma_alone<'a>(mut input: Input<'a>, window: u64) -> io::Result<Decoder<'a>> {
    let mut header = [0; 13];
    input.read_exact(&mut header)?;
    let [props, a, b, c, d, size @ ..] = header;
    raw_lzma(input, u64::from_le_bytes(size), props, u32::from_le_bytes([a, b, c, d]), window)
}

fn raw_lzma<'a>(
    input: Input<'a>,
    size: u64,
    props: u8,
    dictionary: u32,
    window: u64,
) -> io::Result<Decoder<'a>> {
    let left = if u64::from(dictionary) <= window { u64::MAX } else { window.saturating_sub(128 << 10) };
    let inner = lzma_rust2::LzmaReader::new_with_props(input, size, props, dictionary, None)?;
    Ok(Decoder::Lzma(Box::new(Capped { inner, left, cap: window })))
}

/// LZ4 frames one after the other, skippable ones stepped over.
pub(crate) struct Lz4<'a> {
    inner: Option<lz4_flex::frame::FrameDecoder<Input<'a>>>,
}

/// Frames without content that are stepped over in a row.
const MAX_EMPTY: u32 = 1_000_000;

impl Read for Lz4<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..MAX_EMPTY {
            let Some(inner) = &mut self.inner else { return Ok(0) };
            let count = match inner.read(buffer) {
                Ok(count) => count,
                Err(error) => {
                    let skip =
                        error.get_ref().and_then(|inner| inner.downcast_ref()).and_then(
                            |inner| match inner {
                                lz4_flex::frame::Error::SkippableFrame(len) => Some(*len),
                                _ => None,
                            },
                        );
                    let Some(len) = skip else { return Err(error) };
                    let Some(mut input) = self.inner.take().map(|inner| inner.into_inner()) else {
                        return Ok(0);
                    };
                    skip_over(&mut input, u64::from(len))?;
                    self.inner = Some(lz4_flex::frame::FrameDecoder::new(input));
                    continue;
                }
            };
            if count > 0 {
                return Ok(count);
            }
            if inner.get_mut().fill_buf()?.is_empty() {
                return Ok(0);
            }
        }
        Err(io::Error::other("too many empty frames"))
    }
}

fn skip_over(input: &mut Input<'_>, len: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.take(len), &mut io::sink())?;
    if skipped == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Zstandard frames one after the other, skippable ones stepped over.
pub(crate) struct Zstd<'a> {
    source: Option<Input<'a>>,
    frame: Option<StreamingDecoder<Input<'a>, FrameDecoder>>,
    window: u64,
    frames: u64,
}

impl Zstd<'_> {
    fn next_frame(&mut self) -> io::Result<bool> {
        let Some(mut input) = self.source.take() else { return Ok(false) };
        loop {
            let head = input.fill_buf()?;
            if head.is_empty() {
                return Ok(false);
            }
            // A skippable frame: 0x184D2A50 to 0x184D2A5F, then its length.
            if !matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
                break;
            }
            let mut header = [0; 8];
            input.read_exact(&mut header)?;
            let [.., a, b, c, d] = header;
            skip_over(&mut input, u64::from(u32::from_le_bytes([a, b, c, d])))?;
        }
        match StreamingDecoder::new_with_max_window_size(input, self.window) {
            Ok(frame) => {
                self.frame = Some(frame);
                self.frames += 1;
                Ok(true)
            }
            Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                Err(TooMuchHistory::error(requested))
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)))
                if self.frames > 0 =>
            {
                Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the last frame are no frame"))
            }
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        }
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..MAX_EMPTY {
            if self.frame.is_none() && !self.next_frame()? {
                return Ok(0);
            }
            let Some(frame) = &mut self.frame else { return Ok(0) };
            let count = frame.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let declared = frame.decoder.get_checksum_from_data();
            if declared.is_some() && declared != frame.decoder.get_calculated_checksum() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a frame is wrong"));
            }
            self.source = self.frame.take().map(StreamingDecoder::into_inner);
        }
        Err(io::Error::other("too many empty frames"))
    }
}
