//! Any bytes as a request to or a reply of a language model, in every dialect; what an edit at a piece changes is that text alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mantlet_wire::text::{Edit, KEYS, Surface, UNESCAPED, read_text_reply, read_text_request, rewrite};

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let limits = mantlet_wire::Limits::default();
    let surface = Surface::ALL[usize::from(first / 2) % Surface::ALL.len()];
    let pieces = if first % 2 == 0 {
        read_text_request(surface, body, &limits).map(|read| read.pieces)
    } else {
        read_text_reply(surface, body, &limits).map(|read| read.pieces)
    };
    let Ok(pieces) = pieces else { return };
    let tree: serde_json::Value = match serde_json::from_slice(body) {
        Ok(tree) => tree,
        // An empty body, and numbers that no `f64` holds.
        Err(_) => return,
    };
    let edits: Vec<Edit> = pieces
        .iter()
        .filter(|piece| !piece.pointer.ends_with(KEYS) && !piece.pointer.ends_with(UNESCAPED))
        .filter(|piece| tree.pointer(&piece.pointer).is_some_and(|there| there.as_str() == Some(&piece.text)))
        .take(1)
        .map(|piece| Edit { pointer: piece.pointer.clone(), text: "[taken out]".to_owned() })
        .collect();
    // A file that is no strict JSON is read as plain text, and has nothing to replace.
    if edits.is_empty() {
        return;
    }
    let rewritten = rewrite(body, &edits).expect("a piece's text can be replaced");
    let again: serde_json::Value = serde_json::from_slice(&rewritten).expect("what is rewritten is JSON");
    let mut expected = tree;
    for edit in &edits {
        if let Some(there) = expected.pointer_mut(&edit.pointer) {
            *there = edit.text.clone().into();
        }
    }
    assert_eq!(again, expected);
});
