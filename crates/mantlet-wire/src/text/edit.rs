//! Texts of a message replaced where they stand, every other byte left as it came.

use std::ops::Range;

use super::walk::push_token;
use crate::json::Reader;
use crate::{Defect, Limits};

/// A text to put in the place of the value at a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where, as in [`mantlet_vocab::Piece::pointer`].
    pub pointer: String,
    /// The new text.
    pub text: String,
}

/// The body with the values at these JSON pointers replaced by texts, everything else byte for byte. A string, number
/// or boolean becomes the text as a JSON string; an object or array (probabilities of tokens, which repeat a text in
/// parts) becomes `null`.
///
/// # Errors
/// When the body is not one JSON message, when a pointer leads nowhere, when two edits overlap, and for pieces that
/// are derived and cannot be replaced ([`super::KEYS`], [`super::UNESCAPED`]).
pub fn rewrite(body: &[u8], edits: &[Edit]) -> Result<Vec<u8>, Defect> {
    let nowhere = |edit: &Edit| Defect::NotEditable { pointer: edit.pointer.chars().take(200).collect() };
    let limits = Limits { depth: 128, keys: usize::MAX, ..Limits::default() };
    let mut places: Vec<Option<(Range<usize>, bool)>> = vec![None; edits.len()];
    let mut seek = Seek { edits, places: &mut places, pointer: String::new() };
    let mut reader = Reader::new(body, &limits)?;
    seek.value(&mut reader)?;
    reader.finish()?;
    let mut order = Vec::with_capacity(edits.len());
    for (edit, place) in edits.iter().zip(places) {
        let (span, whole) = place.ok_or_else(|| nowhere(edit))?;
        order.push((span, whole, edit));
    }
    order.sort_by_key(|(span, _, _)| (span.start, span.end));
    let mut out = Vec::with_capacity(body.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut at = 0;
    for (span, whole, edit) in order {
        if span.start < at {
            return Err(nowhere(edit));
        }
        out.extend_from_slice(&body[at..span.start]);
        if whole {
            out.extend_from_slice(b"null");
        } else {
            out.extend_from_slice(quoted(&edit.text).as_bytes());
        }
        at = span.end;
    }
    out.extend_from_slice(&body[at..]);
    Ok(out)
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Seek<'a> {
    edits: &'a [Edit],
    places: &'a mut [Option<(Range<usize>, bool)>],
    pointer: String,
}

impl Seek<'_> {
    fn value(&mut self, reader: &mut Reader<'_>) -> Result<(), Defect> {
        let first = reader.peek();
        let start = reader.at;
        // Only ways that an edit goes on are followed; the rest is only checked.
        let deeper = self
            .edits
            .iter()
            .any(|edit| edit.pointer.strip_prefix(&self.pointer).is_some_and(|rest| rest.starts_with('/')));
        match first {
            Some(b'{') if deeper => reader.object(|reader, key| {
                let length = self.pointer.len();
                self.pointer.push('/');
                push_token(&mut self.pointer, key);
                self.value(reader)?;
                self.pointer.truncate(length);
                Ok(())
            })?,
            Some(b'[') if deeper => {
                let mut place = 0_usize;
                reader.array(|reader| {
                    let length = self.pointer.len();
                    self.pointer.push('/');
                    self.pointer.push_str(&place.to_string());
                    self.value(reader)?;
                    self.pointer.truncate(length);
                    place += 1;
                    Ok(())
                })?;
            }
            _ => drop(reader.any()?),
        }
        for (edit, place) in self.edits.iter().zip(self.places.iter_mut()) {
            if edit.pointer == self.pointer {
                *place = Some((start..reader.at, matches!(first, Some(b'{' | b'['))));
            }
        }
        Ok(())
    }
}
