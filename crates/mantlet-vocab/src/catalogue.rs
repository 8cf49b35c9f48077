//! The pinned catalogue of ATLAS, OWASP and NIST identifiers, with the edition each came from.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The edition of the ATLAS data that [`title`] answers from.
pub const ATLAS_EDITION: &str = "ATLAS 5.6.0";

const FILES: [&str; 3] = [
    include_str!("catalogue/atlas.tsv"),
    include_str!("catalogue/owasp.tsv"),
    include_str!("catalogue/nist.tsv"),
];

/// OWASP LLM Top 10 ids of 2025 and the 2026 ids that took their place.
const ALIASES: [(&str, &str); 10] = [
    ("LLM01:2025", "LLM01:2026"),
    ("LLM02:2025", "LLM02:2026"),
    ("LLM03:2025", "LLM04:2026"),
    ("LLM04:2025", "LLM05:2026"),
    ("LLM05:2025", "LLM10:2026"),
    ("LLM06:2025", "LLM03:2026"),
    ("LLM07:2025", "LLM08:2026"),
    ("LLM08:2025", "LLM09:2026"),
    ("LLM09:2025", "LLM07:2026"),
    ("LLM10:2025", "LLM06:2026"),
];

fn table() -> &'static BTreeMap<&'static str, &'static str> {
    static TABLE: OnceLock<BTreeMap<&'static str, &'static str>> = OnceLock::new();
    TABLE.get_or_init(|| {
        FILES.iter().flat_map(|file| file.lines()).filter_map(|line| line.split_once('\t')).collect()
    })
}

/// The id in the pinned edition: itself, or what an older edition's id became.
#[must_use]
pub fn current(id: &str) -> Option<&'static str> {
    let id = ALIASES.iter().find(|(old, _)| *old == id).map_or(id, |(_, new)| new);
    table().get_key_value(id).map(|(id, _)| *id)
}

/// The title of an id, older editions included; `None` when the catalogue does not know it.
#[must_use]
pub fn title(id: &str) -> Option<&'static str> {
    table().get(current(id)?).copied()
}

/// Every id and title of the catalogue, in order of id.
pub fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    table().iter().map(|(id, title)| (*id, *title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_each_source_and_older_editions_have_titles() {
        assert_eq!(title("ML05:2023"), Some("Model Theft"));
        assert!(title("AML.T0043").is_some());
        assert_eq!(title("LLM06:2025"), Some("Excessive Agency"));
        assert!(ALIASES.iter().all(|(_, new)| title(new).is_some()));
        assert_eq!(title("AML.T9999"), None);
    }
}
