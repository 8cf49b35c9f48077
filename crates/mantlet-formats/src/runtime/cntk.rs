//! CNTK: dictionaries in protocol buffers, where functions of Python are named by module and class.

use mantlet_vocab::{Source, read_window};

use crate::structure::{Power, Structure};

/// Bytes that are searched for names of modules.
const SEARCHED: u64 = 64 << 20;
const KEYS: [&[u8]; 7] = [b"primitive_functions", b"root_uid", b"root", b"type", b"uid", b"name", b"version"];

/// Whether the bytes begin like a model: the older mark, or a dictionary with a key that models have.
#[must_use]
pub fn is_cntk(head: &[u8]) -> bool {
    if head.starts_with(b"B\0C\0N\0\0\0") {
        return true;
    }
    let [8, 1, 18, rest @ ..] = head else { return false };
    let skip = rest.iter().take(5).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let Some([10, len, key @ ..]) = rest.get(skip..) else { return false };
    let key = key.get(..usize::from(*len)).unwrap_or_default();
    KEYS.contains(&key) && memchr::memmem::find(head, b"primitive_functions").is_some()
}

/// The facts of a model.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("CNTK");
    if read_window(source, 0, 2).is_ok_and(|head| head == b"B\0") {
        facts.limit("models of CNTK before 2 are not examined");
        return facts;
    }
    let mut at = 0;
    while at < source.len().min(SEARCHED) {
        let bytes = read_window(source, at, (1 << 20) + 512).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        for key in [&b"\x0a\x06module\x12"[..], b"\x0a\x0emodule_path\x12"] {
            for found in memchr::memmem::find_iter(&bytes, key) {
                let value = &bytes[found + key.len()..];
                let text: Vec<u8> = value
                    .iter()
                    .take(200)
                    .skip_while(|byte| !byte.is_ascii_alphabetic())
                    .take_while(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(byte))
                    .copied()
                    .collect();
                let name = String::from_utf8_lossy(&text).into_owned();
                facts.names(Power::Python, "function of module", &name, at + found as u64);
            }
        }
        at += 1 << 20;
    }
    facts.limit("the graph of CNTK models is not followed; only functions of Python are looked for");
    facts
}
