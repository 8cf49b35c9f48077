//! What was examined, what was not, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Finding, Severity};

/// The three verdicts. Silence is not cleanliness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything was examined and nothing at or above the threshold was found.
    Clean,
    /// Something at or above the threshold was found. Wins over partial.
    Found,
    /// Something could not be examined.
    NotFullyExamined,
}

impl Verdict {
    /// The process exit code: 0 clean, 1 found, 2 not fully examined.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found => 1,
            Self::NotFullyExamined => 2,
        }
    }

    /// The words used in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Found => "found",
            Self::NotFullyExamined => "not fully examined",
        }
    }
}

/// Something that was not examined, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The part: a member, a probe, a byte range.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What would let it be examined.
    pub remedy: String,
}

/// How much of an artifact was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "coverage")]
pub enum Coverage {
    /// All of it.
    Complete,
    /// Not these parts.
    Partial {
        /// What is missing.
        gaps: Vec<Gap>,
    },
}

/// One artifact that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSummary {
    /// The path as the user named it.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, when every byte was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Formats recognised by content, outermost first.
    pub formats: Vec<String>,
    /// What it says of its licence and origin, by kind (`licence`, `base model`, `author`, ...): claims, not judged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub said: BTreeMap<String, Vec<String>>,
    /// How much was examined.
    #[serde(flatten)]
    pub coverage: Coverage,
}

/// The result of a take-in station (scan, data, deps): artifacts, findings, gaps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Examination {
    /// What was examined.
    pub artifacts: Vec<ArtifactSummary>,
    /// What was found, in report order.
    pub findings: Vec<Finding>,
    /// What was not examined at all (unreadable paths, skipped probes).
    pub gaps: Vec<Gap>,
    /// Version and digest of the table of effects it was judged by, when that is not the shipped one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<String>,
}

impl Examination {
    /// The verdict at a threshold; nothing examined at all is not clean.
    #[must_use]
    pub fn verdict(&self, threshold: Severity) -> Verdict {
        if self.findings.iter().any(|finding| finding.severity >= threshold) {
            Verdict::Found
        } else if self.artifacts.is_empty()
            || !self.gaps.is_empty()
            || self.artifacts.iter().any(|artifact| artifact.coverage != Coverage::Complete)
        {
            Verdict::NotFullyExamined
        } else {
            Verdict::Clean
        }
    }

    /// Adds another examination's results, keeping report order.
    pub fn merge(&mut self, other: Self) {
        self.artifacts.extend(other.artifacts);
        self.findings.extend(other.findings);
        self.gaps.extend(other.gaps);
        self.effects = self.effects.take().or(other.effects);
        Finding::sort(&mut self.findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_examined_is_not_clean_and_found_wins_over_partial() {
        let mut examination = Examination::default();
        assert_eq!(examination.verdict(Severity::Suspicious), Verdict::NotFullyExamined);
        examination.artifacts.push(ArtifactSummary {
            path: "a".into(),
            size: 0,
            digest: None,
            formats: vec![],
            said: BTreeMap::new(),
            coverage: Coverage::Complete,
        });
        assert_eq!(examination.verdict(Severity::Suspicious), Verdict::Clean);
        examination.gaps.push(Gap { what: "b".into(), why: "c".into(), remedy: "d".into() });
        assert_eq!(examination.verdict(Severity::Suspicious).exit_code(), 2);
    }
}
