//! `mantlet data gate`: what every check says of a batch, and the rows that people are shown when it is held.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mantlet_curate::CurateError;
use mantlet_curate::feeds::Studied;
use mantlet_curate::worth::{Checked, Shown, Worth, shown, worth};
use mantlet_dataset::DatasetError;
use mantlet_registry::batch::{Batch, BatchError, BatchEvent, BatchState};
use mantlet_registry::rows::{Sheet, SheetRow};
use mantlet_respond::Alert;
use mantlet_store::Store;
use mantlet_vocab::{Examination, Finding, Gap, Millis, Place, Severity, Verdict};

use super::batches::{digest, files, known};
use super::beside::{delivered_before, fault};
use super::examine::{Looked, examine};
use super::pictures;
use crate::cli::Reporting;
use crate::commands::{open_store, raise};
use crate::config::{GateTerms, Loaded, UNREAD, UNSIGNED};
use crate::exit;
use crate::protect::take_in;
use crate::runtime;
use crate::terminal::Terminal;

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

/// Runs `mantlet data gate`.
///
/// # Errors
/// When the batch is not there, its bytes changed, or a table cannot be read.
pub fn gate(terminal: Terminal, options: &Gated) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let Gate { examination, batch, incident, gaps, turned } =
            gate_of(&loaded, &store, &options.name, usize::from(options.rows)).await?;
        crate::commands::report(terminal, &examination, &options.reporting)?;
        let next = match batch.state {
            BatchState::Held => format!(
                "; {} to let it through: its rows are on the console under Data and in `mantlet data rows {1}`, then \
                 `mantlet data approve {1}`",
                match batch.eyes() {
                    1 => "another person has".to_owned(),
                    eyes => format!("{eyes} people other than who delivered it have"),
                },
                batch.name
            ),
            _ => String::new(),
        };
        gaps.iter().for_each(|gap| terminal.note(&format!("not looked at: {gap}")));
        terminal.note(&format!("batch {} is {}{next}", batch.name, batch.state.word()));
        if !turned.is_empty() {
            let words = format!(
                "labels of {} turned in batches that were let through, too; take them back: `{}`",
                batch.feed,
                command(&turned)
            );
            terminal.note(&words);
        }
        if let Some((id, opened)) = incident {
            terminal.note(&format!("incident {}: {id}", if opened { "opened" } else { "taken in by" }));
        }
        store.close().await?;
        Ok(exit::verdict(examination.verdict(options.reporting.threshold)))
    })
}

/// What a gate said.
pub struct Gate {
    /// What was found.
    pub examination: Examination,
    /// The batch as it stands then.
    pub batch: Batch,
    /// The incident of a held batch, and whether it was opened now.
    pub incident: Option<(String, bool)>,
    /// What was not looked at, a line each.
    pub gaps: Vec<String>,
    /// Batches that were let through before labels of this feed were seen to turn in them, too.
    pub turned: Vec<String>,
}

/// Runs the gate of a batch and records what it said; a held batch is an incident.
///
/// # Errors
/// When the batch is not there, its bytes changed, or a table cannot be read.
pub async fn gate_of(loaded: &Loaded, store: &Store, name: &str, rows: usize) -> anyhow::Result<Gate> {
    let system = &loaded.config.system.name;
    let (ledger, _) = store.ledger(system).await?;
    let batch = known(&ledger, name)?.clone();
    let found = digest(&files(&batch))?;
    if found != batch.digest {
        let (batch, recorded) = (batch.name, batch.digest);
        return Err(BatchError::OtherBytes { batch, recorded, found }.into());
    }
    let looked = if pictures::is_folder(&files(&batch)) {
        let mut looked = pictures::examine(&batch)?;
        looked.examination.findings.extend(delivered_before(&ledger, &batch, &Place::artifact(name)));
        Finding::sort(&mut looked.examination.findings);
        Examined::Pictures(Box::new(looked))
    } else {
        match examine(loaded, &ledger, &batch) {
            Ok(looked) => Examined::Table(Box::new(looked)),
            Err(error) => Examined::Unread(unread(loaded, &batch, error)?),
        }
    };
    let examination = looked.examination();
    store.keep_report(system, &format!("data gate {}", batch.name), examination).await?;
    let terms = match &loaded.config.data {
        Some(data) => data.gate.terms(batch.impact, &batch.feed),
        None => GateTerms::default(),
    };
    let holding = examination.findings.iter().filter(|own| terms.holds(&own.name, own.severity));
    let told: Vec<Finding> = holding.cloned().collect();
    let mut findings: Vec<String> = told.iter().map(|finding| finding.name.clone()).collect();
    if terms.signed == Some(true) && batch.signer.is_none() {
        findings.push(UNSIGNED.to_owned());
    }
    if matches!(looked, Examined::Unread(_)) {
        findings.push(UNREAD.to_owned());
    }
    findings.sort();
    findings.dedup();
    let complete = examination.verdict(Severity::Suspicious) != Verdict::NotFullyExamined;
    if !(findings.is_empty() && complete) {
        // Before the verdict, so that whoever sees the batch held sees its rows.
        let sheet = match &looked {
            Examined::Table(looked) => Some(sheet(looked, &batch, rows, store.now())?),
            Examined::Pictures(looked) => Some(looked.sheet(&batch, rows, store.now())),
            Examined::Unread(_) => None,
        };
        if let Some(sheet) = sheet {
            store.keep_sheet(system, &sheet, mantlet_respond::SELF).await?;
        }
    }
    let eyes = terms.eyes.unwrap_or(0);
    let event = BatchEvent::Gated { batch: batch.name.clone(), digest: found, findings, complete, eyes };
    let ledger = store.batch_event(system, &event, mantlet_respond::SELF).await?;
    let batch = known(&ledger, name)?.clone();
    let mut incident = None;
    if batch.state == BatchState::Held {
        let who = (batch.name.as_str(), batch.feed.as_str(), batch.eyes());
        let mut alert = Alert::held(system, loaded.config.system.impact, store.now(), who, &told);
        tell(&mut alert, &batch, &looked);
        incident = Some(raise::take_in(store, &alert, loaded.config.gateway.mode).await?);
    } else if batch.state == BatchState::Passed {
        // What was delivered before under this name may have been held.
        store
            .settle(system, &batch, mantlet_respond::SELF, &format!("the gate of {} passed", batch.name))
            .await;
    }
    let (examination, gaps, turned) = match looked {
        Examined::Table(looked) => (looked.examination, looked.gaps, looked.turned),
        Examined::Pictures(looked) => (looked.examination, looked.gaps, Vec::new()),
        Examined::Unread(examination) => (examination, Vec::new(), Vec::new()),
    };
    Ok(Gate { examination, batch, incident, gaps, turned })
}

/// What the checks of a batch gave.
enum Examined {
    Table(Box<Looked>),
    Pictures(Box<pictures::Looked>),
    /// It cannot be read.
    Unread(Examination),
}

impl Examined {
    const fn examination(&self) -> &Examination {
        match self {
            Self::Table(looked) => &looked.examination,
            Self::Pictures(looked) => &looked.examination,
            Self::Unread(examination) => examination,
        }
    }
}

/// What is said of a batch of which a file cannot be read; any other failure stays one.
fn unread(loaded: &Loaded, batch: &Batch, error: anyhow::Error) -> anyhow::Result<Examination> {
    let own = files(batch);
    let Some(bad) =
        fault(&error).and_then(DatasetError::file).filter(|bad| own.iter().any(|file| file == bad))
    else {
        return Err(error);
    };
    let label = loaded.config.data.as_ref().and_then(|data| data.label.as_deref());
    let mut examination = Examination::default();
    own.iter().for_each(|file| examination.merge(take_in::table(file, label)));
    let what = bad.display().to_string();
    if !examination.gaps.iter().any(|gap| gap.what == what) {
        let remedy = "correct the file, and deliver it again".to_owned();
        examination.gaps.push(Gap { what, why: format!("{error:#}"), remedy });
    }
    Ok(examination)
}

/// What is taken back, as a command.
fn command(turned: &[String]) -> String {
    format!("mantlet data withdraw {} --note TEXT --user YOU", turned.join(" "))
}

/// Why a batch is held for which no check speaks, and which batches before it are to be taken back.
fn tell(alert: &mut Alert, batch: &Batch, looked: &Examined) {
    let Some(five) = &mut alert.told else { return };
    let examination = looked.examination();
    if alert.noticed.is_empty() {
        let mut why: Vec<String> = Vec::new();
        if batch.findings.iter().any(|name| name == UNSIGNED) {
            why.push("nobody signed it".to_owned());
        }
        why.extend(
            examination.gaps.iter().take(3).map(|gap| format!("not examined: {}: {}", gap.what, gap.why)),
        );
        if !why.is_empty() {
            five.suspicious = format!("{}.", why.join(". "));
        }
    }
    if let Examined::Table(looked) = looked
        && !looked.turned.is_empty()
    {
        five.next = format!(
            "{}\nLabels of {} turned before this batch, in batches that were let through. Take them back: `{}`.",
            five.next,
            batch.feed,
            command(&looked.turned)
        );
    }
}

/// The rows of a batch that are most worth a look.
fn sheet(looked: &Looked, batch: &Batch, most: usize, at: Millis) -> Result<Sheet, CurateError> {
    let mut gaps = looked.gaps.clone();
    let before = |studied: &Studied| studied.rows.saturating_sub(looked.flooded.all());
    let checked = Checked {
        studied: looked.studied.as_ref().map(|studied| (studied, before(studied))),
        flooded: Some(&looked.flooded),
        triggers: Some(&looked.triggers),
        labels: looked.labels.as_ref(),
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
            SheetRow { row, group, chance, label: known.unwrap_or(label), suggested, cells, picture: None }
        })
        .collect();
    let mut words: Vec<(u64, String)> = match &looked.labels {
        Some(found) => found.counts.iter().copied().zip(found.classes.iter().cloned()).collect(),
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
