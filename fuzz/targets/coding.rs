//! Any bytes as a body in a content coding, and as the headers that name one: decoded within its bound or refused, and what
//! is looked at is what other readers find in the bytes that go on.
#![no_main]

use std::io::{Read, Write};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderValue};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/mantlet-gateway/src/coding.rs"]
#[allow(dead_code)]
mod coding;

use coding::{Coding, acceptable};

/// Gives one byte at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (Some((first, rest)), Some(place)) = (self.0.split_first(), buffer.first_mut()) else { return Ok(0) };
        (*place, self.0) = (*first, rest);
        Ok(1)
    }
}

/// What a reader of another kind finds: all members, in pieces, or all at once.
fn others(coding: Coding, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut found = Vec::new();
    match coding {
        Coding::Identity => found.extend_from_slice(body),
        Coding::Gzip => {
            flate2::read::MultiGzDecoder::new(Slow(body)).read_to_end(&mut found)?;
        }
        Coding::Deflate => {
            let mut decoder = flate2::write::ZlibDecoder::new(found);
            body.chunks(3).try_for_each(|piece| decoder.write_all(piece))?;
            found = decoder.finish()?;
        }
        Coding::Brotli => {
            brotli_decompressor::Decompressor::new(body, 4096).read_to_end(&mut found)?;
        }
        Coding::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(Slow(body)).map_err(std::io::Error::other)?;
            let mut decoder = decoder;
            decoder.read_to_end(&mut found)?;
        }
    }
    Ok(found)
}

fn packed(coding: Coding, text: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default()
        }
        Coding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default()
        }
        Coding::Zstd => {
            ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
        }
        Coding::Identity | Coding::Brotli => text.to_vec(),
    }
}

/// One value of the header to a line: at most one coding is ever taken, and none that is not understood is offered.
fn headers(data: &[u8]) {
    let mut headers = http::HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(8) {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        if let Some(offered) = acceptable(&value) {
            for part in offered.to_str().unwrap_or_default().split(',') {
                let name = part.split(';').next().unwrap_or_default().trim();
                let name = HeaderValue::from_str(name).expect("a part of a header");
                assert!(Coding::named(&name).is_some(), "{offered:?}");
            }
        }
        headers.append(CONTENT_ENCODING, value);
    }
    if let Ok(coding) = Coding::of(&headers)
        && coding != Coding::Identity
    {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let only = values.next().map(HeaderValue::as_bytes).unwrap_or_default();
        assert!(values.next().is_none() && !only.contains(&b','), "{headers:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    if first & 0x80 != 0 {
        return headers(rest);
    }
    let codings = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    let coding = codings[usize::from(first & 3)];
    let most = [0, 100, 4 << 10, 1 << 20][usize::from(first >> 2 & 3)];
    let body = Bytes::copy_from_slice(rest);
    let decoded = coding.decode(&body, most);
    assert_eq!(decoded, coding.decode(&body, most));
    if let Ok(text) = &decoded {
        assert!(text.len() <= most, "{} of {most}", text.len());
        assert_eq!(others(coding, &body).ok().as_deref(), Some(&text[..]), "another reader finds something else");
        let shorter = body.slice(..body.len().saturating_sub(1));
        assert!(coding.decode(&shorter, most).is_err(), "a body that was broken off is whole");
        assert!(coding.decode(&Bytes::from(body.repeat(2)), most).is_err(), "a second member is passed over");
    }
    // A coding within a coding is what is in the outer one, byte by byte.
    if first & 0x10 != 0 && coding != Coding::Brotli {
        let outer = Bytes::from(packed(coding, rest));
        assert_eq!(coding.decode(&outer, rest.len()).as_deref(), Ok(rest));
    }
});
