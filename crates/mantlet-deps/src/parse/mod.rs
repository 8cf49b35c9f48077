//! Text to facts, one module a format. Nothing here fails: what cannot be read is a defect.

mod json;
mod lock;
mod requirements;

use std::collections::BTreeMap;

use crate::{Facts, Format, MAX_DEPENDENCIES, MAX_TEXT};

/// Reads a file of this format.
pub(crate) fn parse(format: Format, text: &str) -> Facts {
    let mut facts = Facts::new(format);
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() {
        facts.defect(None, format!("only the first {MAX_TEXT} bytes were read"));
    }
    let text = text.get(..end).unwrap_or("").trim_start_matches('\u{feff}');
    match format {
        Format::Requirements => requirements::read(text, &mut facts),
        Format::PipfileLock => json::read(text, &mut facts),
        Format::PoetryLock | Format::UvLock | Format::PyLock | Format::CargoLock => {
            lock::read(text, &mut facts)
        }
    }
    if facts.dependencies.len() > MAX_DEPENDENCIES {
        facts.dependencies.truncate(MAX_DEPENDENCIES);
        facts.defect(None, format!("only the first {MAX_DEPENDENCIES} dependencies were read"));
    }
    facts
}

/// The lines on which something is named, handed out in order: the formats' own parsers keep no lines.
struct Lines<'a>(BTreeMap<&'a str, std::collections::VecDeque<u32>>);

impl<'a> Lines<'a> {
    /// Lines by the text `key` takes out of them.
    fn of(text: &'a str, key: impl Fn(&'a str) -> Option<&'a str>) -> Self {
        let mut lines: BTreeMap<&str, std::collections::VecDeque<u32>> = BTreeMap::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            if let Some(name) = key(line.trim()) {
                lines.entry(name).or_default().push_back(number);
            }
        }
        Self(lines)
    }

    fn next(&mut self, name: &str) -> Option<u32> {
        self.0.get_mut(name)?.pop_front()
    }
}
