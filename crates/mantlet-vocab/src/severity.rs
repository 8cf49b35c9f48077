//! How bad, and how sure: two scales that are never mixed.

use serde::{Deserialize, Serialize};

/// How bad a finding about an artifact or a data set is. The order is the order of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, harmless by itself.
    Note,
    /// A careful person would look before going on. Fails a scan by default.
    Suspicious,
    /// Using the artifact as intended would do harm.
    Malicious,
}

/// How much harm a live alert, or a system's decisions, can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Impact {
    /// Annoying; nobody is hurt.
    Low,
    /// Costs time or some money.
    Medium,
    /// Money, access or rights of people are affected.
    High,
    /// Safety, or harm that cannot be undone.
    Critical,
}

/// How sure a room is of what it says, apart from how bad it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A hint; look for more.
    Low,
    /// More likely than not.
    Medium,
    /// Shown by the evidence attached.
    High,
}

macro_rules! words {
    ($($kind:ident { $($variant:ident => $word:literal),+ }),+) => {$(
        impl $kind {
            /// The lower-case word used in reports and configuration.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
        impl std::str::FromStr for $kind {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is none of {}", [$($word),+].join(", "))),
                }
            }
        }
    )+};
}

words! {
    Severity { Note => "note", Suspicious => "suspicious", Malicious => "malicious" },
    Impact { Low => "low", Medium => "medium", High => "high", Critical => "critical" },
    Confidence { Low => "low", Medium => "medium", High => "high" }
}
