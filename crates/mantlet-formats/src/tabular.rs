//! Parquet and Arrow files: tables, whose columns may say that they hold objects of Python.
//!
//! What a scanner of models has to know of them is little: whether the file is framed as its format wants it, and
//! whether a column is of the extension type that pyarrow, before 14.0.1, built by loading a pickle out of the
//! column's metadata (CVE-2023-47248). The columns themselves are data.

use mantlet_vocab::{Source, read_window};
use memchr::memmem;

use crate::route::Format;
use crate::structure::{Power, Structure};

/// The type whose metadata is a pickle.
const PICKLED: &[u8] = b"arrow.py_extension_type";
/// Footers and schemas longer than this are not read to their end.
const MAX_FOOTER: u64 = 16 << 20;

/// The facts of a Parquet or Arrow file.
#[must_use]
pub fn analyse(source: &dyn Source, format: Format) -> Structure {
    let parquet = format == Format::Parquet;
    let mut facts = Structure::of(if parquet { "Parquet" } else { "Arrow" });
    let len = source.len();
    let tail_len = if parquet { 8 } else { 10 };
    let tail = read_window(source, len.saturating_sub(tail_len), tail_len as usize).unwrap_or_default();
    let magic: &[u8] = if parquet { b"PAR1" } else { b"ARROW1" };
    if parquet && tail.ends_with(b"PARE") {
        facts.limit("its footer is encrypted");
        return facts;
    }
    let size = tail.get(..4).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes).map(u64::from);
    let start = size.and_then(|size| len.checked_sub(size + tail_len));
    let Some(start) = start.filter(|_| tail.ends_with(magic)) else {
        facts.defect("its footer is not where the end of the file says", len.saturating_sub(tail_len));
        return facts;
    };
    facts.end = len;
    let footer_len = len - tail_len - start;
    if footer_len > MAX_FOOTER {
        facts.limit(format!("only the first {MAX_FOOTER} bytes of its footer are read"));
    }
    // An Arrow file has its schema at both ends; readers of streams use the first.
    for (at, wanted) in [(start, footer_len.min(MAX_FOOTER)), (0, if parquet { 0 } else { 1 << 20 })] {
        let bytes = read_window(source, at, wanted as usize).unwrap_or_default();
        if let Some(found) = memmem::find(&bytes, PICKLED) {
            pickled(&mut facts, at + found as u64);
        }
        if let Some(found) = memmem::find(&bytes, b"ARROW:schema")
            && memmem::find(&schema(&bytes[found + 12..]), PICKLED).is_some()
        {
            pickled(&mut facts, at + found as u64);
        }
    }
    facts
}

fn pickled(facts: &mut Structure, at: u64) {
    facts.names(Power::Pickle, "type of a column", "arrow.py_extension_type", at);
}

/// The Arrow schema that Parquet keeps in base64, a few bytes after its key.
fn schema(bytes: &[u8]) -> Vec<u8> {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let start = bytes.windows(16).take(32).position(|run| run.iter().all(letter));
    let Some(start) = start else { return Vec::new() };
    // The length before the text may itself look like a letter, so every alignment is read.
    let run = &bytes[start..start + bytes[start..].iter().take_while(|byte| letter(byte)).count()];
    let mut out = Vec::new();
    for shift in 0..4_usize.min(run.len()) {
        let (mut bits, mut held) = (0_u32, 0_u32);
        for &byte in &run[shift..] {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                _ => 63,
            };
            bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
            held += 6;
            if held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
            }
        }
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn parquet(footer: &[u8]) -> Structure {
        let len = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let bytes = [&b"PAR1data"[..], footer, &len, b"PAR1"].concat();
        analyse(&MemorySource::new(&bytes), Format::Parquet)
    }

    #[test]
    fn types_that_are_pickles_are_named_and_others_are_not() {
        assert!(parquet(b"plain footer").code.is_empty());
        assert_eq!(parquet(b"..arrow.py_extension_type..").code.len(), 1);
        // `xxarrow.py_extension_type` in base64, behind a length that looks like a letter.
        let coded = b"ARROW:schema\x18Ceeh4YXJyb3cucHlfZXh0ZW5zaW9uX3R5cGU=";
        assert_eq!(parquet(coded).code.len(), 1);
        assert_eq!(parquet(b"ARROW:schema\x18ZZZZZZZZZZZZZZZZZZZZZZZZZZ").code.len(), 0);
        let cut = analyse(&MemorySource::new(b"PAR1 and no more"), Format::Parquet);
        assert_eq!(cut.defects.len(), 1);
    }
}
