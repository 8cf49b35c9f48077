//! `mantlet data rows|rule|export`: the rows of a held batch that are most worth a look, what people decide about
//! them, and the batch as it is then learned from.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_access::Act;
use mantlet_curate::worth::every_row;
use mantlet_dataset::Dataset;
use mantlet_registry::batch::{Batch, BatchError};
use mantlet_registry::rows::{RowRuled, RowRuling, Sheet};

use super::batches::{digest, files, known};
use super::pictures;
use crate::commands::{Person, open_store};
use crate::exit::Usage;
use crate::runtime;
use crate::terminal::{self, Terminal};

/// Bytes of a list of decisions.
const LIST_MOST: u64 = 16 << 20;

/// A batch whose rows are listed.
#[derive(Debug, Args)]
pub struct Listed {
    /// The batch.
    name: String,
    /// Write the list here instead of to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// Decisions about rows.
#[derive(Debug, Args)]
pub struct Ruled {
    /// The batch.
    name: String,
    /// The list of `mantlet data rows`, with `keep`, `leave-out` or `relabel LABEL` in the column `decision`; rows
    /// without a word are not decided about.
    #[arg(long, value_name = "FILE")]
    decisions: PathBuf,
    /// Why, for the record.
    #[arg(long)]
    note: String,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    person: Person,
}

/// A batch that is written as it may be learned from.
#[derive(Debug, Args)]
pub struct Exported {
    /// The batch.
    name: String,
    /// Where, as CSV; of pictures the list of files and labels to learn from.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// Runs `mantlet data rows`.
///
/// # Errors
/// When there is no such batch, or its gate has listed no rows.
pub fn list(terminal: Terminal, options: &Listed) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let system = &loaded.config.system.name;
        let (ledger, _) = store.ledger(system).await?;
        let batch = known(&ledger, &options.name)?;
        let sheet = store.sheet(system, batch).await?;
        store.close().await?;
        let Some(sheet) = sheet else {
            let name = &batch.name;
            return Err(Usage(format!(
                "the gate of batch {name} has listed no rows of it: `mantlet data gate {name}`"
            ))
            .into());
        };
        let text = as_csv(&sheet, batch)?;
        match &options.out {
            Some(path) => {
                terminal::write_whole(path, &text)?;
                terminal.say(&format!("{} rows to look at in {}", sheet.rows.len(), path.display()));
            }
            None => std::io::stdout().lock().write_all(&text)?,
        }
        sheet.gaps.iter().for_each(|gap| terminal.note(&format!("not on the list: {gap}")));
        Ok(ExitCode::SUCCESS)
    })
}

fn as_csv(sheet: &Sheet, batch: &Batch) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<&str> = vec!["decision", "row", "why", "chance", "label", "suggested"];
    head.extend(sheet.columns.iter().map(String::as_str));
    writer.write_record(head)?;
    for row in &sheet.rows {
        let decision = match batch.rulings.of(row.row) {
            None => String::new(),
            Some((RowRuling::Relabel(label), _)) => format!("relabel {label}"),
            Some((other, _)) => other.word().to_owned(),
        };
        let mut record = vec![
            decision,
            (row.row + 1).to_string(),
            row.group.clone(),
            row.chance.map(|chance| format!("{chance:.3}")).unwrap_or_default(),
            row.label.clone(),
            row.suggested.clone().unwrap_or_default(),
        ];
        record.extend(row.cells.iter().cloned());
        writer.write_record(&record)?;
    }
    Ok(writer.into_inner()?)
}

/// The decisions of a list. Row numbers are those of the list, from 1.
fn decisions(path: &Path) -> anyhow::Result<Vec<RowRuled>> {
    let wrong = |line: u64, why: &str| Usage(format!("{}, line {line}: {why}", path.display()));
    let text = crate::commands::monitor::bounded(path, LIST_MOST)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_slice());
    let head = reader.headers().with_context(|| format!("cannot read {}", path.display()))?.clone();
    let column = |name: &str| {
        let at = head.iter().position(|own| own == name);
        at.ok_or_else(|| wrong(1, &format!("there is no column `{name}`")))
    };
    let (decision, row) = (column("decision")?, column("row")?);
    let mut ruled = BTreeMap::new();
    for (at, record) in reader.records().enumerate() {
        let record = record.with_context(|| format!("cannot read {}", path.display()))?;
        let line = record.position().map_or(at as u64 + 2, csv::Position::line);
        let word = record.get(decision).unwrap_or("").trim();
        if word.is_empty() {
            continue;
        }
        let ruling = match word.split_once(' ') {
            None if word == "keep" => RowRuling::Keep,
            None if word == "leave-out" => RowRuling::LeaveOut,
            Some(("relabel", label)) if !label.trim().is_empty() => {
                RowRuling::Relabel(label.trim().to_owned())
            }
            _ => return Err(wrong(line, "a decision is `keep`, `leave-out` or `relabel LABEL`").into()),
        };
        let number = record.get(row).and_then(|text| text.trim().parse::<u64>().ok());
        let number = number.and_then(|number| number.checked_sub(1));
        let Some(number) = number else { return Err(wrong(line, "there is no number of a row").into()) };
        if ruled.insert(number, ruling).is_some() {
            return Err(wrong(line, "this row is decided about twice").into());
        }
    }
    if ruled.is_empty() {
        return Err(Usage(format!("{} holds no decision", path.display())).into());
    }
    Ok(ruled.into_iter().map(|(row, ruling)| RowRuled { row, ruling }).collect())
}

/// Runs `mantlet data rule`.
///
/// # Errors
/// When the list cannot be read, the person may not, the bytes changed, or the store fails; nothing was recorded then.
pub fn rule(terminal: Terminal, options: &Ruled) -> anyhow::Result<ExitCode> {
    let rows = decisions(&options.decisions)?;
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let user = options.person.prove(&store, Act::DecideReview).await?;
        let system = &loaded.config.system.name;
        let (ledger, _) = store.ledger(system).await?;
        let batch = known(&ledger, &options.name)?.clone();
        let sheet = store.sheet(system, &batch).await?;
        if let Some(beyond) =
            rows.iter().find(|ruled| sheet.as_ref().is_none_or(|sheet| ruled.row >= sheet.of))
        {
            let of = sheet.as_ref().map_or(0, |sheet| sheet.of);
            return Err(Usage(format!(
                "batch {} has no row {} its gate has seen: it saw {of}",
                batch.name,
                beyond.row.saturating_add(1)
            ))
            .into());
        }
        let ledger =
            store.rule_rows(system, &batch.name, &user.name, batch.digest, rows, &options.note).await?;
        let batch = &ledger.batches[&options.name];
        let (out, other) = batch.rulings.changes();
        terminal.say(&format!(
            "batch {} is {}: {} rows decided about, {out} left out, {other} relabelled",
            batch.name,
            batch.state.word(),
            batch.rulings.len()
        ));
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `mantlet data export`.
///
/// # Errors
/// When the batch may not be learned from, its bytes changed, or a file cannot be read or written.
pub fn export(terminal: Terminal, options: &Exported) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let (ledger, _) = store.ledger(&loaded.config.system.name).await?;
        store.close().await?;
        let batch = known(&ledger, &options.name)?;
        if let Some(why) = &ledger.frozen {
            return Err(Usage(format!("retraining is frozen: {why}")).into());
        }
        if !batch.state.is_usable() {
            let words = format!("batch {} is {}; no model learns from it", batch.name, batch.state.word());
            return Err(Usage(words).into());
        }
        let label = loaded.config.data.as_ref().and_then(|data| data.label.clone()).unwrap_or_default();
        let own = files(batch);
        let (rows, out) = if pictures::is_folder(&own) {
            pictures::write(&own, batch, &options.out)?
        } else {
            crate::commands::tables::apart(own.iter().map(PathBuf::as_path), &[("out", Some(&options.out))])?;
            crate::commands::tables::named_csv(&options.out)?;
            write(&own, batch, &label, &options.out)?
        };
        // What was read is what was decided about.
        let found = digest(&own)?;
        if found != batch.digest {
            let _ = std::fs::remove_file(&options.out);
            let (batch, recorded) = (batch.name.clone(), batch.digest);
            return Err(BatchError::OtherBytes { batch, recorded, found }.into());
        }
        terminal.say(&format!(
            "{rows} rows of batch {} in {}, {out} left out",
            batch.name,
            options.out.display()
        ));
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes what is learned from a batch; gives the rows written and left out.
fn write(own: &[PathBuf], batch: &Batch, label: &str, out: &Path) -> anyhow::Result<(u64, u64)> {
    let dataset = Dataset::open(own)?;
    let cannot = || format!("cannot write {}", out.display());
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let mut writer = csv::Writer::from_writer(std::io::BufWriter::new(file));
    let (mut rows, mut left, mut at) = (0, 0, None);
    every_row(&dataset, |row, cells| {
        let Some(row) = row else {
            at = cells.iter().position(|name| *name == label);
            return writer.write_record(cells).map_err(std::io::Error::other);
        };
        let mut cells: Vec<&str> = cells.to_vec();
        match batch.rulings.of(row) {
            Some((RowRuling::LeaveOut, _)) => {
                left += 1;
                return Ok(());
            }
            Some((RowRuling::Relabel(other), _)) => match at.and_then(|at| cells.get_mut(at)) {
                Some(cell) => *cell = other,
                None => return Err(std::io::Error::other(format!("there is no label column `{label}`"))),
            },
            Some((RowRuling::Keep, _)) | None => {}
        }
        rows += 1;
        writer.write_record(cells).map_err(std::io::Error::other)
    })?;
    let buffer = writer.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
    let file = buffer.into_inner().map_err(|error| error.into_error()).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(out).with_context(cannot)?;
    Ok((rows, left))
}
