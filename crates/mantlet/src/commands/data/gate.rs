//! `mantlet data gate`: what every check says of a batch, and the rows that people are shown when it is held.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::feeds::{Settings, Studied, study};
use mantlet_curate::floods::{Flooded, floods};
use mantlet_curate::labels::{Asked, labels};
use mantlet_curate::triggers::{Triggers, triggers};
use mantlet_curate::versions::versions;
use mantlet_curate::worth::{Checked, Shown, Worth, shown, worth};
use mantlet_curate::{CurateError, Roles};
use mantlet_datachecks::trigger::Limits;
use mantlet_dataset::Dataset;
use mantlet_registry::batch::{Batch, BatchError, BatchEvent, BatchState, Ledger};
use mantlet_registry::rows::{Sheet, SheetRow};
use mantlet_vocab::{Examination, Finding, Millis, Place, Severity, Verdict};

use super::batches::{digest, files, known};
use crate::cli::Reporting;
use crate::commands::open_store;
use crate::config::Loaded;
use crate::exit::{self, Usage};
use crate::protect::take_in;
use crate::runtime;
use crate::terminal::Terminal;

/// Suspects of the whole scan, of which those of this batch are shown.
const SUSPECTS: usize = 4_000;
/// Labels a person may choose from.
const LABELS: usize = 100;

/// A batch whose gate is run.
#[derive(Debug, Args)]
pub struct Gated {
    /// The batch.
    name: String,
    /// Rows that people are shown at most, when it is held.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rows: u16,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// What the checks gave, beyond findings.
struct Looked {
    examination: Examination,
    roles: Roles,
    own: Dataset,
    studied: Option<Studied>,
    flooded: Flooded,
    triggers: Option<Triggers>,
}

/// Runs `mantlet data gate`.
///
/// # Errors
/// When the batch is not there, its bytes changed, or a table cannot be read.
pub fn gate(terminal: Terminal, options: &Gated) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let system = &loaded.config.system.name;
        let (ledger, _) = store.ledger(system).await?;
        let batch = known(&ledger, &options.name)?.clone();
        let found = digest(&files(&batch))?;
        if found != batch.digest {
            let (batch, recorded) = (batch.name, batch.digest);
            return Err(BatchError::OtherBytes { batch, recorded, found }.into());
        }
        let looked = examine(&loaded, &ledger, &batch)?;
        let examination = &looked.examination;
        let suspicious = |finding: &&Finding| finding.severity >= Severity::Suspicious;
        let mut findings: Vec<String> =
            examination.findings.iter().filter(suspicious).map(|finding| finding.name.clone()).collect();
        findings.sort();
        findings.dedup();
        let complete = examination.verdict(Severity::Suspicious) != Verdict::NotFullyExamined;
        if !(findings.is_empty() && complete) {
            // Before the verdict, so that whoever sees the batch held sees its rows.
            let sheet = sheet(&looked, &batch, usize::from(options.rows), store.now())?;
            store.keep_sheet(system, &sheet, mantlet_respond::SELF).await?;
        }
        let event = BatchEvent::Gated { batch: batch.name.clone(), digest: found, findings, complete };
        let ledger = store.batch_event(system, &event, mantlet_respond::SELF).await?;
        crate::commands::report(terminal, examination, &options.reporting)?;
        let batch = &ledger.batches[&options.name];
        let next = match batch.state {
            BatchState::Held => format!(
                "; {} to let it through: its rows are on the console under Data and in `mantlet data rows {1}`, then \
                 `mantlet data approve {1}`",
                if batch.eyes() > 1 {
                    "two people other than who delivered it have"
                } else {
                    "another person has"
                },
                batch.name
            ),
            _ => String::new(),
        };
        terminal.note(&format!("batch {} is {}{next}", batch.name, batch.state.word()));
        store.close().await?;
        Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
    })
}

/// What every check says of a batch; the scan over feeds reads all usable batches before it, as well.
fn examine(loaded: &Loaded, ledger: &Ledger, batch: &Batch) -> anyhow::Result<Looked> {
    let Some(data) = &loaded.config.data else {
        return Err(Usage(format!("{} names no data: add `[data]`", loaded.file.display())).into());
    };
    let Some(label) = data.label.clone() else {
        return Err(Usage(format!("{} names no `data.label`", loaded.file.display())).into());
    };
    let roles = Roles {
        label: label.clone(),
        feed: data.feed.clone(),
        labeler: data.labeler.clone(),
        without: data.without.clone(),
        ..Roles::default()
    };
    let mut examination = Examination::default();
    for file in &files(batch) {
        examination.merge(take_in::table(file, Some(&label)));
    }
    let own = Dataset::open(&files(batch))?;
    let place = Place::artifact(batch.name.clone());
    if let Some(schema) = &data.schema {
        examination.merge(super::check::against(&own, &loaded.path(schema))?);
    }
    // Batches of one file each are what the scan divides time by.
    let mut before: Vec<&Batch> = ledger.batches.values().filter(|other| other.state.is_usable()).collect();
    before.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    let mut paths: Vec<PathBuf> =
        before.into_iter().filter(|other| other.name != batch.name).flat_map(files).collect();
    let first = paths.len();
    paths.extend(files(batch));
    let mut studied = None;
    if first > 0 {
        // Units, clocks and names as in all batches that were let through before.
        let earlier = Dataset::open(&paths[..first])?;
        let named = versions(&earlier, &own, data.feed.as_deref(), &data.without)?;
        examination.findings.extend(mantlet_datachecks::version::look(&named.changes, &place));
        let settings = Settings { rows: SUSPECTS, ..Settings::default() };
        let all = study(&Dataset::open(&paths)?, &roles, &settings)?;
        // What ended before this batch was decided about when its own batch came.
        let here =
            all.cells.iter().zip(all.findings(&place)).filter(|(cell, _)| cell.alarm.window.1 >= first);
        examination.findings.extend(here.map(|(_, finding)| finding));
        studied = Some(all);
    }
    let flooded = floods(&own, &roles, data.text.as_deref(), true)?;
    examination.findings.extend(flooded.findings(&place));
    let mut mined = None;
    if let Some(text) = &data.text {
        let own = triggers(&own, &roles, Some(text), &Limits::default())?;
        examination.findings.extend(own.findings(&place));
        mined = Some(own);
    }
    Finding::sort(&mut examination.findings);
    Ok(Looked { examination, roles, own, studied, flooded, triggers: mined })
}

/// The rows of a batch that are most worth a look.
fn sheet(looked: &Looked, batch: &Batch, most: usize, at: Millis) -> Result<Sheet, CurateError> {
    let mut gaps = Vec::new();
    // A label that cannot be examined row by row keeps no other row from being shown.
    let asked = Asked { roles: looked.roles.clone(), ..Asked::default() };
    let contradicted = match labels(&looked.own, &asked) {
        Ok(found) => Some(found),
        Err(CurateError::Dataset(error)) => return Err(error.into()),
        Err(other) => {
            gaps.push(format!("labels were not compared with what other rows say: {other}"));
            None
        }
    };
    let before = |studied: &Studied| studied.rows.saturating_sub(looked.flooded.all());
    let checked = Checked {
        studied: looked.studied.as_ref().map(|studied| (studied, before(studied))),
        flooded: Some(&looked.flooded),
        triggers: looked.triggers.as_ref(),
        labels: contradicted.as_ref(),
    };
    let (rows, left) = worth(&checked, most);
    gaps.extend(left);
    let numbers: Vec<u64> = rows.iter().map(|worth| worth.row).collect();
    let Shown { mut columns, cells, of } = shown(&looked.own, &looked.roles.label, &numbers)?;
    if !columns.is_empty() {
        columns.remove(0);
    }
    let rows: Vec<SheetRow> = rows
        .into_iter()
        .zip(cells)
        .map(|(worth, mut cells)| {
            let label = if cells.is_empty() { String::new() } else { cells.remove(0) };
            let Worth { row, group, chance, label: known, suggested } = worth;
            SheetRow { row, group, chance, label: known.unwrap_or(label), suggested, cells }
        })
        .collect();
    let mut words: Vec<(u64, String)> = match contradicted {
        Some(found) => found.counts.iter().copied().zip(found.classes).collect(),
        None => {
            let own = rows.iter().flat_map(|row| [Some(&row.label), row.suggested.as_ref()]);
            let mut own: Vec<String> = own.flatten().cloned().collect();
            own.sort();
            own.dedup();
            own.into_iter().map(|word| (0, word)).collect()
        }
    };
    words.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let labels =
        words.into_iter().map(|(_, word)| word).filter(|word| !word.is_empty()).take(LABELS).collect();
    Ok(Sheet { batch: batch.name.clone(), digest: batch.digest, at, of, labels, columns, rows, gaps })
}
