//! What text rules look for besides what they know.

use mantlet_detectors::text::{NamedPattern, TextConfig, ToolPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What text rules look for besides what they know. Everything is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// Rules that are not asked, by name.
    pub off: Vec<String>,
    /// Kinds of personal data that are looked for: EMAIL, PHONE, CARD, IBAN, SSN, IP; empty for all.
    pub personal: Vec<String>,
    /// Tokens that were placed in instructions and must never come back.
    pub canaries: Vec<String>,
    /// Instructions of the system, when callers do not send them.
    pub prompts: Vec<String>,
    /// Words and phrases that must not pass, as whole words.
    pub terms: Vec<String>,
    /// Regular expressions that must not pass, each with a longest match.
    pub patterns: Vec<Pattern>,
    /// Servers that links and images may name.
    pub link_hosts: Vec<String>,
    /// Tools that may be called; any when absent. A `*` at the end stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Tools that may not be called, whatever `tools` says.
    pub tools_denied: Vec<String>,
}

/// A regular expression with a name for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// What it stands for.
    pub name: String,
    /// The expression.
    pub pattern: String,
}

impl Text {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// For the guard.
    #[must_use]
    pub fn rules(&self) -> TextConfig {
        let pattern =
            |pattern: &Pattern| NamedPattern { name: pattern.name.clone(), pattern: pattern.pattern.clone() };
        let tools = ToolPolicy {
            allow: self.tools.clone(),
            deny: self.tools_denied.clone(),
            ..ToolPolicy::default()
        };
        TextConfig {
            off: self.off.clone(),
            personal: self.personal.clone(),
            canaries: self.canaries.clone(),
            prompts: self.prompts.clone(),
            terms: self.terms.clone(),
            patterns: self.patterns.iter().map(pattern).collect(),
            link_hosts: self.link_hosts.clone(),
            tools,
        }
    }
}
