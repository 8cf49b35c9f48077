//! `mantlet audit verify|show`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use mantlet_seal::log::{Checkpoint, LogVerifier};
use mantlet_store::{StoreError, verify_audit};

use super::open_store;
use crate::runtime;
use crate::terminal::Terminal;

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Recompute the whole log and compare it with its signed checkpoint; names the first entry that was
    /// changed, removed or reordered.
    Verify {
        /// The folder with mantlet.toml, or the audit folder itself.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// The log's verifier key, kept elsewhere; the folder's own when absent.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// A signed checkpoint seen earlier: the log must be a continuation of it.
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
    },
    /// The last entries, newest first.
    Show {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 20)]
        last: usize,
    },
}

/// Runs the command.
///
/// # Errors
/// When the log or the keys cannot be read.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify { path, key, since } => {
            let folder = if path.join(crate::config::FILE_NAME).exists() {
                crate::config::load(&path)?.storage().join("audit")
            } else {
                path
            };
            let read = |path: &PathBuf| {
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
            };
            let verifier = key.as_ref().map(read).transpose()?;
            let verifier = verifier.map(|text| LogVerifier::from_text(text.trim())).transpose()?;
            let since = since.as_ref().map(read).transpose()?;
            // The signature of the earlier checkpoint was checked when it was kept; here it is compared.
            let since = since
                .map(|note| {
                    Checkpoint::read(note.split("\n\n").next().map_or("", |text| text))
                        .or_else(|_| Checkpoint::read(&note))
                })
                .transpose()?;
            match verify_audit(&folder, verifier.as_ref(), since.as_ref()) {
                Ok(report) => {
                    terminal.say(&format!(
                        "the audit log is whole: {} entries, root {}\n{}",
                        report.size, report.root, report.checkpoint
                    ));
                    Ok(ExitCode::SUCCESS)
                }
                Err(StoreError::Audit(error)) => {
                    terminal.say(&format!("the audit log is NOT whole: {error:#}"));
                    Ok(ExitCode::from(1))
                }
                Err(error) => Err(error.into()),
            }
        }
        Command::Show { path, last } => runtime::block_on(async {
            let (_, store) = open_store(&path).await?;
            for entry in store.audit().tail(last).await? {
                terminal.say(&format!(
                    "{:>6}  {}  {:<16} {:<24} {}",
                    entry.index, entry.at, entry.actor, entry.action, entry.subject
                ));
            }
            store.close().await?;
            Ok(ExitCode::SUCCESS)
        }),
    }
}
