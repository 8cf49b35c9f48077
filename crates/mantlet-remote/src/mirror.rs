//! A folder of files that never change, kept alike with a place on an object store: history of several machines.
//!
//! One pass sends what the store has not, and, when asked to, fetches what the folder has not. A file is one that was
//! given its final name (`<day>/<name>.parquet`); what is being written has another. Objects are written whole or not
//! at all, and under names that hold a random id, so two machines never write one object. A pass that fails is made
//! again later and sends nothing twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::address::Address;
use crate::bucket::Place;
use crate::http::{Http, chain};
use crate::{Environment, Limits, Outward, RemoteError};

/// The ending of a file that is whole.
const WHOLE: &str = ".parquet";

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Files sent.
    pub sent: usize,
    /// Files fetched.
    pub fetched: usize,
}

/// A folder and its place on a store.
#[derive(Debug)]
pub struct Mirror {
    place: Place,
    folder: PathBuf,
    fetch: bool,
    /// Names known to be on the store.
    there: BTreeSet<String>,
    most: usize,
}

impl Mirror {
    /// A folder and `s3://bucket/prefix` or `gs://bucket/prefix`, with the credentials of the environment. With `fetch`
    /// the folder gets what other machines sent, too.
    ///
    /// # Errors
    /// When the address or the credentials are none.
    pub fn new(
        address: &str,
        folder: &Path,
        fetch: bool,
        limits: Limits,
        environment: Environment<'_>,
    ) -> Result<Self, RemoteError> {
        let form = "an address such as s3://bucket/prefix";
        let parsed = Address::parse(address)?;
        if !matches!(parsed, Address::Bucket { .. }) {
            return Err(RemoteError::Address { uri: crate::address::shown(address), form });
        }
        let unusable = |error: rustls::Error| RemoteError::Unreachable {
            uri: crate::address::shown(address),
            why: error.to_string(),
        };
        let http = Http::new(limits, &Outward::from_environment(environment)?).map_err(unusable)?;
        let place = Place::new(&http, &parsed, environment)?;
        Ok(Self::at(place, folder, fetch, limits.objects))
    }

    fn at(place: Place, folder: &Path, fetch: bool, most: usize) -> Self {
        Self { place, folder: folder.to_owned(), fetch, there: BTreeSet::new(), most }
    }

    /// Sends what is new here, and fetches what is new there.
    ///
    /// # Errors
    /// Names what could not be sent, fetched or listed; what was done before stays done.
    pub async fn pass(&mut self) -> Result<Passed, String> {
        let mut passed = Passed::default();
        let here = whole_files(&self.folder)?;
        if here.iter().any(|name| !self.there.contains(name)) || self.fetch {
            self.look().await?;
        }
        for name in here.iter().filter(|name| !self.there.contains(*name)).cloned().collect::<Vec<_>>() {
            let path = self.folder.join(&name);
            let bytes =
                tokio::fs::read(&path).await.map_err(|fault| format!("{}: {fault}", path.display()))?;
            let sent = self.store().put(&self.key(&name), Bytes::from(bytes).into()).await;
            sent.map_err(|fault| format!("{name} was not sent: {}", chain(&fault)))?;
            self.there.insert(name);
            passed.sent += 1;
        }
        if self.fetch {
            let missing: Vec<String> =
                self.there.iter().filter(|name| !here.contains(*name)).cloned().collect();
            for name in missing {
                self.bring(&name).await?;
                passed.fetched += 1;
            }
        }
        Ok(passed)
    }

    async fn look(&mut self) -> Result<(), String> {
        let prefix = self.place.path.clone();
        let mut listing = self.store().list(Some(&prefix));
        let mut there = BTreeSet::new();
        while let Some(object) = listing.next().await {
            let object = object.map_err(|fault| format!("the store was not listed: {}", chain(&fault)))?;
            let below = object.location.prefix_match(&prefix);
            let name =
                below.map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            if let Some(name) = name.filter(|name| is_plain(name)) {
                there.insert(name);
            }
            if there.len() >= self.most {
                return Err(format!(
                    "the store holds more than {} segments: move old days elsewhere",
                    self.most
                ));
            }
        }
        drop(listing);
        self.there = there;
        Ok(())
    }

    async fn bring(&self, name: &str) -> Result<(), String> {
        let fault = |fault: object_store::Error| format!("{name} was not fetched: {}", chain(&fault));
        let bytes = self.store().get(&self.key(name)).await.map_err(fault)?.bytes().await.map_err(fault)?;
        let path = self.folder.join(name);
        let written = tokio::task::spawn_blocking(move || {
            if let Some(day) = path.parent() {
                fs::create_dir_all(day)?;
            }
            // Under another name until it is whole; what is left of one is removed when the folder is opened.
            let temporary = path.with_extension("tmp");
            fs::write(&temporary, &bytes)?;
            fs::rename(&temporary, &path)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(format!("{name} was not kept: {fault}")),
            Err(_) => Err(format!("{name} was not kept")),
        }
    }

    fn store(&self) -> &dyn ObjectStore {
        &*self.place.store
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').fold(self.place.path.clone(), |key, part| key.join(part))
    }
}

/// `<day>/<name>.parquet` and nothing else: a store's answer never leads out of the folder.
fn is_plain(name: &str) -> bool {
    let mut parts = name.split('/');
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    match (parts.next(), parts.next(), parts.next()) {
        (Some(day), Some(file), None) => {
            plain(day)
                && !day.starts_with('.')
                && plain(file)
                && !file.starts_with('.')
                && file.ends_with(WHOLE)
        }
        _ => false,
    }
}

fn whole_files(folder: &Path) -> Result<BTreeSet<String>, String> {
    let fault = |path: &Path, fault: &std::io::Error| format!("{}: {fault}", path.display());
    let mut found = BTreeSet::new();
    let days = match fs::read_dir(folder) {
        Ok(days) => days,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(other) => return Err(fault(folder, &other)),
    };
    for day in days.flatten().filter(|day| day.path().is_dir()) {
        for file in fs::read_dir(day.path()).map_err(|other| fault(&day.path(), &other))?.flatten() {
            let name =
                format!("{}/{}", day.file_name().to_string_lossy(), file.file_name().to_string_lossy());
            if is_plain(&name) {
                found.insert(name);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn two_machines_have_the_same_history_in_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mirror = |folder: &Path, fetch| {
            let place = Place::of(store.clone(), Key::from("a/history"));
            Mirror::at(place, folder, fetch, 1_000)
        };
        let (mut first, mut second) = (mirror(one.path(), false), mirror(two.path(), true));
        write(one.path(), "2026-01-01/1-2-x.parquet", b"one");
        write(one.path(), "2026-01-01/1-2-y.tmp", b"half");
        write(one.path(), "wal-z.log", b"write-ahead");
        write(two.path(), "2026-01-02/3-4-y.parquet", b"two");
        runtime.block_on(async {
            assert_eq!(first.pass().await.unwrap(), Passed { sent: 1, fetched: 0 });
            assert_eq!(first.pass().await.unwrap(), Passed::default());
            assert_eq!(second.pass().await.unwrap(), Passed { sent: 1, fetched: 1 });
            assert_eq!(second.pass().await.unwrap(), Passed::default());
            assert_eq!(fs::read(two.path().join("2026-01-01/1-2-x.parquet")).unwrap(), b"one");
            assert!(!one.path().join("2026-01-02").exists(), "the first only sends");
            // What a stranger put there is not fetched to a place of its own choice.
            for name in ["a/history/2026-01-01/x.exe", "a/history/x.parquet", "a/history/.git/x.parquet"] {
                store.put(&Key::from(name), Bytes::from_static(b"x").into()).await.unwrap();
            }
            assert_eq!(second.pass().await.unwrap(), Passed::default());
            // A new machine sends nothing twice, and has everything.
            let three = tempfile::tempdir().unwrap();
            write(three.path(), "2026-01-01/1-2-x.parquet", b"one");
            let passed = mirror(three.path(), true).pass().await.unwrap();
            assert_eq!(passed, Passed { sent: 0, fetched: 1 });
        });
    }
}
