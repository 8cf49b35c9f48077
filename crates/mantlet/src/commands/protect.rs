//! `mantlet protect [DIR]`: take in, probe, admit.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::ProgressBar;
use mantlet_report::SystemReport;
use mantlet_store::{Store, SystemClock};

use super::Which;
use crate::cli::Format;
use crate::protect::{self, Watch};
use crate::runtime;
use crate::terminal::{Terminal, deliver, write_whole};

/// What to protect.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Seed of every random choice; the configuration's when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Form of what is printed: text, json, or html.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write it here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is not valid, or something cannot be written.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    let mut loaded = options.which.load()?;
    if let Some(seed) = options.seed {
        loaded.config.probes.seed = seed;
    }
    let plan = protect::plan(&loaded.config, &format!("mantlet attack run {}", loaded.root.display()));
    let stop = Arc::new(AtomicBool::new(false));
    runtime::block_on(async {
        runtime::stop_on_interrupt(stop.clone());
        let store = Store::open(
            &loaded.storage(),
            Arc::new(SystemClock),
            crate::deploy::store_options(&loaded, false)?,
        )
        .await?;
        let mut watch = Steps { terminal, bar: terminal.bar(8, "protect"), stop };
        let protected = protect::protect(&loaded, &store, &plan, &runtime::actor(), &mut watch).await;
        watch.bar.finish_and_clear();
        store.close().await?;
        let mut protected = protected?;
        protected.report.command = format!("mantlet protect {}", loaded.words());
        let page = loaded.root.join("report.html");
        write_whole(&page, mantlet_report::html(&protected.report).as_bytes())?;
        let text = match options.format {
            Format::Json => serde_json::to_string_pretty(&Printed {
                verdict: protected.admission.verdict.word(),
                admission: &protected.admission,
                state: protected.recorded.version.state.word(),
                passport: protected.recorded.passport.as_ref().map(|path| path.display().to_string()),
                report: &protected.report,
            })?,
            Format::Html => mantlet_report::html(&protected.report),
            _ => plain(terminal, &protected, &page),
        };
        deliver(terminal, &text, options.output.as_deref())?;
        Ok(ExitCode::from(protected.admission.exit_code))
    })
}

#[derive(serde::Serialize)]
struct Printed<'a> {
    verdict: &'a str,
    admission: &'a mantlet_verdict::Admission,
    state: &'a str,
    passport: Option<String>,
    report: &'a SystemReport,
}

/// The verdict in plain words.
pub fn plain(terminal: Terminal, protected: &protect::Protected, page: &std::path::Path) -> String {
    use std::fmt::Write as _;
    let report = &protected.report;
    let mut text = format!("{}\n", terminal.heading(&report.verdict.headline));
    for (kind, plain) in protected.admission.lines() {
        let _ = writeln!(text, "  {:<14} {plain}", kind.word());
    }
    for (name, value) in report.models.iter().flat_map(|model| &model.facts) {
        let _ = writeln!(text, "  {name:<14} {value}");
    }
    let _ = writeln!(text, "\nOn record as {}.", protected.recorded.version.state);
    if let Some(passport) = &protected.recorded.passport {
        let _ = writeln!(text, "Passport: {}", passport.display());
    }
    let _ = writeln!(text, "Report: {}", page.display());
    if !report.verdict.next.is_empty() {
        let _ = writeln!(text, "\nNext:");
    }
    for step in &report.verdict.next {
        match &step.command {
            Some(command) => {
                let _ = writeln!(text, "  {}: {command}", step.what);
            }
            None => {
                let _ = writeln!(text, "  {}", step.what);
            }
        }
    }
    text
}

/// Progress of the stations: a bar on a terminal, plain lines otherwise.
pub struct Steps {
    /// Where to speak.
    pub terminal: Terminal,
    /// The bar; hidden without a terminal.
    pub bar: ProgressBar,
    /// Set when a person asked to stop.
    pub stop: Arc<AtomicBool>,
}

impl mantlet_scan::Progress for Steps {}

impl Watch for Steps {
    fn begin(&mut self, what: &str) {
        self.bar.inc(1);
        self.bar.set_message(what.to_owned());
        if self.bar.is_hidden() {
            self.terminal.note(&format!("  {what}"));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
