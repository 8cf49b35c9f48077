//! `mantlet monitor fairness`: groups that are decided about otherwise than others, and more so than before.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mantlet_dataset::{Grouping, grouped_by};
use mantlet_drift::fairness::{Decisions, FairnessSettings, Grouped, gaps, look};
use mantlet_vocab::Place;

use crate::cli::Reporting;
use crate::commands::cluster::Engine;
use crate::commands::conclude::{Looked, conclude_kept};
use crate::commands::raise::Raising;
use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// The decisions, and what their columns stand for.
#[derive(Debug, Args)]
pub struct Options {
    /// The later decisions, or the later version of training data: files (CSV, JSON Lines, Parquet, Arrow), or folders.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The earlier ones.
    #[arg(long, value_name = "TABLE", required = true)]
    reference: Vec<PathBuf>,
    /// The column of the decision; of training data, the label.
    #[arg(long, value_name = "COLUMN")]
    decision: String,
    /// The column of what was true, to compare errors too.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The word or number of a positive.
    #[arg(long, value_name = "WORD", default_value = "1")]
    positive: String,
    /// A column whose words are groups: sex, age class, or a stand-in such as a postcode.
    #[arg(long, value_name = "COLUMN", required = true)]
    group: Vec<String>,
    /// A column that may honestly decide: only rows that agree in it are compared.
    #[arg(long, value_name = "COLUMN")]
    given: Vec<String>,
    /// The chance of any false alarm over all groups and rates, between 0 and 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = FairnessSettings::default().alpha)]
    alpha: f64,
    /// The least growth of a gap that is told.
    #[arg(long, value_name = "SHARE", default_value_t = FairnessSettings::default().least)]
    least: f64,
    #[command(flatten)]
    named: tables::Named,
    #[command(flatten)]
    raising: Raising,
    #[command(flatten)]
    engine: Engine,
    #[command(flatten)]
    reporting: Reporting,
}

pub(super) fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    super::within("alpha", options.alpha, 0.5)?;
    super::within("least", options.least, 1.0)?;
    let grouping = Grouping {
        decision: options.decision.clone(),
        label: options.label.clone(),
        positive: options.positive.clone(),
        groups: options.group.clone(),
        given: options.given.clone(),
    };
    let (before, now) = options.named.both(&options.reference, &options.tables)?;
    tables::apart(before.files().chain(now.files()), &[("output", options.reporting.output.as_deref())])?;
    let engine = options.engine.chosen(terminal, Path::new(""));
    let (old, new) = (grouped_by(&engine, &before, &grouping)?, grouped_by(&engine, &now, &grouping)?);
    let sum = |of: &Grouped, count: fn(&Decisions) -> u64| of.all.values().map(count).sum::<u64>();
    if [&old.value, &new.value].iter().all(|own| sum(own, |all| all.decided.1) == 0) {
        return Err(Usage(format!(
            "no row of {} or {} has `{}` in column `{}`: nothing is ever decided so; name the word of a positive with \
             --positive",
            before.name(),
            now.name(),
            options.positive,
            options.decision
        ))
        .into());
    }
    let settings =
        FairnessSettings { alpha: options.alpha, least: options.least, ..FairnessSettings::default() };
    let found = gaps(&old.value, &new.value, settings);
    let findings = look(&found, &Place::artifact(now.name()));
    let rows: u64 = new.value.all.values().map(|all| all.decided.0).sum();
    let said = format!("{rows} decisions, {} groups, {} gaps compared", new.value.groups.len(), found.len());
    let mut unseen = old.gaps;
    unseen.extend(new.gaps);
    unseen.extend(now.notes());
    if let Some(label) = &options.label {
        for (table, own) in [(&before, &old.value), (&now, &new.value)] {
            if sum(own, |all| all.positive.0 + all.negative.0) == 0 {
                unseen.push(format!(
                    "errors were not compared: no row of {} has a label in `{label}`",
                    table.name()
                ));
            }
        }
    }
    if found.is_empty() {
        unseen.push("no group has 30 decisions and 30 others beside it in both tables".into());
    }
    options.raising.raise(terminal, &findings, "`mantlet monitor fairness` with these tables")?;
    conclude_kept(
        terminal,
        Looked::compared(&now),
        said,
        unseen,
        findings,
        (&options.reporting, &options.raising, "monitor fairness"),
    )
}
