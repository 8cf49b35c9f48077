//! Text formats that name code without being code: said to be unexamined where they do.

use mantlet_vocab::{Source, read_window};

/// Keys of configuration files that make loaders run or fetch code, and what they do.
const KEYS: [(&[u8], &str); 8] = [
    (b"\"auto_map\"", "`auto_map` names Python code that transformers imports when told to trust it"),
    (b"\"chat_template\"", "`chat_template` is a Jinja template that the tokenizer renders"),
    (b"_target_", "`_target_` names a callable that Hydra instantiates"),
    (b"\"Lambda\"", "a Keras Lambda layer carries code"),
    (b"__lambda__", "a Keras configuration carries code"),
    (b"!!python/", "a YAML tag makes unsafe loaders build Python objects"),
    (b"{%", "a Jinja template"),
    (b"\"registered_name\"", "a Keras configuration names classes to import"),
];

const MAX_READ: usize = 8 << 20;

/// What a text file asks of its loader that is not judged yet.
pub(crate) fn unjudged(source: &dyn Source, markup: bool) -> Vec<&'static str> {
    let text = read_window(source, 0, MAX_READ).unwrap_or_default();
    KEYS.iter()
        .filter(|(key, _)| (markup || !key.starts_with(b"{%")) && find(&text, key))
        .map(|&(_, what)| what)
        .collect()
}

fn find(text: &[u8], key: &[u8]) -> bool {
    memchr::memmem::find(text, key).is_some()
}
