//! What text rules look for besides what they know.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mantlet_detectors::text::{NamedPattern, TextConfig, ToolPolicy};
use mantlet_vocab::OnFailure;
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

/// A judge of text behind an endpoint: it is sent a window of text as JSON, and answers with a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Its name in records and reports, as `toxicity-judge`.
    pub name: String,
    /// Where it is asked.
    pub endpoint: String,
    /// The score from which it says yes.
    #[serde(default = "half")]
    pub threshold: f64,
    /// What its yes leads to: flag, throttle, divert or refuse.
    #[serde(default = "Says::flag")]
    pub says: Says,
    /// What happens when it fails or is late; the class of impact decides when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub on_failure: Option<OnFailure>,
    /// The most bytes it is shown at once; windows overlap by half.
    #[serde(default = "window")]
    pub window: usize,
    /// Bytes of a reply that may be released before it has judged them; 0 holds everything back until then.
    #[serde(default)]
    pub lag: usize,
    /// How long one answer may take, in milliseconds.
    #[serde(default = "patience")]
    pub timeout_ms: u64,
    /// Calls at the same time; as many again wait.
    #[serde(default = "at_once")]
    pub at_once: usize,
    /// Headers of each call, as its key: name of the header, and the file that holds its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, PathBuf>,
}

/// What a judge's yes leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// It is marked.
    Flag,
    /// The caller waits.
    Throttle,
    /// A person decides.
    Divert,
    /// It is refused, and a stream is cut.
    Refuse,
}

impl Says {
    const fn flag() -> Self {
        Self::Flag
    }
}

const fn half() -> f64 {
    0.5
}

const fn window() -> usize {
    2_048
}

const fn patience() -> u64 {
    500
}

const fn at_once() -> usize {
    8
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
