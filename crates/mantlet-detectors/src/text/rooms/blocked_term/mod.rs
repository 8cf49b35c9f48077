//! The text holds what the configuration forbids.

use mantlet_vocab::{About, Confidence, Impact, Severity};

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "blocked-term",
    title: "the text holds what the configuration forbids",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0057"],
    owasp: &["LLM02:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A term as a pattern: in any case, as whole words, with any space or line break for a space.
pub(crate) fn term(term: &str) -> String {
    let mut out = String::from("(?i)");
    let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    if word(term.chars().next()) {
        out.push_str(r"(?-u:\b)");
    }
    let mut spaced = false;
    for c in term.chars() {
        if c.is_whitespace() {
            if !spaced {
                out.push_str(r"[ \t\r\n]{1,8}");
            }
            spaced = true;
            continue;
        }
        spaced = false;
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    if word(term.chars().last()) {
        out.push_str(r"(?-u:\b)");
    }
    out
}
