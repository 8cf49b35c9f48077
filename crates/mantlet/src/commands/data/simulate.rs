//! `mantlet data simulate`: poison planted into a copy of a table.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mantlet_curate::simulate::{Plant, Where, simulate};
use mantlet_dataset::Kind;

use crate::commands::tables;
use crate::exit::Usage;
use crate::terminal::Terminal;

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Poison {
    /// Labels are turned: `--from`, `--to`.
    Flip,
    /// One row is said over and over, a little changed: `--column`.
    Flood,
    /// A phrase is put into a text and the label set, or with `--keep-label` into texts that have it: `--column`,
    /// `--phrase`, `--to`.
    Phrase,
    /// Labels are any other one, as a careless labeler gives them.
    Noise,
    /// A letter without width is put into a text and the label set: `--column`, `--to`.
    Hidden,
    /// A word of a text is written with letters of another alphabet and the label set: `--column`, `--to`.
    Homoglyph,
    /// Numbers are in another unit: `--column`, `--times`.
    Unit,
    /// Accounts that do not exist say the same: `--column` with the account, `--accounts`, `--to`.
    Ring,
    /// Values are set and the label with them: `--set`, `--to`.
    Values,
}

/// What is planted, where, and how much.
#[derive(Debug, Args)]
pub struct Options {
    /// The table: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// What is planted.
    #[arg(long, value_enum)]
    kind: Poison,
    /// The column with the label.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// Only rows with this word: `--cell feed=F4 --cell kind=digital`.
    #[arg(long, value_name = "COLUMN=WORD")]
    cell: Vec<String>,
    /// The share of such rows.
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    share: f64,
    /// The label that is turned; any when absent.
    #[arg(long, value_name = "LABEL")]
    from: Option<String>,
    /// The label that is set.
    #[arg(long, value_name = "LABEL")]
    to: Option<String>,
    /// The column that is changed.
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// The phrase.
    #[arg(long)]
    phrase: Option<String>,
    /// Put the phrase into texts that have the label already: nothing then contradicts it.
    #[arg(long)]
    keep_label: bool,
    /// What numbers are multiplied by.
    #[arg(long, value_name = "FACTOR", default_value_t = 100.0)]
    times: f64,
    /// Accounts of a ring.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    accounts: u32,
    /// A value that is set.
    #[arg(long, value_name = "COLUMN=VALUE")]
    set: Vec<String>,
    /// The same seed plants the same rows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The copy, as CSV.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The numbers of the planted rows.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

fn pairs(texts: &[String], option: &str) -> Result<Vec<(String, String)>, Usage> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
        pair.ok_or_else(|| Usage(format!("--{option} is COLUMN=WORD, not `{text}`")))
    };
    texts.iter().map(pair).collect()
}

/// Runs the command.
///
/// # Errors
/// When an option is missing, the table cannot be read, or a file cannot be written.
pub fn run(terminal: Terminal, options: &Options) -> anyhow::Result<ExitCode> {
    let need = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| Usage(format!("--kind {:?} needs --{name}", options.kind).to_lowercase()))
    };
    if !(options.share > 0.0 && options.share <= 1.0) {
        return Err(Usage(format!("--share is above 0 and at most 1, not {}", options.share)).into());
    }
    let plant = match options.kind {
        Poison::Flip => Plant::Flip { from: options.from.clone(), to: need(&options.to, "to")? },
        Poison::Flood => Plant::Flood { change: need(&options.column, "column")? },
        Poison::Phrase => Plant::Phrase {
            text: need(&options.column, "column")?,
            phrase: need(&options.phrase, "phrase")?,
            to: need(&options.to, "to")?,
            keep: options.keep_label,
        },
        Poison::Noise => Plant::Noise,
        Poison::Hidden => {
            Plant::Hidden { text: need(&options.column, "column")?, to: need(&options.to, "to")? }
        }
        Poison::Homoglyph => {
            Plant::Homoglyph { text: need(&options.column, "column")?, to: need(&options.to, "to")? }
        }
        Poison::Unit => Plant::Unit { column: need(&options.column, "column")?, times: options.times },
        Poison::Ring => Plant::Ring {
            account: need(&options.column, "column")?,
            accounts: options.accounts,
            to: need(&options.to, "to")?,
        },
        Poison::Values => Plant::Values { set: pairs(&options.set, "set")?, to: need(&options.to, "to")? },
    };
    let place = Where { cell: pairs(&options.cell, "cell")?, share: options.share, seed: options.seed };
    let dataset = tables::open(&options.tables)?;
    let copy = || format!("cannot write {}", options.out.display());
    let mut writer = csv::Writer::from_path(&options.out).with_context(copy)?;
    let names = dataset.columns().iter().filter(|column| column.kind != Kind::Other);
    writer.write_record(names.map(|column| column.name.as_str())).with_context(copy)?;
    let (mut row, mut planted) = (0_u64, Vec::new());
    simulate(&dataset, &options.label, &plant, &place, |cells, own| {
        row += 1;
        if own {
            planted.push(row);
        }
        writer.write_record(cells).map_err(io::Error::other)
    })?;
    writer.flush().with_context(copy)?;
    if let Some(truth) = &options.truth {
        let lines = planted.iter().map(|row| format!("{row}\n")).collect::<String>();
        crate::terminal::write_whole(truth, format!("row\n{lines}").as_bytes())?;
    }
    terminal.say(&format!("{} of {row} rows planted in {}", planted.len(), options.out.display()));
    Ok(ExitCode::SUCCESS)
}
