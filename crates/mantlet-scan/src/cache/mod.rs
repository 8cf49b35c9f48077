//! Results that are kept, so that a file which has not changed is not examined again.
//!
//! A result is found again by the SHA-256 of the content, the name it was scanned under, everything in the options that
//! decides, and a fingerprint of the code and the rules. Only results without gaps are kept: a gap may be gone next time.
//! What files beside it had a part in is not kept either, since they are no part of the key.
//! Nobody but the owner may write the folder, and an entry that is not whole, not the owner's, or not about its key is
//! as good as absent.

mod folder;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use mantlet_vocab::{ArtifactSummary, Coverage, Digest, Finding, Source};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use folder::CacheError;
use folder::Folder;
pub(crate) use folder::State;

use crate::file::FileSource;
use crate::{Options, companion};

/// Files longer than this cost more to digest than to examine, unless every byte is read anyway.
const WORTH_IT: u64 = 16 << 20;
/// Bytes of one entry.
const MAX_ENTRY: u64 = 1 << 20;
/// A file written this shortly before could be written again without its times showing it.
const QUIET: std::time::Duration = std::time::Duration::from_secs(2);

/// A folder of results, kept between runs.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
    hits: AtomicU64,
    stored: AtomicU64,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: Digest,
    /// The digest of `result` as it is written.
    sum: Digest,
    result: String,
}

type Examined = (ArtifactSummary, Vec<Finding>);

/// What has to be stored if the file is still the same after it was examined.
pub(crate) struct Ticket {
    key: Digest,
    state: Option<State>,
}

impl Cache {
    /// Opens a folder for results, and makes it if it is not there. It never holds more than `max_bytes` for long.
    ///
    /// # Errors
    /// When it cannot be made or read, or when others than its owner could write in it.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        Ok(Self {
            folder: Folder::open(path, max_bytes)?,
            hits: AtomicU64::new(0),
            stored: AtomicU64::new(0),
        })
    }

    /// Results that were found again.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Results that were added.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// The kept result, or what is needed to keep the one that is made now; nothing where keeping is not worth it.
    pub(crate) fn ask(
        &self,
        name: &str,
        source: &FileSource,
        options: &Options,
    ) -> Result<Examined, Option<Ticket>> {
        let everything = options.full_content || options.user_rules.is_some();
        // A chunk of an array is judged by the files beside it, which are not part of the key.
        if source.len() > WORTH_IT && !everything || companion::is_chunk(name) {
            return Err(None);
        }
        let state = source.state();
        if !source.in_memory() && state.is_none() {
            return Err(None);
        }
        let Some(content) = digest(source) else { return Err(None) };
        let key = key(content, source.len(), name, options);
        if let Some(result) = self.read(key, name) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(result);
        }
        Err(Some(Ticket { key, state }))
    }

    fn read(&self, key: Digest, name: &str) -> Option<Examined> {
        let bytes = self.folder.read(&key.hex(), MAX_ENTRY)?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        if entry.key != key || entry.sum != Digest::of(entry.result.as_bytes()) {
            return None;
        }
        let (artifact, findings): Examined = serde_json::from_str(&entry.result).ok()?;
        (artifact.path == name && artifact.coverage == Coverage::Complete).then_some((artifact, findings))
    }

    /// Keeps a result, if it is whole and was certainly made from the bytes that were digested.
    pub(crate) fn keep(&self, ticket: &Ticket, source: &FileSource, result: &Examined) {
        let (artifact, _) = result;
        if artifact.coverage != Coverage::Complete {
            return;
        }
        if !source.in_memory()
            && (source.state() != ticket.state || !ticket.state.as_ref().is_some_and(|s| s.quiet(QUIET)))
        {
            return;
        }
        let Ok(text) = serde_json::to_string(result) else { return };
        // What does not come back as it was is not kept.
        if serde_json::from_str::<Examined>(&text).ok().as_ref() != Some(result) {
            return;
        }
        let entry = Entry { key: ticket.key, sum: Digest::of(text.as_bytes()), result: text };
        let Ok(bytes) = serde_json::to_vec(&entry) else { return };
        if bytes.len() as u64 <= MAX_ENTRY && self.folder.write(&ticket.key.hex(), &bytes) {
            self.stored.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Removes the oldest results when the folder has grown too large. Called once a scan.
    pub(crate) fn prune(&self) {
        if self.stored() > 0 {
            self.folder.prune();
        }
    }
}

fn digest(source: &FileSource) -> Option<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        match source.read_at(at, &mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                at += count as u64;
            }
            Err(_) => return None,
        }
    }
    (at == source.len()).then(|| Digest(hasher.finalize().into()))
}

/// Everything the result depends on.
fn key(content: Digest, len: u64, name: &str, options: &Options) -> Digest {
    let rules = options.user_rules.as_ref().map(|rules| rules.digest());
    let parts = [
        "mantlet kept result 2".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
        env!("MANTLET_SCAN_FINGERPRINT").to_owned(),
        format!("{:?}", options.bounds()),
        format!("{rules:?}"),
        name.to_owned(),
        format!("{content} {len}"),
    ];
    let mut hasher = Sha256::new();
    for part in &parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}
