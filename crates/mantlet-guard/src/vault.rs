//! What was taken out of a request, so that it can be put back into its reply: for one exchange, in memory only.

use std::collections::BTreeMap;
use std::fmt;

use mantlet_detectors::text::TextHit;
use mantlet_vocab::Piece;

/// Placeholders and what they stand for. Its debug form says how many, never what.
#[derive(Clone, Default)]
pub struct Vault {
    values: BTreeMap<String, String>,
    /// Placeholder by value, so that one value has one.
    names: BTreeMap<(String, &'static str), String>,
    counts: BTreeMap<&'static str, u32>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} values)", self.values.len())
    }
}

impl Vault {
    /// What a placeholder stands for.
    #[must_use]
    pub fn value(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }

    /// Whether nothing was taken out that can be put back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The placeholder for a value. One that a text of the exchange already uses is not given out: the caller would
    /// get somebody's data where it wrote a placeholder itself.
    pub(crate) fn take(&mut self, tag: &'static str, value: &str, pieces: &[Piece]) -> String {
        if let Some(name) = self.names.get(&(value.to_owned(), tag)) {
            return name.clone();
        }
        let count = self.counts.entry(tag).or_default();
        let name = loop {
            *count += 1;
            let name = format!("<{tag}_{count}>");
            if !pieces.iter().any(|piece| piece.text.contains(&name)) {
                break name;
            }
        };
        self.values.insert(name.clone(), value.to_owned());
        self.names.insert((value.to_owned(), tag), name.clone());
        name
    }
}

/// What stands where something was taken out for good.
pub(crate) fn gone(hit: &TextHit) -> String {
    match hit.replacement {
        None | Some("") => String::new(),
        Some(tag) => format!("[{tag}]"),
    }
}

/// A part of a text and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replacement {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
}

/// Replaces parts of a text that arrives in order. Parts that overlap are one part, with the first one's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replacer {
    waiting: Vec<Replacement>,
    /// Up to here everything is written or taken out.
    at: usize,
}

impl Replacer {
    pub(crate) const fn new() -> Self {
        Self { waiting: Vec::new(), at: 0 }
    }

    pub(crate) fn add(&mut self, replacement: Replacement) {
        let place = self.waiting.partition_point(|other| other.start <= replacement.start);
        self.waiting.insert(place, replacement);
    }

    /// Whether the next `to - at` bytes are as they came.
    pub(crate) fn is_plain(&self, from: usize, to: usize) -> bool {
        self.at <= from && self.waiting.first().is_none_or(|next| next.start >= to)
    }

    /// What becomes of `text`, which stands from `from` on.
    pub(crate) fn write(&mut self, text: &str, from: usize) -> String {
        let to = from + text.len();
        let mut out = String::with_capacity(text.len());
        let part =
            |a: usize, b: usize| text.get(a.saturating_sub(from)..b.saturating_sub(from)).unwrap_or("");
        self.at = self.at.max(from);
        while let Some(next) = self.waiting.first() {
            if next.start >= to {
                break;
            }
            let next = self.waiting.remove(0);
            if next.start >= self.at {
                out.push_str(part(self.at, next.start));
                out.push_str(&next.text);
            }
            self.at = self.at.max(next.end);
        }
        if self.at < to {
            out.push_str(part(self.at, to));
            self.at = to;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_replaced_wherever_the_text_is_cut() {
        let text = "to anna@post.example and bob";
        let parts = [(3, 20, "<EMAIL_1>"), (10, 22, "[X]"), (25, 28, "B")];
        let all = |cut: usize| {
            let mut replacer = Replacer::default();
            for (start, end, text) in parts {
                replacer.add(Replacement { start, end, text: text.into() });
            }
            let first = replacer.write(&text[..cut], 0);
            first + &replacer.write(&text[cut..], cut)
        };
        for cut in 0..=text.len() {
            assert_eq!(all(cut), "to <EMAIL_1>nd B", "{cut}");
        }
    }

    #[test]
    fn one_value_has_one_placeholder_and_none_that_is_in_use() {
        let mut vault = Vault::default();
        let piece =
            |text: &str| Piece { kind: mantlet_vocab::Kind::User, pointer: String::new(), text: text.into() };
        let pieces = [piece("mine is <EMAIL_1>")];
        assert_eq!(vault.take("EMAIL", "a@b.example", &pieces), "<EMAIL_2>");
        assert_eq!(vault.take("EMAIL", "a@b.example", &pieces), "<EMAIL_2>");
        assert_eq!(vault.take("EMAIL", "c@b.example", &pieces), "<EMAIL_3>");
        assert_eq!(vault.value("<EMAIL_2>"), Some("a@b.example"));
        assert_eq!(vault.value("<EMAIL_1>"), None);
        assert_eq!(format!("{vault:?}"), "Vault(2 values)");
    }
}
