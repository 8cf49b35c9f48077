//! Batches of training data: the audit log holds every event, and the ledger is what they add up to.
//!
//! There is no second record that could differ from the log. An event that two replicas let happen at once, and that
//! may not follow the other, is refused when the log is read: the same way by everyone who reads it. Decisions of
//! people are made here for the command line and the console alike: the files are hashed again, and what the person
//! saw has to be what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mantlet_registry::batch::{Batch, BatchError, BatchEvent, BatchState, Ledger};
use mantlet_registry::disk;
use mantlet_registry::rows::{RowRuled, Sheet};
use mantlet_respond::{Alert, AlertKind, IncidentFilter, IncidentStore, StepState};
use mantlet_vocab::{Digest, Millis};
use serde_json::json;

use crate::{Record, RecordKind, Store, StoreError};

/// Bytes of decisions about rows in one entry of the log.
const PART: usize = 32 << 10;
/// Tries when somebody else changes an incident at the same time.
const TRIES: usize = 4;
/// Entries read at a time.
const PAGE: usize = 1_000;

/// What a person had before them when they decided about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The digest of the files.
    pub digest: Digest,
    /// What was decided about rows ([`mantlet_registry::rows::Rulings::digest`]).
    pub rulings: Option<Digest>,
}

impl Seen {
    /// A batch as it stands in the ledger.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        Self { digest: batch.digest, rulings: batch.rulings.digest() }
    }
}

/// The digest of a batch: of the digests of its files, in order; of a folder, of the path and the digest of every file
/// below it, since where a picture lies is its label.
///
/// # Errors
/// When a file is not there or cannot be read, or a folder holds links, too many files or too deep folders.
pub fn batch_digest(files: &[PathBuf]) -> Result<Digest, StoreError> {
    let mut all = Vec::new();
    for file in files {
        if file.is_dir() {
            all.extend_from_slice(&folder_digest(file)?.0);
        } else {
            all.extend_from_slice(&disk::digest_file(file)?.0);
        }
    }
    Ok(Digest::of(&all))
}

/// Files of a folder at most, and folders inside folders.
const FILES: usize = 1_000_000;
const DEPTH: usize = 8;

/// The digest of every file below a folder, under its path.
fn folder_digest(root: &Path) -> Result<Digest, StoreError> {
    let mut found = Vec::new();
    below(root, Path::new(""), DEPTH, &mut found)?;
    // Whole paths in order, whatever order folders are read in.
    found.sort();
    let mut all = Vec::with_capacity(found.len() * 64);
    for inside in found {
        // Lengths first, so that no two folders give the same bytes.
        let name = inside.as_os_str().as_encoded_bytes();
        all.extend_from_slice(&(name.len() as u64).to_le_bytes());
        all.extend_from_slice(name);
        all.extend_from_slice(&disk::digest_file(&root.join(&inside))?.0);
    }
    let mut whole = b"mantlet folder 1\n".to_vec();
    whole.extend_from_slice(&Digest::of(&all).0);
    Ok(Digest::of(&whole))
}

fn below(root: &Path, inside: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let folder = root.join(inside);
    let refused = |path: &Path, why: &str| StoreError::Folder { path: path.to_owned(), why: why.to_owned() };
    let cannot = |error: std::io::Error| refused(&folder, &error.to_string());
    for entry in std::fs::read_dir(&folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let (kind, own) = (entry.file_type().map_err(cannot)?, inside.join(entry.file_name()));
        if kind.is_dir() {
            if depth == 0 {
                return Err(refused(&entry.path(), "folders of a batch are nested too deep"));
            }
            below(root, &own, depth - 1, found)?;
        } else if kind.is_file() {
            found.push(own);
            if found.len() > FILES {
                return Err(refused(root, "a batch has too many files; deliver it in parts"));
            }
        } else {
            return Err(refused(
                &entry.path(),
                "it is no file; a batch is bytes that stay, copy what a link names",
            ));
        }
    }
    Ok(())
}

/// The ledgers of all systems, as far as the audit log was read; reading on takes in what came since.
#[derive(Debug, Clone, Default)]
pub struct Ledgers {
    next: u64,
    by_system: BTreeMap<String, Ledger>,
    refused: BTreeMap<String, Vec<(BatchEvent, BatchError)>>,
}

impl Ledgers {
    /// Reads the audit log from where it was left.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read_on(&mut self, store: &Store) -> Result<(), StoreError> {
        loop {
            let page = store.audit().entries(self.next, PAGE).await?;
            let full = page.len() == PAGE;
            for entry in page {
                self.next += 1;
                let Some(system) = entry.detail.get("system").and_then(serde_json::Value::as_str) else {
                    continue;
                };
                let event = entry.detail.get("event").cloned().map(serde_json::from_value::<BatchEvent>);
                if let Some(Ok(event)) = event
                    && event.action() == entry.action
                    && let Err(error) = self.take(system, &event, &entry.actor, entry.at)
                {
                    self.refused.entry(system.to_owned()).or_default().push((event, error));
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Takes in an event that is known otherwise.
    ///
    /// # Errors
    /// When it may not happen.
    pub fn take(
        &mut self,
        system: &str,
        event: &BatchEvent,
        actor: &str,
        at: Millis,
    ) -> Result<(), BatchError> {
        self.by_system.entry(system.to_owned()).or_default().apply(event, actor, at)
    }

    /// Systems with batches, or with a word about retraining.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Ledger)> {
        self.by_system.iter().map(|(system, ledger)| (system.as_str(), ledger))
    }

    /// The ledger of a system.
    #[must_use]
    pub fn of(&self, system: &str) -> Option<&Ledger> {
        self.by_system.get(system)
    }
}

impl Store {
    /// The batches of a system, replayed from the audit log, and the events in it that could not happen.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn ledger(&self, system: &str) -> Result<(Ledger, Vec<(BatchEvent, BatchError)>), StoreError> {
        let mut ledgers = Ledgers::default();
        ledgers.read_on(self).await?;
        let ledger = ledgers.by_system.remove(system).unwrap_or_default();
        Ok((ledger, ledgers.refused.remove(system).unwrap_or_default()))
    }

    /// Lets something happen to a batch; nothing is written when it may not. Gives the ledger with it.
    ///
    /// # Errors
    /// When it may not happen, or the log fails.
    pub async fn batch_event(
        &self,
        system: &str,
        event: &BatchEvent,
        actor: &str,
    ) -> Result<Ledger, StoreError> {
        let (mut ledger, _) = self.ledger(system).await?;
        ledger.apply(event, actor, self.now())?;
        let subject = event.batch().unwrap_or(system);
        self.note(actor, event.action(), subject, json!({ "system": system, "event": event })).await?;
        Ok(ledger)
    }

    /// A person lets a batch through or throws it out, as they saw it. Gives the ledger with it.
    ///
    /// # Errors
    /// When there is no such batch, its files are not what was seen, the person may not, or the log fails.
    pub async fn decide_batch(
        &self,
        system: &str,
        batch: &str,
        actor: &str,
        seen: Seen,
        approve: bool,
        note: &str,
    ) -> Result<Ledger, StoreError> {
        self.same_bytes(system, batch, seen.digest).await?;
        let (batch, digest, note) = (batch.to_owned(), seen.digest, note.to_owned());
        let event = if approve {
            BatchEvent::Approved { batch, digest, rulings: seen.rulings, note }
        } else {
            BatchEvent::Rejected { batch, digest, note }
        };
        let ledger = self.batch_event(system, &event, actor).await?;
        if let Some(own) = ledger.batches.get(event.batch().unwrap_or_default())
            && own.state != BatchState::Held
        {
            let said = format!("batch {} was {}", own.name, own.state.word());
            self.settle(system, own, actor, &said).await;
        }
        Ok(ledger)
    }

    /// A person takes back what passed or was approved. The files need not be there: what cannot be read any more can be
    /// taken back as well. Gives the ledger with it.
    ///
    /// # Errors
    /// When there is no such batch, it was not let through, it is another than was seen, or the log fails.
    pub async fn withdraw_batch(
        &self,
        system: &str,
        batch: &str,
        actor: &str,
        digest: Digest,
        note: &str,
    ) -> Result<Ledger, StoreError> {
        let event = BatchEvent::Withdrawn { batch: batch.to_owned(), digest, note: note.to_owned() };
        self.batch_event(system, &event, actor).await
    }

    /// Closes the incidents about a batch that is held no more. One with a step in force stays open until that is undone,
    /// and one that somebody else changes again and again stays open as well: what was decided stands either way.
    pub async fn settle(&self, system: &str, batch: &Batch, actor: &str, why: &str) {
        let subject = Alert::batch_subject(&batch.name, &batch.feed);
        let filter = IncidentFilter { system: Some(system.to_owned()), ..IncidentFilter::open() };
        for _ in 0..TRIES {
            let Ok(incidents) = IncidentStore::list(self, &filter).await else { return };
            let mut again = false;
            for mut incident in incidents {
                if incident.kind != AlertKind::Data || incident.subject.as_deref() != Some(subject.as_str()) {
                    continue;
                }
                let acted = |state: &StepState| {
                    matches!(state, StepState::Applied | StepState::Applying | StepState::Undoing)
                };
                if incident.steps.iter().any(|step| acted(&step.state)) {
                    let open = format!("{why}; a step is in force, so this stays open");
                    incident.note(self.now(), actor, open);
                } else {
                    incident.close(self.now(), actor, why);
                }
                incident.revision += 1;
                incident.refresh();
                again |= IncidentStore::save(self, &incident).await.is_err();
            }
            if !again {
                return;
            }
        }
    }

    /// A person decides about rows of a batch. Gives the ledger with it. An entry of the audit log has at most 64 KiB, so
    /// many rows are several entries; when any of them may not happen, none does.
    ///
    /// # Errors
    /// When there is no such batch, its files are not what was seen, the person may not, or the log fails.
    pub async fn rule_rows(
        &self,
        system: &str,
        batch: &str,
        actor: &str,
        seen: Digest,
        rows: Vec<RowRuled>,
        note: &str,
    ) -> Result<Ledger, StoreError> {
        self.same_bytes(system, batch, seen).await?;
        let event = |rows| {
            let (batch, note) = (batch.to_owned(), note.to_owned());
            BatchEvent::RowsRuled { batch, digest: seen, rows, note }
        };
        let (mut ledger, _) = self.ledger(system).await?;
        ledger.apply(&event(rows.clone()), actor, self.now())?;
        let mut part: Vec<RowRuled> = Vec::new();
        let mut bytes = 0;
        for ruled in rows {
            let own = serde_json::to_string(&ruled).map_err(|error| unreadable(&error))?.len() + 1;
            if bytes + own > PART && !part.is_empty() {
                self.batch_event(system, &event(std::mem::take(&mut part)), actor).await?;
                bytes = 0;
            }
            bytes += own;
            part.push(ruled);
        }
        self.batch_event(system, &event(part), actor).await
    }

    /// Fails unless the files of a batch are those that were seen.
    async fn same_bytes(&self, system: &str, batch: &str, seen: Digest) -> Result<(), StoreError> {
        let (ledger, _) = self.ledger(system).await?;
        let own = ledger.batches.get(batch).ok_or_else(|| BatchError::NoBatch(batch.to_owned()))?;
        let files: Vec<PathBuf> = own.files.iter().map(PathBuf::from).collect();
        let found = tokio::task::spawn_blocking(move || batch_digest(&files)).await;
        let found = found.map_err(|_| StoreError::Closed)??;
        if found != seen {
            return Err(BatchError::OtherBytes { batch: batch.to_owned(), recorded: seen, found }.into());
        }
        Ok(())
    }

    /// Keeps the rows of a batch that are most worth a look, in place of those of an earlier gate. The audit log holds
    /// their digest.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn keep_sheet(&self, system: &str, sheet: &Sheet, actor: &str) -> Result<(), StoreError> {
        let record = Record {
            id: sheet_id(system, &sheet.batch),
            system: system.to_owned(),
            at: sheet.at,
            state: sheet.digest.hex(),
            doc: serde_json::to_value(sheet).map_err(|error| unreadable(&error))?,
        };
        self.put_record(RecordKind::BatchSheet, &record, actor).await
    }

    /// The rows of a batch that are most worth a look, when its gate has listed them for exactly these bytes.
    ///
    /// # Errors
    /// When the database fails, or what it holds does not read back.
    pub async fn sheet(&self, system: &str, batch: &Batch) -> Result<Option<Sheet>, StoreError> {
        let record = self.record(RecordKind::BatchSheet, &sheet_id(system, &batch.name)).await?;
        let Some(record) = record.filter(|record| record.state == batch.digest.hex()) else {
            return Ok(None);
        };
        serde_json::from_value(record.doc).map(Some).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Record { table: "records", reason: format!("the sheet of a batch: {error}") }
}

fn sheet_id(system: &str, batch: &str) -> String {
    format!("{system}/{batch}")
}
