//! Any text as each kind of requirements and lock file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let names = ["requirements.txt", "Pipfile.lock", "poetry.lock", "uv.lock", "pylock.toml", "Cargo.lock"];
    let name = names[usize::from(*kind) % names.len()];
    let text = String::from_utf8_lossy(data);
    let _ = mantlet_deps::check(name, &text, mantlet_vocab::Place::artifact(name));
});
