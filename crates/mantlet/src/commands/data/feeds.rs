//! `mantlet data feeds` and `mantlet data review`: who turned labels, and the rows to look at.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::feeds::{Settings, Studied, Suspect, study_by};
use mantlet_curate::{Roles, keyed};
use mantlet_datachecks::feed::ScanSettings;
use mantlet_dataset::{Column, Dataset, Kind};
use mantlet_vocab::{Place, Verdict};

use crate::cli::Reporting;
use crate::commands::cluster::Engine;
use crate::commands::conclude::{Looked, conclude};
use crate::commands::tables;
use crate::exit::{self, Usage};
use crate::terminal::{self, Terminal};

/// The tables, and what their columns stand for.
#[derive(Debug, Args)]
pub struct Sources {
    /// The batches, oldest first: files (CSV, JSON Lines, Parquet, Arrow), or folders of them.
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// The column with the label.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// The column that says who delivered a row.
    #[arg(long, value_name = "COLUMN")]
    feed: Option<String>,
    /// The column that says who labelled a row.
    #[arg(long, value_name = "COLUMN")]
    labeler: Option<String>,
    /// The column with the batch, day or week of a row; without it every file is a batch.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// A column that divides the rows into segments; without it every column of few words.
    #[arg(long, value_name = "COLUMN")]
    segment: Vec<String>,
    /// A column that is no feature: a row number, a score, what is only known later.
    #[arg(long, value_name = "COLUMN")]
    without: Vec<String>,
    /// The chance of any false alarm in the whole scan, between 0 and 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = ScanSettings::default().alpha)]
    alpha: f64,
    /// The first batches, which segments are compared with; a quarter of all when 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    base: usize,
    #[command(flatten)]
    engine: Engine,
}

/// Cells that are no alarm whose rows are listed.
const LEADS: usize = 3;

impl Sources {
    fn study(&self, terminal: Terminal, rows: usize) -> anyhow::Result<(Dataset, Studied)> {
        if !(self.alpha > 0.0 && self.alpha <= 0.5) {
            return Err(Usage(format!("--alpha is above 0 and at most 0.5, not {}", self.alpha)).into());
        }
        let dataset = tables::open(&self.tables)?;
        let roles = Roles {
            label: self.label.clone(),
            feed: self.feed.clone(),
            labeler: self.labeler.clone(),
            time: self.time.clone(),
            segments: self.segment.clone(),
            without: self.without.clone(),
        };
        let scan = ScanSettings { alpha: self.alpha, base: self.base, ..ScanSettings::default() };
        let mut settings = Settings { scan, rows, leads: LEADS, ..Settings::default() };
        if !self.engine.is_stream() {
            // Every pass of the scan is the engine's own, and no row is kept here.
            settings.memory = 0;
        }
        let studied = study_by(&self.engine.chosen(terminal, Path::new("")), &dataset, &roles, &settings)?;
        Ok((dataset, studied))
    }
}

/// Runs `mantlet data feeds`.
///
/// # Errors
/// When a table cannot be read, or a column cannot play its role.
pub fn feeds(terminal: Terminal, sources: &Sources, reporting: &Reporting) -> anyhow::Result<ExitCode> {
    let (dataset, studied) = sources.study(terminal, 0)?;
    let findings = studied.findings(&Place::artifact(dataset.name()));
    let said = format!("{} rows, {} batches, {} cells", studied.rows, studied.batches.len(), studied.looked);
    conclude(terminal, Looked::table(&dataset), said, studied.gaps, findings, reporting)
}

/// Runs `mantlet data review`.
///
/// # Errors
/// When a table cannot be read, or the list cannot be written.
pub fn review(
    terminal: Terminal,
    sources: &Sources,
    rows: usize,
    out: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let (dataset, studied) = sources.study(terminal, rows)?;
    tables::apart(dataset.files(), &[("out", out)])?;
    if studied.review.is_empty() {
        terminal.say("no cell turned; no row stands out");
        return Ok(ExitCode::SUCCESS);
    }
    if studied.cells.is_empty() {
        terminal.note("no cell turned beyond chance; the rows are from those that come nearest");
    }
    let text = list(&dataset, &studied.review)?;
    match out {
        Some(path) => {
            terminal::write_whole(path, &text)?;
            terminal.say(&format!("{} rows to look at in {}", studied.review.len(), path.display()));
        }
        None => std::io::stdout().lock().write_all(&text)?,
    }
    let verdict = if studied.cells.is_empty() { Verdict::Clean } else { Verdict::Found };
    Ok(exit::verdict(verdict))
}

/// The rows as CSV, likeliest first: why each is there, room for a decision, and the row itself.
///
/// # Errors
/// When the table cannot be read again.
pub fn list(dataset: &Dataset, suspects: &[Suspect]) -> anyhow::Result<Vec<u8>> {
    let columns: Vec<Column> = dataset
        .columns()
        .iter()
        .filter(|column| column.kind != Kind::Other)
        .map(|column| Column {
            kind: if column.kind == Kind::Times { Kind::Words } else { column.kind },
            name: column.name.clone(),
        })
        .collect();
    let wanted: HashMap<u64, usize> =
        suspects.iter().enumerate().map(|(at, suspect)| (suspect.row, at)).collect();
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); suspects.len()];
    dataset.stream(&columns, |first, lanes| {
        let rows = lanes.first().map_or(0, mantlet_dataset::Lane::len) as u64;
        let mut here: Vec<(u64, usize)> = wanted
            .iter()
            .filter(|(row, _)| (first..first + rows).contains(row))
            .map(|(row, at)| (row - first, *at))
            .collect();
        here.sort_unstable();
        if here.is_empty() {
            return Ok(());
        }
        for lane in &lanes {
            let (keys, words) = keyed(lane);
            for (row, at) in &here {
                let key = keys.get(usize::try_from(*row).unwrap_or(usize::MAX)).copied().unwrap_or(u32::MAX);
                cells[*at].push(words.get(key as usize).cloned().unwrap_or_default());
            }
        }
        Ok(())
    })?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<String> =
        ["decision", "row", "chance", "label", "suggested", "cell", "batch"].map(String::from).to_vec();
    head.extend(columns.iter().map(|column| column.name.clone()));
    writer.write_record(&head)?;
    for (suspect, cells) in suspects.iter().zip(cells) {
        let mut record = vec![
            String::new(),
            (suspect.row + 1).to_string(),
            format!("{:.3}", suspect.chance),
            suspect.label.clone(),
            suspect.suggested.clone().unwrap_or_default(),
            suspect.cell.clone(),
            suspect.batch.clone(),
        ];
        record.extend(cells);
        writer.write_record(&record)?;
    }
    Ok(writer.into_inner()?)
}
