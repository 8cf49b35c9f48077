//! `mantlet scan PATH...`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::Reporting;
use crate::exit;
use crate::terminal::Terminal;

/// What to scan, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Model files, folders and archives.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
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
    let mut progress = Bar(terminal.bar(0, "scan"));
    let examination = mantlet_scan::scan(&options.paths, &settings, &mut progress);
    progress.0.finish_and_clear();
    super::report(terminal, &examination, &options.reporting)?;
    Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
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
