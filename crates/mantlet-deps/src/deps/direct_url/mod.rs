//! Dependencies fetched from an address instead of an index.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::place::{address, carries_secret, plain};
use crate::{Dependency, Facts, Origin};

pub(super) const ABOUT: About = About {
    name: "deps-direct-url",
    title: "a dependency is fetched from an address whose content can change",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0010.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    for dependency in &facts.dependencies {
        let Some((url, reason)) = reason(dependency) else { continue };
        let name = if dependency.name.is_empty() { "a dependency" } else { &dependency.name };
        let message = format!("{} comes from {}, {reason}", plain(name), address(url));
        found.push(ABOUT.finding(super::at_line(place, dependency.line), message));
    }
}

/// Why the address is not to be trusted as it stands; `None` when what it gives is fixed.
fn reason(dependency: &Dependency) -> Option<(&str, &'static str)> {
    let (url, fixed) = match &dependency.origin {
        Origin::Index | Origin::Path(_) => return None,
        Origin::Url(url) => (url, dependency.hashes > 0),
        Origin::Vcs { url, revision } => (url, revision.as_deref().is_some_and(is_commit)),
    };
    let lower = url.to_ascii_lowercase();
    if carries_secret(url) {
        Some((url, "and the file holds a password or token for it"))
    } else if !fixed
        && (lower.starts_with("http://") || lower.starts_with("git://") || lower.starts_with("ftp://"))
    {
        Some((url, "unencrypted and without a hash"))
    } else if !fixed && matches!(dependency.origin, Origin::Vcs { .. }) {
        Some((url, "at a branch or tag instead of a full commit"))
    } else if !fixed {
        Some((url, "without a hash"))
    } else {
        None
    }
}

/// A full commit identifier; a short one can be made to collide.
fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}
