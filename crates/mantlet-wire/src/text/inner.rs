//! What texts hold inside: base64, JSON in a string, probabilities of tokens.

use crate::json::Reader;
use crate::{Defect, Limits};

/// Base64 of fewer characters is text.
pub(super) const BASE64: usize = 64;

/// Probabilities of tokens: the tokens put together, and the alternatives put together.
pub(super) fn tokens(
    reader: &mut Reader<'_>,
    said: &mut String,
    others: &mut String,
    aside: bool,
) -> Result<(), Defect> {
    match reader.peek() {
        Some(b'{') => reader.object(|reader, key| {
            let known = matches!(
                key,
                "content"
                    | "refusal"
                    | "token"
                    | "tokens"
                    | "logprob"
                    | "bytes"
                    | "top_logprobs"
                    | "token_logprobs"
                    | "text_offset"
            );
            if !known {
                others.push_str(key);
            }
            tokens(reader, said, others, aside || !known || key == "top_logprobs")
        }),
        Some(b'[') => reader.array(|reader| tokens(reader, said, others, aside)),
        Some(b'"') => {
            let text = reader.string()?;
            if aside { others } else { said }.push_str(&text);
            Ok(())
        }
        _ => reader.any().map(drop),
    }
}

pub(super) fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// Whether base64 starts as images, sound or portable documents do: PNG, JPEG, GIF, RIFF (WebP, WAV), PDF, MP3, Ogg,
/// FLAC.
pub(super) fn is_media(payload: &str) -> bool {
    [
        "iVBORw0KGgo",
        "/9j/",
        "R0lGODlh",
        "R0lGODdh",
        "UklGR",
        "JVBERi0",
        "SUQz",
        "//v",
        "//s",
        "T2dnUw",
        "ZkxhQ",
    ]
    .iter()
    .any(|start| payload.starts_with(start))
}

/// The strings and keys inside JSON that travels as a string, with their escapes undone; `None` when it is no JSON.
pub(crate) fn unescaped(text: &str, limits: &Limits) -> Option<String> {
    fn collect(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Defect> {
        match reader.peek() {
            Some(b'{') => reader.object(|reader, key| {
                out.push_str(key);
                out.push_str(": ");
                collect(reader, out)
            }),
            Some(b'[') => reader.array(|reader| collect(reader, out)),
            Some(b'"') => {
                out.push_str(&reader.string()?);
                out.push('\n');
                Ok(())
            }
            _ => {
                out.push_str(reader.any()?);
                out.push('\n');
                Ok(())
            }
        }
    }
    let mut reader = Reader::new(text.as_bytes(), limits).ok()?;
    let mut out = String::with_capacity(text.len());
    collect(&mut reader, &mut out).ok()?;
    reader.finish().ok()?;
    Some(out)
}
