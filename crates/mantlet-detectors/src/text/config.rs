//! What text rules are told: what is forbidden, what is secret, which tools and servers are allowed.

use serde::{Deserialize, Serialize};

use super::matcher::HOLD;

/// The most of anything a configuration may list.
const MOST: usize = 1000;

/// What text rules look for besides what they know. Everything is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// Rules that are not asked, by name.
    pub off: Vec<String>,
    /// Kinds of personal data that are looked for (`EMAIL`, `PHONE`, `CARD`, `IBAN`, `SSN`, `IP`); empty for all.
    pub personal: Vec<String>,
    /// Tokens that were placed in instructions and must never come back, at least eight characters each.
    pub canaries: Vec<String>,
    /// Instructions of the system, when callers do not send them.
    pub prompts: Vec<String>,
    /// Words and phrases that must not pass, in any case, as whole words.
    pub terms: Vec<String>,
    /// Regular expressions that must not pass. Each has a longest match; `\b` is written `(?-u:\b)`.
    pub patterns: Vec<NamedPattern>,
    /// Servers that links and images may name; what stands under `.example.com` is allowed by `example.com`.
    pub link_hosts: Vec<String>,
    /// What a model may do with tools.
    pub tools: ToolPolicy,
}

/// A regular expression with a name for reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedPattern {
    /// What it stands for.
    pub name: String,
    /// The expression.
    pub pattern: String,
}

/// Which tools a model may call, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolPolicy {
    /// The tools that may be called; `None` for any. A `*` at the end stands for anything.
    pub allow: Option<Vec<String>>,
    /// Tools that may not be called, whatever `allow` says.
    pub deny: Vec<String>,
    /// Regular expressions that no arguments may match, in any tool.
    pub arguments: Vec<NamedPattern>,
}

impl ToolPolicy {
    /// Whether a tool of that name may be called.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let listed = |list: &[String]| {
            list.iter().any(|entry| match entry.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == entry,
            })
        };
        !listed(&self.deny) && self.allow.as_deref().is_none_or(listed)
    }

    /// Whether any name is refused.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

/// Why text rules cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextConfigError {
    /// A rule of `off` does not exist.
    #[error("there is no text rule `{name}`; `mantlet explain` lists them")]
    UnknownRule {
        /// The name.
        name: String,
    },
    /// A kind of personal data does not exist.
    #[error(
        "there is no kind of personal data `{kind}`: EMAIL, PHONE, CARD, IBAN, SSN and IP are looked for"
    )]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// An expression cannot be used.
    #[error("the pattern `{name}` cannot be used: {why}")]
    Pattern {
        /// Its name.
        name: String,
        /// Why, in words.
        why: String,
    },
    /// A match could be longer than a stream may hold back.
    #[error(
        "the pattern `{name}` has no longest match of at most {HOLD} bytes: bound its repetitions, as in `a{{1,64}}`"
    )]
    Unbounded {
        /// Its name.
        name: String,
    },
    /// A pattern or term matches nothing at all, that is everywhere.
    #[error("`{name}` matches the empty text")]
    Empty {
        /// Its name.
        name: String,
    },
    /// A canary is too short to be told from ordinary text.
    #[error("a canary needs 8 to 256 characters, one has {len}")]
    Canary {
        /// Its length.
        len: usize,
    },
    /// A list is too long.
    #[error("`{list}` has more than {MOST} entries")]
    TooMany {
        /// Which.
        list: &'static str,
    },
    /// All together is too much for one automaton.
    #[error(transparent)]
    Uncompilable(#[from] super::matcher::Uncompilable),
}

impl TextConfig {
    pub(super) fn check_lengths(&self) -> Result<(), TextConfigError> {
        let lists: [(&'static str, usize); 6] = [
            ("canaries", self.canaries.len()),
            ("prompts", self.prompts.len()),
            ("terms", self.terms.len()),
            ("patterns", self.patterns.len()),
            ("tools.arguments", self.tools.arguments.len()),
            ("link_hosts", self.link_hosts.len()),
        ];
        match lists.into_iter().find(|(_, len)| *len > MOST) {
            Some((list, _)) => Err(TextConfigError::TooMany { list }),
            None => Ok(()),
        }
    }
}
