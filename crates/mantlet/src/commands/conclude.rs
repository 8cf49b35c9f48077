//! How commands about tables and pictures end: a report, what could not be looked at, and the exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mantlet_dataset::{Dataset, Pictures};
use mantlet_vocab::{ArtifactSummary, Coverage, Examination, Finding, Gap};

use crate::cli::Reporting;
use crate::commands::raise::Raising;
use crate::commands::tables;
use crate::exit::{self, Usage};
use crate::terminal::Terminal;

/// What was looked at.
pub(super) struct Looked {
    name: String,
    size: u64,
    /// The files that were read.
    files: Vec<PathBuf>,
    /// What helps when something could not be looked at.
    remedy: &'static str,
}

impl Looked {
    /// A table.
    pub(super) fn table(dataset: &Dataset) -> Self {
        let size = dataset.files().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum();
        let files = dataset.files().map(Path::to_owned).collect();
        Self { name: dataset.name(), size, files, remedy: "mend the feed, or leave the column out" }
    }

    /// A table compared with a profile.
    pub(super) fn compared(dataset: &Dataset) -> Self {
        let remedy = "mend the feed, leave the column out, or make the profile anew";
        Self { remedy, ..Self::table(dataset) }
    }

    /// A single file.
    pub(super) fn file(path: &Path) -> Self {
        let size = path.metadata().map_or(0, |file| file.len());
        let files = vec![path.to_owned()];
        Self { name: path.display().to_string(), size, files, remedy: "hand in a whole file" }
    }

    /// Pictures.
    pub(super) fn pictures(pictures: &Pictures) -> Self {
        let name = pictures.root().display().to_string();
        Self {
            name,
            size: pictures.size(),
            // A folder is no file that a report could replace.
            files: vec![pictures.root().to_owned()],
            remedy: "mend or remove the pictures, or look at fewer at a time",
        }
    }
}

impl Looked {
    /// Refuses a report over what was read.
    fn apart(&self, reporting: &Reporting) -> Result<(), Usage> {
        tables::apart(self.files.iter().map(PathBuf::as_path), &[("output", reporting.output.as_deref())])
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
    looked.apart(reporting)?;
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
    looked.apart(reporting)?;
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
