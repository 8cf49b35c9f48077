//! How commands about tables and pictures end: a report, what could not be looked at, and the exit code.

use std::process::ExitCode;

use mantlet_dataset::{Dataset, Pictures};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Finding, Gap};

use crate::cli::Reporting;
use crate::commands::raise::Raising;
use crate::exit;
use crate::terminal::Terminal;

/// What was looked at.
pub(super) struct Looked {
    name: String,
    size: u64,
    /// What helps when something could not be looked at.
    remedy: &'static str,
}

impl Looked {
    /// A table.
    pub(super) fn table(dataset: &Dataset) -> Self {
        let size = dataset.files().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
        Self { name: dataset.name(), size, remedy: "mend the feed, or leave the column out" }
    }

    /// A table compared with a profile.
    pub(super) fn compared(dataset: &Dataset) -> Self {
        let remedy = "mend the feed, leave the column out, or make the profile anew";
        Self { remedy, ..Self::table(dataset) }
    }

    /// A single file.
    pub(super) fn file(path: &std::path::Path) -> Self {
        let size = path.metadata().map_or(0, |file| file.len());
        Self { name: path.display().to_string(), size, remedy: "hand in a whole file" }
    }

    /// Pictures.
    pub(super) fn pictures(pictures: &Pictures) -> Self {
        let name = pictures.root().display().to_string();
        Self {
            name,
            size: pictures.size(),
            remedy: "mend or remove the pictures, or look at fewer at a time",
        }
    }
}

/// Reports what was found, and what could not be looked at.
///
/// # Errors
/// When the report cannot be written.
pub(super) fn conclude(
    terminal: Terminal,
    looked: Looked,
    said: String,
    gaps: Vec<String>,
    findings: Vec<Finding>,
    reporting: &Reporting,
) -> anyhow::Result<ExitCode> {
    close(terminal, examined(looked, said, gaps, findings), reporting)
}

/// The same of a monitor: its report is kept for the console where its alarms become incidents.
///
/// # Errors
/// When the report cannot be written or kept.
pub(super) fn conclude_kept(
    terminal: Terminal,
    looked: Looked,
    said: String,
    gaps: Vec<String>,
    findings: Vec<Finding>,
    (reporting, raising, command): (&Reporting, &Raising, &str),
) -> anyhow::Result<ExitCode> {
    let examination = examined(looked, said, gaps, findings);
    raising.keep(terminal, command, &examination)?;
    close(terminal, examination, reporting)
}

fn close(terminal: Terminal, examination: Examination, reporting: &Reporting) -> anyhow::Result<ExitCode> {
    super::report(terminal, &examination, reporting)?;
    Ok(exit::verdict(examination.verdict(reporting.threshold)))
}

fn examined(looked: Looked, said: String, gaps: Vec<String>, findings: Vec<Finding>) -> Examination {
    let gap = |why: String| Gap { what: looked.name.clone(), why, remedy: looked.remedy.to_owned() };
    let gaps: Vec<Gap> = gaps.into_iter().map(gap).collect();
    Examination {
        artifacts: vec![ArtifactSummary {
            path: looked.name,
            size: looked.size,
            digest: None,
            formats: vec![said],
            said: Default::default(),
            coverage: if gaps.is_empty() { Coverage::Complete } else { Coverage::Partial { gaps } },
        }],
        findings,
        ..Examination::default()
    }
}
