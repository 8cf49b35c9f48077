//! Layer: texts in tensors and beside them. They are forwarded, so they are looked at.

use std::borrow::Cow;

use mantlet_guard::{Guard, Inspection};
use mantlet_vocab::{Kind, NamedValue, Piece, Value};

/// Looks at the pieces of a message and at the tensors of texts that are no pieces, and decides again.
pub(super) fn look(
    guard: &Guard,
    inspection: &mut Inspection,
    values: &[NamedValue],
    pieces: &[Piece],
    reply: bool,
) {
    let texts = texts(values, pieces, if reply { Kind::Assistant } else { Kind::User });
    guard.examine_beside(inspection, &texts, reply);
    // A reply is here already: what would be thrown away is kept for a person instead, as with tensors.
    if reply && inspection.decision.action == mantlet_vocab::Action::Refuse {
        inspection.decision.action = mantlet_vocab::Action::Divert;
    }
}

/// Where the query of a path stands among the texts of a request: no edit can reach it.
const QUERY: &str = "~query";

/// The query of a path as texts: as it came, and with its escapes undone, as servers read it.
pub(super) fn query(query: &str) -> Vec<Piece> {
    let piece = |text: String| Piece { kind: Kind::Unknown, pointer: QUERY.to_owned(), text };
    let plain = unescaped(query);
    let mut pieces = vec![piece(query.to_owned())];
    if plain != query {
        pieces.push(piece(plain));
    }
    pieces
}

/// Percent-encoding undone (RFC 3986), and a plus as a space, as forms have it.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        rest = after;
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or(&[]);
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The pieces, and the texts of tensors, which are one piece a tensor.
fn texts<'a>(values: &[NamedValue], pieces: &'a [Piece], kind: Kind) -> Cow<'a, [Piece]> {
    let mut all = Cow::Borrowed(pieces);
    for NamedValue { name, value } in values {
        if let Value::Text(texts) = value {
            let text = texts.data().join("\n");
            all.to_mut().push(Piece { kind, pointer: format!("/{name}"), text });
        }
    }
    all
}
