//! `mantlet data feedback`: accounts that steer clicks, ratings or reports together.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::feedback::{FeedbackRoles, feedback};
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::terminal::{self, Terminal};

/// The table, and what its columns stand for.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The column that says who.
    #[arg(long, value_name = "COLUMN")]
    account: String,
    /// The column that says of what.
    #[arg(long, value_name = "COLUMN")]
    item: String,
    /// The column with what was said: a rating, a click, a report.
    #[arg(long, value_name = "COLUMN")]
    value: String,
    /// The column that says when; acts of one day belong together. Without it, time does not count.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Write the accounts that were told here, as CSV, each with the number of its ring.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Runs the command.
///
/// # Errors
/// When the table cannot be read, or a column is missing.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let dataset = tables::open(&options.tables)?;
    tables::apart(dataset.files(), &[("rows", options.rows.as_deref())])?;
    let roles = FeedbackRoles {
        account: options.account.clone(),
        item: options.item.clone(),
        value: options.value.clone(),
        time: options.time.clone(),
    };
    let found = feedback(&dataset, &roles, &Place::artifact(dataset.name()))?;
    if let Some(path) = &options.rows {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["account", "ring"])?;
        for (ring, accounts) in found.rings.iter().enumerate() {
            for account in accounts {
                writer.write_record([account.clone(), (ring + 1).to_string()])?;
            }
        }
        terminal::write_whole(path, &writer.into_inner()?)?;
    }
    let said = format!("{} acts of {} accounts, {} rings", found.acts, found.accounts, found.rings.len());
    conclude(terminal, Looked::table(&dataset), said, found.gaps, found.findings, &options.reporting)
}
