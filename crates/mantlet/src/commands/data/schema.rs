//! `mantlet data schema`: what a table keeps, written down to be corrected and pinned.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::schema::infer;

use crate::commands::tables;
use crate::terminal::{self, Terminal};

/// The table, and where its schema goes.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// Write the schema here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the table cannot be read, or the schema cannot be written.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let table = tables::open(&options.tables)?;
    tables::apart(table.files(), &[("out", options.out.as_deref())])?;
    let schema = infer(&table)?;
    let text = toml::to_string_pretty(&schema)?;
    match &options.out {
        Some(path) => {
            terminal::write_whole(path, text.as_bytes())?;
            let count = schema.columns.len();
            terminal.say(&format!(
                "what {count} columns keep, in {}; read it before it is trusted",
                path.display()
            ));
        }
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
