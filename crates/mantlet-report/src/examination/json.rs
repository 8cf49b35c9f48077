//! For programs: the examination as it is, with verdict, threshold and version.

use std::fmt::Write as _;

use mantlet_vocab::{ArtifactSummary, Examination, Finding, Gap, Severity};
use serde::Serialize;

use super::Style;
use crate::words::unsafe_to_print;

/// The version of the JSON layout. It grows when a field changes its meaning or goes away.
pub const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Tool<'a> {
    name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u32,
    tool: Tool<'a>,
    verdict: mantlet_vocab::Verdict,
    threshold: Severity,
    artifacts: &'a [ArtifactSummary],
    findings: &'a [Finding],
    gaps: &'a [Gap],
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<&'a str>,
}

pub(super) fn write(examination: &Examination, style: Style<'_>) -> String {
    print(&Document {
        format: "mantlet-examination",
        version: JSON_VERSION,
        tool: Tool { name: "mantlet", version: style.version },
        verdict: examination.verdict(style.threshold),
        threshold: style.threshold,
        artifacts: &examination.artifacts,
        findings: &examination.findings,
        gaps: &examination.gaps,
        effects: examination.effects.as_deref(),
    })
}

/// Pretty JSON that is safe to show on a terminal: what could steer one stands as an escape. Such characters
/// only ever occur inside JSON strings, so the document says the same.
pub(super) fn print(document: &impl Serialize) -> String {
    // Serialising into memory fails only for maps without string keys; our documents have none.
    let text = serde_json::to_string_pretty(document).unwrap_or_else(|_| "{}".to_owned());
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && unsafe_to_print(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}
