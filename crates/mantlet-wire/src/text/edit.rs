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
    // In the order of their pointers, so that a place is found without asking each.
    let mut wanted: Vec<Wanted<'_>> = edits.iter().map(|edit| Wanted { edit, place: None }).collect();
    wanted.sort_by(|a, b| a.edit.pointer.cmp(&b.edit.pointer));
    if let Some(pair) = wanted.windows(2).find(|pair| pair[0].edit.pointer == pair[1].edit.pointer) {
        return Err(nowhere(pair[0].edit));
    }
    let mut seek = Seek { wanted: &mut wanted, pointer: String::new() };
    let mut reader = Reader::new(body, &limits)?;
    seek.value(&mut reader)?;
    reader.finish()?;
    let mut order = Vec::with_capacity(edits.len());
    for Wanted { edit, place } in wanted {
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

/// An edit, and where its value stands and whether that can only be left out.
struct Wanted<'a> {
    edit: &'a Edit,
    place: Option<(Range<usize>, bool)>,
}

struct Seek<'w, 'a> {
    wanted: &'w mut [Wanted<'a>],
    pointer: String,
}

impl Seek<'_, '_> {
    fn value(&mut self, reader: &mut Reader<'_>) -> Result<(), Defect> {
        let first = reader.peek();
        let start = reader.at;
        // Only ways that an edit goes on are followed; the rest is only checked. Pointers below this one are those
        // that start with it and a slash, and stand together in their order.
        let length = self.pointer.len();
        self.pointer.push('/');
        let from = self.wanted.partition_point(|wanted| wanted.edit.pointer < self.pointer);
        let deeper =
            self.wanted.get(from).is_some_and(|wanted| wanted.edit.pointer.starts_with(&self.pointer));
        self.pointer.truncate(length);
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
        let here = self.wanted.binary_search_by(|wanted| wanted.edit.pointer.as_str().cmp(&self.pointer));
        if let Ok(at) = here {
            self.wanted[at].place = Some((start..reader.at, matches!(first, Some(b'{' | b'['))));
        }
        Ok(())
    }
}
