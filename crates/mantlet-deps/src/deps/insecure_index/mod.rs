//! Package indexes that are reached without checking who answers.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::place::{address, carries_secret, host, plain};
use crate::{Facts, IndexOption};

pub(super) const ABOUT: About = About {
    name: "deps-insecure-index",
    title: "packages are fetched without checking who answers",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    for index in &facts.indexes {
        if let Some(message) = reason(index) {
            found.push(ABOUT.finding(super::at_line(place, index.line), message));
        }
    }
}

fn reason(index: &IndexOption) -> Option<String> {
    if index.option == "trusted-host" {
        let name = index.value.split(':').next().unwrap_or("");
        return (!is_loopback(name))
            .then(|| format!("the certificate of {} is not checked", plain(&index.value)));
    }
    if carries_secret(&index.value) {
        return Some(format!("the file holds a password or token for {}", address(&index.value)));
    }
    let plain_http = index.value.to_ascii_lowercase().starts_with("http://");
    (plain_http && !is_loopback(&host(&index.value)))
        .then(|| format!("{} is reached unencrypted", address(&index.value)))
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
