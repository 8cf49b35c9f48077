//! Names that two indexes may answer for: dependency confusion.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::place::{address, host};
use crate::{Dependency, Ecosystem, Facts, Origin};

pub(super) const ABOUT: About = About {
    name: "deps-mixed-index",
    title: "two indexes may answer for the same name",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0010.001", "AML.T0011.001"],
    owasp: &["ML06:2023", "LLM04:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Indexes that frameworks publish their own public builds on; mixing them in is the documented way to install.
const PUBLISHERS: [&str; 4] =
    ["download.pytorch.org", "pypi.nvidia.com", "data.pyg.org", "storage.googleapis.com"];

pub(super) fn check(facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
    // Locks name the index of each package; only pip asks all of them and takes the highest version.
    if facts.format.ecosystem() != Ecosystem::Python || facts.format != crate::Format::Requirements {
        return;
    }
    let open = facts.dependencies.iter().filter(|dependency| is_open(dependency)).count();
    if open == 0 {
        return;
    }
    for index in facts.indexes.iter().filter(|index| matches!(index.option, "extra-index-url" | "find-links"))
    {
        let host = host(&index.value);
        let local = !index.value.contains("://");
        if local || PUBLISHERS.contains(&host.as_str()) {
            continue;
        }
        let message = format!(
            "{} is asked beside the main index, and {open} dependencies without a hash take the higher version of either",
            address(&index.value)
        );
        found.push(ABOUT.finding(super::at_line(place, index.line), message).fact("open", open));
    }
}

fn is_open(dependency: &Dependency) -> bool {
    dependency.origin == Origin::Index && dependency.hashes == 0
}
