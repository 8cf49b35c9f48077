//! What text files ask of their loader that is not judged: said to be unexamined where they do.

use mantlet_vocab::{Source, read_window};

/// Keys of configuration files that make loaders run code, and what they do.
const KEYS: [(&[u8], &str); 3] = [
    (b"\"Lambda\"", "a Keras Lambda layer carries code"),
    (b"__lambda__", "a Keras configuration carries code"),
    (b"\"registered_name\"", "a Keras configuration names classes to import"),
];

const MAX_READ: usize = 8 << 20;

/// What a text file asks of its loader that is not judged.
pub(crate) fn unjudged(source: &dyn Source) -> Vec<&'static str> {
    let text = read_window(source, 0, MAX_READ).unwrap_or_default();
    KEYS.iter().filter(|(key, _)| memchr::memmem::find(&text, key).is_some()).map(|&(_, what)| what).collect()
}
