//! Compressed bodies: decoded to be looked at, within a size and a ratio; what is forwarded are the bytes that came.
//!
//! One coding at a time, one member, nothing behind it: a second member, or bytes behind the end, are read by some
//! servers and skipped by others, so what they hold would not be what was looked at.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};

/// How many times larger than what came a decoded body may be, beyond the first [`FREE`] bytes.
const RATIO: usize = 200;
/// Bytes that are decoded whatever the ratio.
const FREE: usize = 1 << 20;

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecodable {
    #[error("the content coding is none of gzip, deflate, br and zstd, or more than one")]
    Coding,
    #[error("the compressed body is damaged or broken off")]
    Damaged,
    #[error("something follows the end of the compressed body")]
    Trailing,
    #[error("the decoded body is larger than allowed, or grows too much by decoding")]
    Bomb,
}

impl Coding {
    /// The coding that headers name.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Undecodable> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        if values.next().is_some() {
            return Err(Undecodable::Coding);
        }
        Self::named(value).ok_or(Undecodable::Coding)
    }

    pub(crate) fn named(value: &HeaderValue) -> Option<Self> {
        let name = value.to_str().ok()?.trim();
        let codings = [
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
        ];
        codings.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, coding)| coding)
    }

    /// The decoded body, of at most `most` bytes.
    pub(crate) fn decode(self, body: &Bytes, most: usize) -> Result<Bytes, Undecodable> {
        let most = most.min(body.len().saturating_mul(RATIO).max(FREE));
        let mut rest: &[u8] = body;
        let decoded = match self {
            Self::Identity => return Ok(body.clone()),
            Self::Gzip => all(flate2::bufread::GzDecoder::new(&mut rest), most)?,
            Self::Deflate => all(flate2::bufread::ZlibDecoder::new(&mut rest), most)?,
            Self::Brotli => {
                // Its reader takes what it reads ahead, so what follows the end shows only in its state.
                let mut source = Counted(&mut rest);
                all(brotli_decompressor::Decompressor::new(&mut source, 1), most)?
            }
            Self::Zstd => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest);
                all(decoder.map_err(|_| Undecodable::Damaged)?, most)?
            }
        };
        if rest.is_empty() { Ok(Bytes::from(decoded)) } else { Err(Undecodable::Trailing) }
    }
}

/// Hands on one byte at a time, so that a reader takes no byte it does not need.
struct Counted<'a, 'b>(&'a mut &'b [u8]);

impl Read for Counted<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some(first), Some(place)) = (self.0.fill_buf()?.first().copied(), buffer.first_mut()) else {
            return Ok(0);
        };
        *place = first;
        self.0.consume(1);
        Ok(1)
    }
}

fn all(decoder: impl Read, most: usize) -> Result<Vec<u8>, Undecodable> {
    let mut decoded = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut decoded).map_err(|_| Undecodable::Damaged)?;
    if decoded.len() > most { Err(Undecodable::Bomb) } else { Ok(decoded) }
}

/// What of a client's `Accept-Encoding` an upstream may use: codings that are understood here.
pub(crate) fn acceptable(value: &HeaderValue) -> Option<HeaderValue> {
    let kept: Vec<&str> = value
        .to_str()
        .ok()?
        .split(',')
        .map(str::trim)
        .filter(|part| {
            let name = part.split(';').next().unwrap_or_default().trim();
            HeaderValue::from_str(name).ok().and_then(|name| Coding::named(&name)).is_some()
        })
        .collect();
    if kept.is_empty() { None } else { HeaderValue::from_str(&kept.join(", ")).ok() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::arbitrary::Arbitrary as _;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// `{"a":1}` by the reference encoders of brotli and zstd.
    const BROTLI: &[u8] = &[0x0b, 0x03, 0x80, b'{', b'"', b'a', b'"', b':', b'1', b'}', 0x03];
    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn each_coding_is_read_and_nothing_may_follow() {
        let text = br#"{"a":1}"#;
        for (coding, body) in [
            (Coding::Gzip, gzip(text)),
            (Coding::Deflate, zlib(text)),
            (Coding::Brotli, BROTLI.to_vec()),
            (Coding::Zstd, zstd(text)),
        ] {
            let whole = Bytes::from(body.clone());
            assert_eq!(coding.decode(&whole, 100).as_deref(), Ok(&text[..]), "{coding:?}");
            let twice = Bytes::from([body.clone(), body.clone()].concat());
            assert_eq!(coding.decode(&twice, 100), Err(Undecodable::Trailing), "{coding:?}");
            for cut in 0..body.len() {
                let torn = coding.decode(&whole.slice(..cut), 100);
                assert!(torn.is_err(), "{coding:?} cut at {cut}: {torn:?}");
            }
        }
    }

    #[test]
    fn bombs_are_refused_before_they_unfold() {
        let body = Bytes::from(gzip(&vec![0; 64 << 20]));
        assert_eq!(Coding::Gzip.decode(&body, 16 << 20), Err(Undecodable::Bomb));
        assert_eq!(
            Coding::Zstd.decode(&Bytes::from(zstd(&vec![0; 8 << 20])), 1 << 20),
            Err(Undecodable::Bomb)
        );
    }

    proptest::proptest! {
        /// Whatever comes is decoded within its bound or refused, the same twice; a changed byte of a whole body never
        /// makes another reader's second message of it.
        #[test]
        fn any_bytes_in_any_coding_are_decoded_within_their_bound_or_refused(
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            text in proptest::collection::vec(0_u8..4, 1..3_000),
            changes in proptest::collection::vec((proptest::num::u8::ANY, proptest::sample::Index::arbitrary()), 0..4),
            most in 0_usize..2_000,
        ) {
            let mut stored = u32::try_from(text.len() - 1).unwrap() << 4 | 1 << 20;
            stored &= 0x1f_ffff;
            let brotli = [&stored.to_le_bytes()[..3], &text, &[3]].concat();
            for (coding, whole) in [
                (Coding::Gzip, gzip(&text)),
                (Coding::Deflate, zlib(&text)),
                (Coding::Brotli, brotli),
                (Coding::Zstd, zstd(&text)),
            ] {
                let decoded = coding.decode(&Bytes::from(whole.clone()), text.len());
                proptest::prop_assert_eq!(decoded.as_deref(), Ok(&text[..]), "{:?}", coding);
                let mut changed = whole;
                for (byte, at) in &changes {
                    let at = at.index(changed.len());
                    changed[at] = *byte;
                }
                for body in [Bytes::from(noise.clone()), Bytes::from(changed)] {
                    let first = coding.decode(&body, most);
                    proptest::prop_assert!(first.as_ref().is_ok_and(|text| text.len() <= most) || first.is_err());
                    proptest::prop_assert_eq!(first, coding.decode(&body, most));
                }
            }
        }
    }

    #[test]
    fn codings_that_are_not_understood_are_not_offered() {
        let filtered = |value| acceptable(&HeaderValue::from_static(value));
        assert_eq!(filtered("gzip, br;q=0.5, compress").unwrap(), "gzip, br;q=0.5");
        assert_eq!(filtered("compress"), None);
        let mut headers = HeaderMap::new();
        assert_eq!(Coding::of(&headers), Ok(Coding::Identity));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("GZip"));
        assert_eq!(Coding::of(&headers), Ok(Coding::Gzip));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("br"));
        assert_eq!(Coding::of(&headers), Err(Undecodable::Coding));
    }
}
