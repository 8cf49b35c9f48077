//! `mantlet data`: training data before a model learns from it.

pub mod batches;
mod beside;
mod check;
mod diff;
mod examine;
mod feedback;
mod feeds;
mod floods;
pub mod gate;
mod images;
mod influence;
mod labels;
mod pictures;
mod rows;
mod schema;
mod simulate;
mod texts;
mod triggers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use mantlet_dataset::Pictures;

use crate::cli::Reporting;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// Refuses to write a list of pictures over one of them, or over their labels.
fn apart_from_pictures(pictures: &Pictures, labels: Option<&Path>, rows: Option<&Path>) -> Result<(), Usage> {
    let files: Vec<PathBuf> = if pictures.root().is_file() {
        vec![pictures.root().to_owned()]
    } else {
        (0..pictures.len()).map(|at| pictures.root().join(pictures.name(at))).collect()
    };
    super::tables::apart(files.iter().map(PathBuf::as_path).chain(labels), &[("rows", rows)])
}

/// What to do with data.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a table for missing, repeated, conflicting, leaking and flipped rows, and against what it promises.
    Check(check::Options),
    /// Write down what a table keeps: kinds, bounds, words, spellings and keys, to be corrected and held against later ones.
    Schema(schema::Options),
    /// What changed between two versions of a table: labels, values, missing ones, relations between columns.
    Diff(diff::Options),
    /// Find the feed, labeler or segment whose labels are turned slowly, batch after batch.
    Feeds {
        #[command(flatten)]
        sources: feeds::Sources,
        #[command(flatten)]
        reporting: Reporting,
    },
    /// Find rows whose label a model that did not learn from them contradicts, and whose they are.
    Labels(labels::Options),
    /// Find floods of near copies, and the feed and time they come from.
    Floods(floods::Options),
    /// Find triggers: phrases, hidden letters or pairs of values that decide a label against everything else.
    Triggers(triggers::Options),
    /// Find accounts that steer clicks, ratings or reports together, and what they change.
    Feedback(feedback::Options),
    /// Find marks planted into labelled pictures: patches, patterns blended over them, small marks anywhere.
    Images(images::Options),
    /// Find the feed that decides what a model says in a segment, by training with and without each.
    Influence(influence::Options),
    /// Find what a model would learn from texts and give away or obey: personal data, secrets, orders to a model.
    Texts(texts::Options),
    /// List the rows most worth a person's look, likeliest first, as CSV with room for a decision.
    Review {
        #[command(flatten)]
        sources: feeds::Sources,
        /// Rows to list.
        #[arg(long, value_name = "N", default_value_t = 200)]
        rows: usize,
        /// Write the list here instead of to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Register a batch; it is quarantined until its gate passes or people let it through.
    Deliver(batches::Delivered),
    /// Run the gate of a batch: it passes, or is held for people to decide.
    Gate(gate::Gated),
    /// List the rows of a held batch that are most worth a look, as CSV with room for a decision about each.
    Rows(rows::Listed),
    /// Decide about rows of a held batch: keep, leave out, or give another label.
    Rule(rows::Ruled),
    /// Write a batch as it may be learned from: without rows that people left out, with the labels they gave.
    Export(rows::Exported),
    /// Every batch and where it stands, as the audit log tells it; with --usable, the files to learn from.
    Batches(batches::Listed),
    /// Let a batch that its gate held through, for exactly its present bytes; nobody lets their own through.
    Approve(batches::Decided),
    /// Throw a batch out.
    Reject(batches::Decided),
    /// Take back batches that passed or were approved: no model learns from them any more.
    Withdraw(batches::Withdrawn),
    /// Stop retraining: no batch is usable until --off.
    Freeze(batches::Frozen),
    /// Plant poison into a copy of a table, to test a gate.
    Simulate(simulate::Options),
}

/// Runs the command.
///
/// # Errors
/// When the folder has no valid configuration, a table cannot be read, or a report cannot be written.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(options) => check::run(terminal, &options),
        Command::Schema(options) => schema::run(terminal, &options),
        Command::Feeds { sources, reporting } => feeds::feeds(terminal, &sources, &reporting),
        Command::Diff(options) => diff::run(terminal, &options),
        Command::Labels(options) => labels::run(terminal, &options),
        Command::Floods(options) => floods::run(terminal, &options),
        Command::Triggers(options) => triggers::run(terminal, &options),
        Command::Feedback(options) => feedback::run(terminal, &options),
        Command::Images(options) => images::run(terminal, &options),
        Command::Influence(options) => influence::run(terminal, &options),
        Command::Texts(options) => texts::run(terminal, &options),
        Command::Deliver(options) => batches::deliver(terminal, &options),
        Command::Gate(options) => gate::gate(terminal, &options),
        Command::Rows(options) => rows::list(terminal, &options),
        Command::Rule(options) => rows::rule(terminal, &options),
        Command::Export(options) => rows::export(terminal, &options),
        Command::Batches(options) => batches::list(terminal, &options),
        Command::Approve(options) => batches::decide(terminal, &options, true),
        Command::Reject(options) => batches::decide(terminal, &options, false),
        Command::Withdraw(options) => batches::withdraw(terminal, &options),
        Command::Freeze(options) => batches::freeze(terminal, &options),
        Command::Simulate(options) => simulate::run(terminal, &options),
        Command::Review { sources, rows, out } => feeds::review(terminal, &sources, rows, out.as_deref()),
    }
}
