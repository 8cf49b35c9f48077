//! A member of an archive would be written outside its folder.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use mantlet_formats::Facts;
use mantlet_formats::tar::TarKind;
use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity, Span};

use crate::Rule;

const ABOUT: About = About {
    name: "archive-path-traversal",
    title: "a member of an archive would be written outside its folder",
    severity: Severity::Malicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0011.000"],
    owasp: &["ML06:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// A member of an archive would be written outside its folder.
pub(crate) struct ArchivePathTraversal;

impl Rule for ArchivePathTraversal {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn check(&self, facts: &Facts, place: &Place, found: &mut Vec<Finding>) {
        let mut accuse = |name: &str, offset: u64, what: String| {
            let shown = name.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
            found.push(ABOUT.finding(place.at(Span::at(offset)), format!("`{shown}` {what}")));
        };
        match facts {
            Facts::Zip(zip) => {
                for entry in zip.entries.iter().filter(|entry| super::escapes(&entry.name)).take(32) {
                    accuse(&entry.name, entry.header, "leaves the folder it is unpacked into".into());
                }
                let links = Links::of(zip.links.iter().map(|(name, target, _)| (name, target)));
                for (name, target, offset) in &zip.links {
                    if absolute(target) || super::escapes(&joined(name, target)) || links.leave(name, target)
                    {
                        let target: String = target.chars().filter(|c| !c.is_control()).take(200).collect();
                        accuse(name, *offset, format!("is a link to `{target}`"));
                    }
                }
            }
            Facts::Tar(tar) => {
                // Names of links that lead outside: what is written below them lands there.
                let mut outside: Vec<&str> = Vec::new();
                let links = Links::of(tar.entries.iter().filter_map(|entry| match &entry.kind {
                    TarKind::Link(target) => Some((&entry.name, target)),
                    _ => None,
                }));
                for entry in &tar.entries {
                    if super::escapes(&entry.name) {
                        accuse(&entry.name, entry.data, "leaves the folder it is unpacked into".into());
                    }
                    if matches!(entry.kind, TarKind::Other(b'3' | b'4')) && !tar.layer {
                        accuse(&entry.name, entry.data, "is a device of the machine, not a file".into());
                    }
                    let through = outside.iter().find(|link| {
                        entry.name.strip_prefix(**link).is_some_and(|rest| rest.starts_with('/'))
                    });
                    if let Some(link) = through {
                        accuse(&entry.name, entry.data, format!("is written through the link `{link}`"));
                    }
                    let TarKind::Link(target) = &entry.kind else { continue };
                    if absolute(target)
                        || super::escapes(joined(&entry.name, target).trim_start_matches('/'))
                        || !tar.layer && links.leave(&entry.name, target)
                    {
                        if outside.len() < 256 {
                            outside.push(&entry.name);
                        }
                        if !tar.layer {
                            accuse(&entry.name, entry.data, format!("is a link to `{target}`"));
                        }
                    }
                }
            }
            Facts::SevenZip(archive) => {
                for member in archive.members.iter().filter(|member| super::escapes(&member.name)).take(32) {
                    accuse(&member.name, member.offset, "leaves the folder it is unpacked into".into());
                }
            }
            _ => {}
        }
    }
}

/// Whether a link leads to a place by itself: from the root, or on a drive or share of Windows.
fn absolute(target: &str) -> bool {
    target.starts_with(['/', '\\']) || target.get(1..2) == Some(":")
}

/// Where a link leads, from the folder of the archive.
fn joined(name: &str, target: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{target}"),
        None => target.to_owned(),
    }
}

/// The links of an archive, followed as a system follows them when the members are there.
struct Links<'a> {
    known: HashMap<u64, &'a str>,
}

/// Links that are kept, and steps of one way through them; systems give up after forty links.
const MAX_LINKS: usize = 10_000;
const MAX_STEPS: usize = 20_000;
const MAX_HOPS: usize = 255;

impl<'a> Links<'a> {
    fn of(links: impl Iterator<Item = (&'a String, &'a String)>) -> Self {
        let mut all = Self { known: HashMap::new() };
        for (name, target) in links.take(MAX_LINKS) {
            // The link itself is not followed, only the way to it.
            let (folder, last) = name.trim_end_matches('/').rsplit_once('/').unwrap_or(("", name.as_str()));
            if let Some(mut way) = all.way(folder) {
                all.known.insert(step(&mut way, last), target.as_str());
            }
        }
        all
    }

    /// Whether the way from the folder of a link to its target leaves the archive.
    fn leave(&self, name: &str, target: &str) -> bool {
        self.way(&joined(name, target)).is_none()
    }

    /// The folders of a way, each as a number that stands for the whole path to it; `None` when it leaves.
    fn way(&self, path: &str) -> Option<Vec<u64>> {
        let mut way: Vec<u64> = Vec::new();
        let mut rest: Vec<&str> = path.split('/').rev().collect();
        let (mut steps, mut hops) = (0, 0);
        while let Some(part) = rest.pop() {
            steps += 1;
            match part {
                "" | "." => {}
                ".." => {
                    way.pop()?;
                }
                _ => {
                    let here = step(&mut way, part);
                    if let Some(target) = self.known.get(&here).filter(|_| hops < MAX_HOPS) {
                        hops += 1;
                        // A link to an absolute place is told by itself.
                        if !absolute(target) {
                            way.pop();
                            rest.extend(target.split('/').rev());
                        }
                    }
                }
            }
            if steps > MAX_STEPS || rest.len() > MAX_STEPS {
                break;
            }
        }
        Some(way)
    }
}

/// Goes into a folder.
fn step(way: &mut Vec<u64>, part: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (way.last(), part).hash(&mut hasher);
    let here = hasher.finish();
    way.push(here);
    here
}
