//! Files that lie beside models and that no model loader interprets: where their own content ends.

use mantlet_vocab::{Source, read_window};

use crate::proto::Fields;
use crate::window::Window;

/// Blocks of one file that are walked.
const MAX_BLOCKS: u32 = 4_000_000;

/// Where an image ends; `None` when its blocks do not lead to an end.
#[must_use]
pub fn image_end(source: &dyn Source) -> Option<u64> {
    let mut window = Window::new(source, 0);
    let magic: [u8; 4] = window.array()?;
    match magic {
        [0x89, b'P', b'N', b'G'] => png(&mut window),
        [0xff, 0xd8, ..] => jpeg(&mut window),
        [b'G', b'I', b'F', b'8'] => gif(&mut window),
        [b'R', b'I', b'F', b'F'] => {
            let len = u64::from(u32::from_le_bytes(window.array()?));
            Some(8 + len + len % 2).filter(|&end| end <= source.len())
        }
        _ => None,
    }
}

/// Texts of a picture, and bytes of one of them.
const MAX_TEXTS: usize = 64;
const MAX_TEXT: usize = 1 << 20;

/// The texts that a picture (PNG) says about itself: keys and values, unpacked.
#[must_use]
pub fn image_texts(source: &dyn Source) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut at = 8_u64;
    if read_window(source, 0, 4).is_ok_and(|magic| magic != b"\x89PNG") {
        return texts;
    }
    for _ in 0..MAX_BLOCKS {
        let head = read_window(source, at, 8).unwrap_or_default();
        let (Some(len), Some(kind)) = (head.first_chunk().copied().map(u32::from_be_bytes), head.get(4..8))
        else {
            break;
        };
        if matches!(kind, b"tEXt" | b"zTXt" | b"iTXt") && texts.len() < MAX_TEXTS {
            let body = read_window(source, at + 8, (len as usize).min(MAX_TEXT)).unwrap_or_default();
            texts.extend(image_text(kind, &body));
        }
        match at.checked_add(12 + u64::from(len)) {
            Some(next) if kind != b"IEND" && next < source.len() => at = next,
            _ => break,
        }
    }
    texts
}

fn image_text(kind: &[u8], body: &[u8]) -> Option<(String, String)> {
    let (key, rest) = split(body)?;
    let (packed, value) = match kind {
        b"tEXt" => (false, rest),
        b"zTXt" => (true, rest.get(1..)?),
        _ => {
            let (_language, after) = split(rest.get(2..)?)?;
            let (_translated, text) = split(after)?;
            (rest.first() == Some(&1), text)
        }
    };
    let mut out = Vec::with_capacity(if packed { MAX_TEXT } else { 0 });
    let value = if packed {
        flate2::Decompress::new(true)
            .decompress_vec(value, &mut out, flate2::FlushDecompress::Finish)
            .ok()?;
        out.as_slice()
    } else {
        value
    };
    Some((String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned()))
}

/// What stands before and after the first zero.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(0, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn png(window: &mut Window<'_>) -> Option<u64> {
    window.seek(8);
    for _ in 0..MAX_BLOCKS {
        let len = u32::from_be_bytes(window.array()?);
        let kind: [u8; 4] = window.array()?;
        if !window.skip(u64::from(len) + 4) {
            return None;
        }
        if &kind == b"IEND" {
            return Some(window.offset());
        }
    }
    None
}

fn jpeg(window: &mut Window<'_>) -> Option<u64> {
    window.seek(2);
    for _ in 0..MAX_BLOCKS {
        while window.byte()? != 0xff {}
        let mut marker = window.byte()?;
        while marker == 0xff {
            marker = window.byte()?;
        }
        match marker {
            0xd9 => return Some(window.offset()),
            // Inside compressed data, and markers without a length.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let len = u64::from(u16::from_be_bytes(window.array()?));
                if !window.skip(len.checked_sub(2)?) {
                    return None;
                }
            }
        }
    }
    None
}

fn gif(window: &mut Window<'_>) -> Option<u64> {
    window.seek(10);
    let flags = window.byte()?;
    let table = |flags: u8| if flags & 0x80 != 0 { 3_u64 << ((flags & 7) + 1) } else { 0 };
    if !window.skip(2 + table(flags)) {
        return None;
    }
    for _ in 0..MAX_BLOCKS {
        match window.byte()? {
            0x3b => return Some(window.offset()),
            0x21 => {
                window.byte()?;
            }
            0x2c => {
                window.skip(8).then_some(())?;
                let flags = window.byte()?;
                window.skip(table(flags) + 1).then_some(())?;
            }
            _ => return None,
        }
        loop {
            let len = window.byte()?;
            if len == 0 {
                break;
            }
            window.skip(u64::from(len)).then_some(())?;
        }
    }
    None
}

/// What a shortcut of Windows says, as one line: its texts are of one or two bytes a letter, and spaces that push a
/// command out of sight are dropped.
#[must_use]
pub fn shortcut(source: &dyn Source) -> String {
    let bytes = read_window(source, 0, 256 << 10).unwrap_or_default();
    let text: String = bytes
        .into_iter()
        .skip(76)
        .filter(|&byte| byte != 0)
        .map(|byte| if (32..127).contains(&byte) { byte as char } else { ' ' })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether this is a SentencePiece model: pieces with text and score, then the settings they were made with.
/// Its loader reads numbers and text only.
#[must_use]
pub fn is_sentencepiece(source: &dyn Source) -> bool {
    let mut window = Window::new(source, 0);
    if window.byte() != Some(0x0a) {
        return false;
    }
    let mut fields = Fields::new(0, source.len());
    let mut pieces = 0_u32;
    while let Some(field) = fields.next(&mut window) {
        let Some((start, end)) = field.bytes() else { return false };
        match field.number {
            1 if pieces < 64 => {
                let mut piece = Fields::new(start, end);
                let mut texts = 0;
                while let Some(part) = piece.next(&mut window) {
                    match part.number {
                        1 if part.bytes().is_some() => texts += 1,
                        2 | 3 if part.bytes().is_none() => {}
                        _ => return false,
                    }
                }
                if texts != 1 || piece.broken.is_some() {
                    return false;
                }
                pieces += 1;
            }
            1 => pieces += 1,
            2..=5 => {}
            _ => return false,
        }
        if pieces > 10_000_000 {
            return false;
        }
    }
    fields.broken.is_none() && pieces >= 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn images_end_where_their_blocks_say() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x02tEXtab1234\0\0\0\0IEND1234".to_vec();
        assert_eq!(image_end(&MemorySource::new(&png)), Some(png.len() as u64));
        assert_eq!(image_texts(&MemorySource::new(&png)), []);
        let said =
            b"\x89PNG\r\n\x1a\n\0\0\0\x05tEXta\0xyz1234\0\0\0\x0aiTXtb\0\0\0\0\0text1234\0\0\0\0IEND1234";
        let texts = image_texts(&MemorySource::new(said));
        assert_eq!(texts, [("a".to_owned(), "xyz".to_owned()), ("b".to_owned(), "text".to_owned())]);
        png.extend(b"more");
        assert_eq!(image_end(&MemorySource::new(&png)), Some(png.len() as u64 - 4));
        assert_eq!(image_end(&MemorySource::new(&png[..20])), None);
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xda\0\x03c\x11\xff\x00\x22\xff\xd9tail";
        assert_eq!(image_end(&MemorySource::new(jpeg)), Some(jpeg.len() as u64 - 4));
        let gif = b"GIF89a\x01\0\x01\0\0\0\0\x21\xf9\x01a\0\x2c12345678\0\x02\x01b\0\x3btail";
        assert_eq!(image_end(&MemorySource::new(gif)), Some(gif.len() as u64 - 4));
    }
}
