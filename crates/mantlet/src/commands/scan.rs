//! `mantlet scan PATH...`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mantlet_vocab::{Examination, Verdict};

use crate::cli::{Format, Reporting};
use crate::exit;
use crate::terminal::Terminal;

/// What to scan, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Model files, folders and archives.
    #[arg(required_unless_present = "diff")]
    paths: Vec<PathBuf>,
    /// Compare two versions instead: tensors, code, configuration and graph.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["paths", "base"])]
    diff: Option<Vec<PathBuf>>,
    /// The model this one is said to be made from: its weights are compared for traces of tampering.
    #[arg(long, value_name = "BASE")]
    base: Option<PathBuf>,
    /// Threads; the report is the same for any number.
    #[arg(long)]
    threads: Option<usize>,
    /// How deep archives within archives are opened.
    #[arg(long)]
    max_depth: Option<u8>,
    /// Read every byte: digests, hidden content in tensor data.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the report cannot be written.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    let mut settings = mantlet_scan::Options::default();
    if let Some(threads) = options.threads {
        settings.threads = threads.max(1);
    }
    if let Some(depth) = options.max_depth {
        settings.max_depth = depth;
    }
    settings.full_content = options.full;
    if let Some([old, new]) = options.diff.as_deref() {
        return compare(terminal, old, new, &settings, &options.reporting);
    }
    let mut progress = Bar(terminal.bar(0, "scan"));
    let mut examination = mantlet_scan::scan(&options.paths, &settings, &mut progress);
    progress.0.finish_and_clear();
    if let Some(base) = &options.base {
        for path in &options.paths {
            let (findings, gaps) = mantlet_scan::against(base, path, &settings.bounds);
            examination.merge(Examination { findings, gaps, ..Examination::default() });
        }
    }
    super::report(terminal, &examination, &options.reporting)?;
    Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
}

/// Compares two versions: found when the new one has findings the old one has not, whatever else changed.
fn compare(
    terminal: Terminal,
    old: &Path,
    new: &Path,
    settings: &mantlet_scan::Options,
    reporting: &Reporting,
) -> anyhow::Result<ExitCode> {
    let diff = mantlet_scan::diff::diff(old, new, settings);
    let text = match reporting.format {
        Format::Text => diff.text(),
        Format::Json => serde_json::to_string_pretty(&diff)? + "\n",
        _ => anyhow::bail!("a comparison is printed as text or json; use --format text or --format json"),
    };
    crate::terminal::deliver(terminal, &text, reporting.output.as_deref())?;
    let verdict = if diff.found.iter().any(|finding| finding.severity >= reporting.threshold) {
        Verdict::Found
    } else if diff.gaps.is_empty() {
        Verdict::Clean
    } else {
        Verdict::NotFullyExamined
    };
    Ok(exit::verdict(verdict))
}

/// Shows scan progress on a terminal.
pub struct Bar(pub indicatif::ProgressBar);

impl mantlet_scan::Progress for Bar {
    fn start(&mut self, files: usize) {
        self.0.set_length(files as u64);
    }

    fn file(&mut self, _: &str, done: usize, _: usize) {
        self.0.set_position(done as u64);
    }
}
