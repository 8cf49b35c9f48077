//! What a room (a rule, check, detector, attack or action) says about itself.

use crate::{Confidence, Finding, Impact, Place, Severity, Signal, catalogue};

/// The identity card of a room. One `const` per room, beside its code.
///
/// `explain` is the room's `explain.md` and `cases` its `cases.md`, both by `include_str!`.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// `family-thing`, kebab-case, names the bad thing and never the cure.
    pub name: &'static str,
    /// One line in plain words, without a full stop.
    pub title: &'static str,
    /// How bad a hit is by default (artifact and data rooms).
    pub severity: Severity,
    /// How bad a live hit is by default (detectors, attacks).
    pub impact: Impact,
    /// How sure a hit is by default.
    pub confidence: Confidence,
    /// ATLAS technique ids, as in [`catalogue`].
    pub atlas: &'static [&'static str],
    /// OWASP ids with their edition, as in [`catalogue`].
    pub owasp: &'static [&'static str],
    /// The room's `explain.md`.
    pub explain: &'static str,
    /// The room's `cases.md`.
    pub cases: &'static str,
}

/// The sections of an `explain.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// `## What it sees`
    pub sees: &'a str,
    /// `## Why it matters`
    pub why: &'a str,
    /// `## What to do`
    pub help: &'a str,
    /// `## References`
    pub references: &'a str,
}

/// What is wrong with a room, said by the house test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HouseFault {
    /// The name is not `family-thing` in kebab-case.
    #[error("room name `{0}` is not kebab-case with a family")]
    Name(&'static str),
    /// A heading of `explain.md` is absent or empty.
    #[error("room `{room}`: explain.md lacks `## {heading}`")]
    Heading {
        /// The room.
        room: &'static str,
        /// The missing heading.
        heading: &'static str,
    },
    /// An id is not in the pinned catalogue.
    #[error("room `{room}`: unknown catalogue id `{id}`")]
    Id {
        /// The room.
        room: &'static str,
        /// The unknown id.
        id: &'static str,
    },
    /// `cases.md` lacks one of hit, near miss, benign.
    #[error("room `{room}`: cases.md lacks a `## {kind}` case")]
    Cases {
        /// The room.
        room: &'static str,
        /// `hit`, `near miss` or `benign`.
        kind: &'static str,
    },
    /// Two rooms share a name.
    #[error("two rooms are called `{0}`")]
    Doubled(&'static str),
}

impl About {
    /// The sections of `explain.md`; absent sections are empty.
    #[must_use]
    pub fn explanation(&self) -> Explanation<'static> {
        Explanation {
            sees: section(self.explain, "What it sees"),
            why: section(self.explain, "Why it matters"),
            help: section(self.explain, "What to do"),
            references: section(self.explain, "References"),
        }
    }

    /// A finding of this room with its default severity, confidence, reason and remedy.
    #[must_use]
    pub fn finding(&self, place: Place, message: impl Into<String>) -> Finding {
        let explanation = self.explanation();
        Finding {
            name: self.name.to_owned(),
            title: self.title.to_owned(),
            severity: self.severity,
            confidence: self.confidence,
            place,
            message: message.into(),
            why: first_paragraph(explanation.why),
            help: first_paragraph(explanation.help),
            trace: Vec::new(),
            facts: std::collections::BTreeMap::new(),
            atlas: self.atlas.iter().map(|&id| id.to_owned()).collect(),
            owasp: self.owasp.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    /// A live signal of this room with its default impact and confidence.
    #[must_use]
    pub fn signal(&self, score: f64, message: impl Into<String>) -> Signal {
        Signal {
            name: self.name.to_owned(),
            impact: self.impact,
            confidence: self.confidence,
            score,
            message: message.into(),
            facts: std::collections::BTreeMap::new(),
        }
    }

    /// Every fault the house test finds in these rooms. Empty means the house is in order.
    #[must_use]
    pub fn faults(rooms: &[&'static About]) -> Vec<HouseFault> {
        let mut faults = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for room in rooms {
            if !seen.insert(room.name) {
                faults.push(HouseFault::Doubled(room.name));
            }
            let kebab = room.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if !kebab || !room.name.contains('-') || room.name.starts_with('-') || room.name.ends_with('-') {
                faults.push(HouseFault::Name(room.name));
            }
            for heading in ["What it sees", "Why it matters", "What to do", "References"] {
                if section(room.explain, heading).is_empty() {
                    faults.push(HouseFault::Heading { room: room.name, heading });
                }
            }
            for id in room.atlas.iter().chain(room.owasp) {
                if catalogue::title(id).is_none() {
                    faults.push(HouseFault::Id { room: room.name, id });
                }
            }
            let cases = room.cases.to_ascii_lowercase();
            for kind in ["hit", "near miss", "benign"] {
                if !cases.lines().any(|line| line.starts_with("## ") && line.contains(kind)) {
                    faults.push(HouseFault::Cases { room: room.name, kind });
                }
            }
        }
        faults
    }
}

fn section(markdown: &'static str, heading: &str) -> &'static str {
    let mut start = None;
    let mut offset = 0;
    for line in markdown.split_inclusive('\n') {
        if let Some(title) = line.strip_prefix("## ") {
            if let Some(from) = start {
                return markdown.get(from..offset).unwrap_or("").trim();
            }
            if title.trim() == heading {
                start = Some(offset + line.len());
            }
        }
        offset += line.len();
    }
    start.and_then(|from| markdown.get(from..)).unwrap_or("").trim()
}

fn first_paragraph(text: &str) -> String {
    text.split("\n\n").next().unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: About = About {
        name: "pickle-unsafe-global",
        title: "a pickle names a function that can run commands",
        severity: Severity::Malicious,
        impact: Impact::High,
        confidence: Confidence::High,
        atlas: &["AML.T0011.000"],
        owasp: &["ML06:2023"],
        explain: "# x\n## What it sees\na\n## Why it matters\nLoading\nruns it.\n\nMore.\n## What to do\nc\n## References\nd\n",
        cases: "## hit: a\n## near miss: b\n## benign: c\n",
    };

    #[test]
    fn a_room_in_order_has_no_faults_and_a_broken_one_has_each() {
        assert_eq!(About::faults(&[&ROOM]), []);
        const BROKEN: About =
            About { name: "Broken", atlas: &["AML.T9999"], explain: "", cases: "## hit\n", ..ROOM };
        let faults = About::faults(&[&BROKEN, &BROKEN]);
        assert!(faults.contains(&HouseFault::Doubled("Broken")));
        assert!(faults.contains(&HouseFault::Name("Broken")));
        assert!(faults.contains(&HouseFault::Id { room: "Broken", id: "AML.T9999" }));
        assert!(faults.contains(&HouseFault::Cases { room: "Broken", kind: "near miss" }));
        assert!(faults.contains(&HouseFault::Heading { room: "Broken", heading: "References" }));
    }

    #[test]
    fn a_finding_takes_the_first_paragraph_of_the_reason() {
        let finding = ROOM.finding(Place::artifact("a.pkl"), "x");
        assert_eq!(finding.why, "Loading runs it.");
    }
}
