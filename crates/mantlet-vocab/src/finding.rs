//! A static finding: something seen in an artifact, a data set, a dependency or a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Confidence, Place, Severity};

/// What a room found. Rooms make them through [`crate::About::finding`]; reports print them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The room's name.
    pub name: String,
    /// The room's title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// Where.
    pub place: Place,
    /// What was seen, in one line.
    pub message: String,
    /// Why it matters, in one paragraph.
    pub why: String,
    /// What to do now.
    pub help: String,
    /// A decoded trace or excerpt, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// Named figures and values behind the finding.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, serde_json::Value>,
    /// ATLAS technique ids.
    pub atlas: Vec<String>,
    /// OWASP ids with their edition.
    pub owasp: Vec<String>,
}

impl Finding {
    /// Replaces the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds decoded lines.
    #[must_use]
    pub fn trace(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.trace.extend(lines);
        self
    }

    /// Adds a named figure.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the severity away from the room's default.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Sets the confidence away from the room's default.
    #[must_use]
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// The stable order of reports: worst first, then place, then name, then message.
    pub fn sort(findings: &mut [Finding]) {
        findings.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.place.cmp(&b.place))
                .then_with(|| a.name.cmp(&b.name))
                .then_with(|| a.message.cmp(&b.message))
        });
    }
}
