//! `mantlet data deliver|batches|approve|reject|withdraw|freeze`: batches wait until their gate passes or people let
//! them through, and what was let through can be taken back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_access::Act;
use mantlet_registry::batch::{Batch, BatchEvent, BatchState, Ledger};
use mantlet_registry::disk;
use mantlet_store::{Seen, Store, batch_digest};
use mantlet_vocab::Digest;

use super::pictures;
use crate::commands::{Person, open_store, tables};
use crate::config::{self, Loaded};
use crate::exit::{self, Usage};
use crate::runtime;
use crate::terminal::Terminal;

/// A batch that comes.
#[derive(Debug, Args)]
pub struct Delivered {
    /// Its name.
    name: String,
    /// Its files, in the order in which they are read; or one folder of PNG and JPEG files, with a folder for each label
    /// or a list of labels (`labels.csv` with the columns file and label). In builds with `remote` also addresses of object stores and
    /// tables of a PostgreSQL server, which are copied into the installation's folder: a batch is bytes that stay.
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

/// Batches that are taken back.
#[derive(Debug, Args)]
pub struct Withdrawn {
    /// The batches.
    #[arg(required = true)]
    names: Vec<String>,
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

/// The digest of a batch of files.
pub(super) fn digest(files: &[PathBuf]) -> anyhow::Result<Digest> {
    let is_folder = pictures::is_folder(files);
    if let Some(other) = files.iter().find(|file| !file.is_file() && !is_folder) {
        let path = other.display();
        return Err(Usage(format!(
            "{path} is no file; a batch is a list of files, or one folder of pictures with a folder for each label"
        ))
        .into());
    }
    Ok(batch_digest(files)?)
}

pub(super) fn files(batch: &Batch) -> Vec<PathBuf> {
    batch.files.iter().map(PathBuf::from).collect()
}

/// Runs `mantlet data deliver`.
///
/// # Errors
/// When a file cannot be read, a signature does not hold, or the store fails; nothing was recorded then.
pub fn deliver(terminal: Terminal, options: &Delivered) -> anyhow::Result<ExitCode> {
    if !options.files.iter().any(|file| tables::is_address(file)) {
        return record(terminal, options, &options.files);
    }
    let folder = fresh(&config::load(&options.folder)?.storage(), &options.name)?;
    let came = tables::copy(&options.files, &folder).and_then(|copies| {
        let files: Vec<PathBuf> = copies.iter().map(|(path, _)| path.clone()).collect();
        let code = record(terminal, options, &files)?;
        for (path, name) in copies.iter().filter(|(path, _)| path.starts_with(&folder)) {
            terminal.note(&format!("{name} is kept as {}", path.display()));
        }
        Ok(code)
    });
    if came.is_err() {
        // Nothing was recorded that names them.
        let _ = std::fs::remove_dir_all(&folder);
    }
    came
}

/// A folder for the copies of a batch, which nothing was copied into before.
fn fresh(storage: &Path, batch: &str) -> anyhow::Result<PathBuf> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let name: String = batch.chars().map(plain).take(80).collect();
    // Two names that look alike in plain letters are told apart by the digest.
    let digest = Digest::of(batch.as_bytes()).hex();
    let folder = storage.join("deliveries").join(format!("{name}-{}", &digest[..12]));
    let made = folder.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::create_dir(&folder)).with_context(|| {
        format!("cannot make {} for copies; was batch {batch} delivered before?", folder.display())
    })?;
    Ok(folder)
}

/// Records a batch of files of this machine.
fn record(terminal: Terminal, options: &Delivered, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let user = options.person.prove(&store, Act::AddVersion).await?;
        let mut paths = Vec::new();
        for file in files {
            paths.push(file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?);
        }
        let signer = match &options.signature {
            None => None,
            Some(signature) => Some(signer(&loaded, files, signature)?),
        };
        let came =
            Came { name: &options.name, feed: &options.feed, parent: options.parent.as_deref(), signer };
        let batch = deliver_as(&loaded, &store, came, &paths, &user.name).await?;
        terminal.say(&format!("batch {} is {}: {}", batch.name, batch.state.word(), batch.digest));
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A batch that comes, but for its files.
pub struct Came<'a> {
    /// Its name.
    pub name: &'a str,
    /// Who delivered the rows.
    pub feed: &'a str,
    /// The batch of this feed before it.
    pub parent: Option<&'a str>,
    /// Whose signature was checked.
    pub signer: Option<String>,
}

/// Records a batch in somebody's name; gives it as it stands then.
///
/// # Errors
/// When a file cannot be read, or the store fails; nothing was recorded then.
pub async fn deliver_as(
    loaded: &Loaded,
    store: &Store,
    came: Came<'_>,
    paths: &[PathBuf],
    who: &str,
) -> anyhow::Result<Batch> {
    let event = BatchEvent::Delivered {
        batch: came.name.to_owned(),
        feed: came.feed.to_owned(),
        files: paths.iter().map(|path| path.display().to_string()).collect(),
        digest: digest(paths)?,
        signer: came.signer,
        parent: came.parent.map(str::to_owned),
        impact: loaded.config.system.impact,
    };
    let ledger = store.batch_event(&loaded.config.system.name, &event, who).await?;
    Ok(known(&ledger, came.name)?.clone())
}

/// Checks the signature of the one file or folder of a batch; gives the key that signed it.
fn signer(loaded: &Loaded, files: &[PathBuf], signature: &Path) -> anyhow::Result<String> {
    let [file] = files else {
        return Err(Usage("a signature is of one file or folder; sign each batch as one".to_owned()).into());
    };
    let keys = crate::protect::admit::trusted_keys(&loaded.storage())?;
    Ok(disk::verify_path(file, signature, &keys.0)?.key_hint)
}

pub(super) fn known<'a>(ledger: &'a Ledger, name: &str) -> anyhow::Result<&'a Batch> {
    let batch = ledger.batches.get(name);
    batch.ok_or_else(|| mantlet_registry::batch::BatchError::NoBatch(name.to_owned()).into())
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
            let mut learned = BTreeSet::new();
            for batch in ledger.usable() {
                if digest(&files(batch)).ok() != Some(batch.digest) {
                    terminal.note(&format!(
                        "batch {} has other bytes than were let through; left out",
                        batch.name
                    ));
                    code = exit::verdict(mantlet_vocab::Verdict::Found);
                    continue;
                }
                if batch.rulings.digest().is_some() {
                    terminal.note(&format!(
                        "people decided about rows of batch {0}; `mantlet data export {0}` writes it as they did",
                        batch.name
                    ));
                    code = exit::verdict(mantlet_vocab::Verdict::Found);
                    continue;
                }
                for file in &batch.files {
                    // One file under two names, or a copy of it, is learned from once.
                    if learned.insert(digest(&[PathBuf::from(file)])?.0) {
                        terminal.say(file);
                    } else {
                        terminal.note(&format!("{file} of batch {} stands above already", batch.name));
                    }
                }
            }
            for batch in ledger.batches.values() {
                if let Some(back) = &batch.withdrawn {
                    terminal.note(&format!(
                        "batch {} was taken back by {} ({}); what learned from it did so from what is usable no more",
                        batch.name, back.by, back.note
                    ));
                }
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
            let ruled = match batch.rulings.changes() {
                (0, 0) => String::new(),
                (out, other) => format!("  {out} rows left out, {other} relabelled"),
            };
            let back = match &batch.withdrawn {
                Some(back) => format!("  taken back by {}: {}", back.by, back.note),
                None => String::new(),
            };
            let line = format!(
                "{:<16} {:<11} {:<12} {}{findings}{ruled}{approved}{back}",
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
        let seen = Seen::of(known(&ledger, &options.name)?);
        let ledger =
            store.decide_batch(system, &options.name, &user.name, seen, approve, &options.note).await?;
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

/// Runs `mantlet data withdraw`.
///
/// # Errors
/// When the person may not, a batch was not let through, or the store fails; of several, those said before are taken back.
pub fn withdraw(terminal: Terminal, options: &Withdrawn) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        let (loaded, store) = open_store(&options.folder).await?;
        let user = options.person.prove(&store, Act::DecideReview).await?;
        let system = &loaded.config.system.name;
        for name in &options.names {
            let (ledger, _) = store.ledger(system).await?;
            let digest = known(&ledger, name)?.digest;
            let ledger = store.withdraw_batch(system, name, &user.name, digest, &options.note).await?;
            terminal.say(&format!("batch {name} is {}", known(&ledger, name)?.state.word()));
        }
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
