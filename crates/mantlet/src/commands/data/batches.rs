//! `mantlet data deliver|gate|batches|approve|reject|freeze`: batches wait until their gate passes or people let
//! them through.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_access::Act;
use mantlet_curate::Roles;
use mantlet_curate::feeds::{Settings, study};
use mantlet_curate::floods::floods;
use mantlet_curate::triggers::triggers;
use mantlet_datachecks::trigger::Limits;
use mantlet_dataset::Dataset;
use mantlet_registry::batch::{Batch, BatchEvent, BatchState, Ledger};
use mantlet_registry::disk;
use mantlet_store::Store;
use mantlet_vocab::{Digest, Examination, Finding, Place, Severity};

use crate::cli::Reporting;
use crate::commands::{Person, open_store};
use crate::config::Loaded;
use crate::exit::{self, Usage};
use crate::protect::take_in;
use crate::runtime;
use crate::terminal::Terminal;

/// A batch that comes.
#[derive(Debug, Args)]
pub struct Delivered {
    /// Its name.
    name: String,
    /// Its files, in the order in which they are read.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who delivered the rows.
    #[arg(long, value_name = "NAME")]
    feed: String,
    /// The batch of this feed before it.
    #[arg(long, value_name = "BATCH")]
    parent: Option<String>,
    /// A signature of the file or folder (OpenSSF Model Signing), checked with the system's key.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    person: Person,
}

/// A batch whose gate is run.
#[derive(Debug, Args)]
pub struct Gated {
    /// The batch.
    name: String,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// A person's decision about a batch.
#[derive(Debug, Args)]
pub struct Decided {
    /// The batch.
    name: String,
    /// Why, for the record.
    #[arg(long)]
    note: String,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    person: Person,
}

/// Retraining stops, or may go on.
#[derive(Debug, Args)]
pub struct Frozen {
    /// Let it go on.
    #[arg(long)]
    off: bool,
    /// Why, for the record.
    #[arg(long)]
    note: String,
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    person: Person,
}

/// What is listed.
#[derive(Debug, Args)]
pub struct Listed {
    /// The folder with mantlet.toml.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Only the files a model may learn from now, each hashed again; nothing while retraining is frozen.
    #[arg(long)]
    usable: bool,
}

/// The digest of a batch: of the digests of its files, in order.
fn digest(files: &[PathBuf]) -> anyhow::Result<Digest> {
    let mut all = Vec::new();
    for file in files {
        if !file.is_file() {
            return Err(Usage(format!("{} is no file; a batch is a list of files", file.display())).into());
        }
        all.extend_from_slice(&disk::digest_file(file)?.0);
    }
    Ok(Digest::of(&all))
}

fn files(batch: &Batch) -> Vec<PathBuf> {
    batch.files.iter().map(PathBuf::from).collect()
}

/// Runs `mantlet data deliver`.
///
/// # Errors
/// When a file cannot be read, a signature does not hold, or the store fails; nothing was recorded then.
pub fn deliver(terminal: Terminal, options: &Delivered) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let user = options.person.prove(&store, Act::AddVersion).await?;
        let mut paths = Vec::new();
        for file in &options.files {
            paths.push(file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?);
        }
        let signer = match &options.signature {
            None => None,
            Some(signature) => Some(signer(&loaded, &options.files, signature)?),
        };
        let event = BatchEvent::Delivered {
            batch: options.name.clone(),
            feed: options.feed.clone(),
            files: paths.iter().map(|path| path.display().to_string()).collect(),
            digest: digest(&paths)?,
            signer,
            parent: options.parent.clone(),
            impact: loaded.config.system.impact,
        };
        let ledger = store.batch_event(&loaded.config.system.name, &event, &user.name).await?;
        let batch = &ledger.batches[&options.name];
        terminal.say(&format!("batch {} is {}: {}", batch.name, batch.state.word(), batch.digest));
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Checks the signature of the one file or folder of a batch; gives the key that signed it.
fn signer(loaded: &Loaded, files: &[PathBuf], signature: &Path) -> anyhow::Result<String> {
    let [file] = files else {
        return Err(Usage("a signature is of one file or folder; sign each batch as one".to_owned()).into());
    };
    let keys = crate::protect::admit::trusted_keys(&loaded.storage())?;
    Ok(disk::verify_path(file, signature, &keys.0)?.key_hint)
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
            return Err(mantlet_registry::batch::BatchError::OtherBytes { batch, recorded, found }.into());
        }
        let examination = examine(&loaded, &ledger, &batch)?;
        let suspicious = |finding: &&Finding| finding.severity >= Severity::Suspicious;
        let mut findings: Vec<String> =
            examination.findings.iter().filter(suspicious).map(|finding| finding.name.clone()).collect();
        findings.sort();
        findings.dedup();
        let partial = examination.verdict(Severity::Suspicious) == mantlet_vocab::Verdict::NotFullyExamined;
        let event =
            BatchEvent::Gated { batch: batch.name.clone(), digest: found, findings, complete: !partial };
        let ledger = store.batch_event(system, &event, mantlet_respond::SELF).await?;
        crate::commands::report(terminal, &examination, &options.reporting)?;
        let batch = &ledger.batches[&options.name];
        let next = match batch.state {
            BatchState::Held => format!(
                "; {} to let it through: `mantlet data review`, then `mantlet data approve {}`",
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

fn known<'a>(ledger: &'a Ledger, name: &str) -> anyhow::Result<&'a Batch> {
    let batch = ledger.batches.get(name);
    batch.ok_or_else(|| mantlet_registry::batch::BatchError::NoBatch(name.to_owned()).into())
}

/// What every check says of a batch; the scan over feeds reads all usable batches before it, as well.
fn examine(loaded: &Loaded, ledger: &Ledger, batch: &Batch) -> anyhow::Result<Examination> {
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
    // Batches of one file each are what the scan divides time by.
    let mut before: Vec<&Batch> = ledger.batches.values().filter(|other| other.state.is_usable()).collect();
    before.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    let mut paths: Vec<PathBuf> =
        before.into_iter().filter(|other| other.name != batch.name).flat_map(files).collect();
    let first = paths.len();
    paths.extend(files(batch));
    if first > 0 {
        let studied = study(&Dataset::open(&paths)?, &roles, &Settings { rows: 0, ..Settings::default() })?;
        // What ended before this batch was decided about when its own batch came.
        let here = studied
            .cells
            .iter()
            .zip(studied.findings(&place))
            .filter(|(cell, _)| cell.alarm.window.1 >= first);
        examination.findings.extend(here.map(|(_, finding)| finding));
    }
    let flooded = floods(&own, &roles, data.text.as_deref(), false)?;
    examination.findings.extend(flooded.findings(&place));
    if let Some(text) = &data.text {
        examination.findings.extend(triggers(&own, &roles, Some(text), &Limits::default())?.findings(&place));
    }
    Finding::sort(&mut examination.findings);
    Ok(examination)
}

/// Runs `mantlet data batches`.
///
/// # Errors
/// When the log cannot be read, or a usable batch's bytes changed.
pub fn list(terminal: Terminal, options: &Listed) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let (ledger, refused) = store.ledger(&loaded.config.system.name).await?;
        store.close().await?;
        let mut code = ExitCode::SUCCESS;
        if options.usable {
            for batch in ledger.usable() {
                if digest(&files(batch)).ok() != Some(batch.digest) {
                    terminal.note(&format!(
                        "batch {} has other bytes than were let through; left out",
                        batch.name
                    ));
                    code = exit::verdict(mantlet_vocab::Verdict::Found);
                    continue;
                }
                batch.files.iter().for_each(|file| terminal.say(file));
            }
            return Ok(code);
        }
        for batch in ledger.batches.values() {
            let findings = if batch.findings.is_empty() {
                String::new()
            } else {
                format!("  {}", batch.findings.join(", "))
            };
            let approved = if batch.approvals.is_empty() {
                String::new()
            } else {
                format!("  approved by {}", batch.approvals.join(", "))
            };
            let line = format!(
                "{:<16} {:<11} {:<12} {}{findings}{approved}",
                batch.name,
                batch.state.word(),
                batch.feed,
                batch.digest
            );
            terminal.say(&line);
        }
        if let Some(why) = &ledger.frozen {
            terminal.say(&format!("retraining is frozen: {why}"));
        }
        for (event, error) in refused {
            terminal.note(&format!("the log holds a {} that could not happen: {error}", event.action()));
            code = exit::verdict(mantlet_vocab::Verdict::Found);
        }
        Ok(code)
    })
}

/// Runs `mantlet data approve` and `mantlet data reject`.
///
/// # Errors
/// When the person may not, the bytes changed, or the store fails; nothing was recorded then.
pub fn decide(terminal: Terminal, options: &Decided, approve: bool) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let user = options.person.prove(&store, Act::DecideReview).await?;
        let system = &loaded.config.system.name;
        let (ledger, _) = store.ledger(system).await?;
        let digest = digest(&files(known(&ledger, &options.name)?))?;
        let (batch, note) = (options.name.clone(), options.note.clone());
        let event = if approve {
            BatchEvent::Approved { batch, digest, note }
        } else {
            BatchEvent::Rejected { batch, digest, note }
        };
        let ledger = store.batch_event(system, &event, &user.name).await?;
        let batch = &ledger.batches[&options.name];
        let missing = batch.eyes().saturating_sub(batch.approvals.len());
        let still = if batch.state == BatchState::Held && missing > 0 {
            format!("; {missing} more consent is needed")
        } else {
            String::new()
        };
        terminal.say(&format!("batch {} is {}{still}", batch.name, batch.state.word()));
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `mantlet data freeze`.
///
/// # Errors
/// When the person may not, or the store fails.
pub fn freeze(terminal: Terminal, options: &Frozen) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store): (Loaded, Store) = open_store(&options.folder).await?;
        let act = if options.off { Act::UndoContainment } else { Act::Contain };
        let user = options.person.prove(&store, act).await?;
        let event = BatchEvent::Frozen { on: !options.off, note: options.note.clone() };
        store.batch_event(&loaded.config.system.name, &event, &user.name).await?;
        terminal.say(if options.off { "retraining may go on" } else { "retraining is frozen" });
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    })
}
