//! Any text as what people write beside models: a card and its advice, a page, a recipe of a container, a value of
//! metadata. The same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::{advice, card, deployment, jinja, metadata, opened, page, requirements};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    support::same(data, || advice::analyse(&text));
    if let Some(card) = support::same(data, || card::analyse(&text)) {
        assert!(card.score() <= 100);
    }
    let file = support::one_of(data, ["modelfile", "config.pbtxt", "checkpoint", "net.prototxt", "other"]);
    support::same(data, || deployment::analyse(file, &text));
    let _ = (page::sends(&text), jinja::has_tags(&text), requirements::pipfile(&text));
    let names = ["a.url", ".git/config", "etc/passwd", "a.csv", "a.py", "skill.md", "logging.conf", "a.erb", "a.rels"];
    let name = support::one_of(data, names);
    support::same(data, || opened::analyse(name, &text));
    let _ = (page::chunks(&text), opened::document(data), metadata::joined(text.lines()));
    for file in ["setup.cfg", "uv.toml"] {
        let _ = requirements::sources(file, &text);
    }
    let (key, value) = text.split_once('\n').unwrap_or(("description", &text));
    let _ = metadata::Text::new(key, value).does_something();
});
