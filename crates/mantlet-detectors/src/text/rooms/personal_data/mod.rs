//! Data about a person stands in the text.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::Room;
use crate::text::matcher::{Check, Pattern};

mod sums;

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "personal-data",
    title: "data about a person stands in the text",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0057"],
    owasp: &["LLM02:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Label, tag, shape, second look, and whether only the longest match counts.
const SHAPES: [(&str, &str, &str, Check, bool); 11] = [
    ("payment card", "CARD", r"\b[0-9](?:[ \-]?[0-9]){11,18}\b", sums::card, false),
    (
        "bank account (IBAN)",
        "IBAN",
        r"\b[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]){11,30}\b",
        sums::iban,
        false,
    ),
    ("US social security number", "SSN", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", sums::ssn, true),
    (
        "e-mail address",
        "EMAIL",
        r"\b[A-Za-z0-9_][A-Za-z0-9._%+\-]*@[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?)+\b",
        sums::email,
        false,
    ),
    ("IP address", "IP", r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3,9}\b", sums::ipv4, true),
    ("IP address", "IP", r"\b[0-9A-Fa-f]{1,4}(?::{1,2}[0-9A-Fa-f]{1,4}){2,9}\b", sums::ipv6, true),
    ("phone number", "PHONE", r"\B\+[1-9](?:[ .()/\-]{0,2}[0-9]){6,14}\b", sums::international, true),
    ("phone number", "PHONE", r"\b00[1-9][0-9]{0,2}[ /\-](?:[ .()/\-]{0,2}[0-9]){6,12}\b", sums::zeros, true),
    (
        "phone number",
        "PHONE",
        r"(?:\b|\()[2-9][0-9]{2}(?:\) ?|[ .\-])[2-9][0-9]{2}[ .\-][0-9]{4}\b",
        sums::american,
        true,
    ),
    (
        "phone number",
        "PHONE",
        r"(?:\b|\()0[1-9][0-9]{0,4}(?:\) ?|[ /.\-])(?:[ ./\-]?[0-9]){5,9}\b",
        sums::national,
        true,
    ),
    (
        "phone number",
        "PHONE",
        r"(?i)\b(?:phone|tel|telefon|telephone|mobile|mobil|cell|fax|handy|whatsapp|t\xc3\xa9l|movil|telefono|numer)\b[ .:#=\-]{0,3}(?:(?:number|numero|no|nr|is|ist|est|es)[ .:#=\-]{1,3}){0,2}\(?[0-9](?:[ ()/.\-]{0,2}[0-9]){6,12}\b",
        sums::after_a_word,
        true,
    ),
];

/// Every shape.
pub(super) fn patterns() -> Vec<Pattern> {
    SHAPES
        .iter()
        .map(|(label, tag, regex, check, longest)| Pattern {
            longest: *longest,
            ..Pattern::new(Room::PersonalData, label, tag, regex, *check)
        })
        .collect()
}
