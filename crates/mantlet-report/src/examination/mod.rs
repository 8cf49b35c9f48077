//! An examination (what a take-in station found) in five formats.

mod cyclonedx;
mod json;
mod licence;
mod markdown;
mod picture;
mod sarif;
mod text;
mod tree;
mod web;

use mantlet_vocab::{About, Examination, Severity};

pub use cyclonedx::cyclonedx;
pub use json::JSON_VERSION;
pub use picture::pictures;
pub(crate) use web::finding_list;
pub use web::findings;

/// The formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// For a terminal.
    #[default]
    Text,
    /// For programs; carries its version.
    Json,
    /// For code-scanning services: SARIF 2.1.0.
    Sarif,
    /// For tickets and pull requests.
    Markdown,
    /// One self-contained page.
    Html,
}

impl Format {
    /// Every format, in the order help lists them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Json, Self::Sarif, Self::Markdown, Self::Html];

    /// The word on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Markdown => "markdown",
            Self::Html => "html",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.word() == text);
        found.ok_or_else(|| format!("`{text}` is none of {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// How an examination is worded.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// Whether text carries terminal colours.
    pub colour: bool,
    /// The severity at and above which the verdict is "found".
    pub threshold: Severity,
    /// The version of the program.
    pub version: &'a str,
    /// Every room the program has; SARIF lists them as rules.
    pub rooms: &'a [&'static About],
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self {
            colour: false,
            threshold: Severity::Suspicious,
            version: env!("CARGO_PKG_VERSION"),
            rooms: &[],
        }
    }
}

/// The examination in this format. Text, Markdown and JSON end with a line feed.
#[must_use]
pub fn examination(examination: &Examination, format: Format, style: Style<'_>) -> String {
    match format {
        Format::Text => text::write(examination, style),
        Format::Json => json::write(examination, style),
        Format::Sarif => sarif::write(examination, style),
        Format::Markdown => markdown::write(examination, style),
        Format::Html => web::write(examination, style),
    }
}

/// One sentence that says what came of it: "2 findings (1 malicious, 1 note) in 3 artifacts, 1.2 MB".
fn summary(examination: &Examination) -> String {
    use crate::words::plural;
    let size: u64 = examination.artifacts.iter().fold(0, |sum, artifact| sum.saturating_add(artifact.size));
    let mut kinds = Vec::new();
    for severity in [Severity::Malicious, Severity::Suspicious, Severity::Note] {
        let n = examination.findings.iter().filter(|finding| finding.severity == severity).count();
        if n > 0 {
            kinds.push(format!("{n} {severity}"));
        }
    }
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let table = examination
        .effects
        .as_ref()
        .map(|table| format!(", judged by the table of effects {}", crate::words::clean_line(table).trim()));
    format!(
        "{}{kinds} in {}, {}{}",
        plural(examination.findings.len(), "finding"),
        plural(examination.artifacts.len(), "artifact"),
        crate::bytes(size),
        table.unwrap_or_default()
    )
}

/// Everything that was not examined: whole gaps first, then gaps inside artifacts with their path.
fn all_gaps(examination: &Examination) -> Vec<mantlet_vocab::Gap> {
    let mut gaps = examination.gaps.clone();
    for artifact in &examination.artifacts {
        if let mantlet_vocab::Coverage::Partial { gaps: inner } = &artifact.coverage {
            gaps.extend(inner.iter().map(|gap| mantlet_vocab::Gap {
                what: if gap.what.starts_with(&artifact.path) {
                    gap.what.clone()
                } else {
                    format!("{}: {}", artifact.path, gap.what)
                },
                ..gap.clone()
            }));
        }
    }
    gaps
}
