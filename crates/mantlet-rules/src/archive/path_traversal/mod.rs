//! A member of an archive would be written outside its folder.

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
                for (name, target, offset) in &zip.links {
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                    if target.starts_with('/') || super::escapes(&format!("{folder}/{target}")) {
                        let target: String = target.chars().filter(|c| !c.is_control()).take(200).collect();
                        accuse(name, *offset, format!("is a link to `{target}`"));
                    }
                }
            }
            Facts::Tar(tar) => {
                // Names of links that lead outside: what is written below them lands there.
                let mut outside: Vec<&str> = Vec::new();
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
                    if let TarKind::Link(target) = &entry.kind {
                        let folder = entry.name.rsplit_once('/').map_or("", |(folder, _)| folder);
                        let joined = if target.starts_with('/') {
                            target.clone()
                        } else {
                            format!("{folder}/{target}")
                        };
                        if super::escapes(joined.trim_start_matches('/')) || target.starts_with('/') {
                            if outside.len() < 256 {
                                outside.push(&entry.name);
                            }
                            if !tar.layer {
                                accuse(&entry.name, entry.data, format!("is a link to `{target}`"));
                            }
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
