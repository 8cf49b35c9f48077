//! Broken folders, locks, damage and full disks: a clear message, and nothing half done.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use mantlet_registry::{RegistryStore as _, System};
use mantlet_store::{AuditError, NewEntry, Options, Store, StoreError};
use mantlet_vocab::{Impact, Millis, Mode};
use serde_json::json;

use crate::{block, clock, open, try_open};

async fn hasty(folder: &Path) -> Result<Store, StoreError> {
    let options = Options { patience: Duration::from_millis(30), ..Options::default() };
    Store::open(folder, clock(), options).await
}

#[test]
fn one_process_serves_and_its_death_frees_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        let second = try_open(folder.path(), true).await.unwrap_err();
        assert!(matches!(second, StoreError::InUse { .. }), "{second}");
        try_open(folder.path(), false).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        open(folder.path()).await;
    });
}

#[test]
fn folders_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    block(async {
        let fault = try_open(&file.join("x"), true).await.unwrap_err();
        assert!(fault.to_string().contains("file/x"), "{fault}");
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("state.db")).unwrap();
        let fault = try_open(&taken, true).await.unwrap_err();
        assert!(fault.to_string().contains("state.db"), "{fault}");
    });
}

#[test]
fn a_damaged_database_is_called_damaged_and_a_newer_one_newer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    block(async {
        let store = open(folder.path()).await;
        store.make_key("a", vec![], None, "ada").await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let bytes = fs::read(&path).unwrap();
        for (name, damaged) in [
            ("garbage", b"this is no database at all, it is text".repeat(200)),
            ("half", bytes[..bytes.len() / 2].to_vec()),
            ("middle overwritten", {
                let mut bytes = bytes.clone();
                let from = bytes.len() / 3;
                bytes[from..].fill(0x5a);
                bytes
            }),
        ] {
            fs::write(&path, damaged).unwrap();
            let _ = fs::remove_file(folder.path().join("state.db-wal"));
            let fault = try_open(folder.path(), true).await.unwrap_err();
            assert!(matches!(fault, StoreError::Damaged { .. }), "{name}: {fault}");
            assert!(fault.to_string().contains("restore it from a backup"));
        }
        let mut newer = bytes.clone();
        newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
        fs::write(&path, newer).unwrap();
        let fault = try_open(folder.path(), true).await.unwrap_err();
        assert!(matches!(fault, StoreError::Newer { found: 99, .. }), "{fault}");
        fs::write(&path, bytes).unwrap();
        assert_eq!(open(folder.path()).await.keys().await.unwrap().len(), 1);
    });
}

#[test]
fn other_writers_are_waited_for_and_then_named() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = hasty(folder.path()).await.unwrap();
        let lock = OpenOptions::new().append(true).open(folder.path().join("audit/lock")).unwrap();
        lock.lock().unwrap();
        let fault = store.make_key("a", vec![], None, "ada").await.unwrap_err();
        assert!(matches!(fault, StoreError::Locked { .. }), "{fault}");
        assert!(store.keys().await.unwrap().is_empty(), "without its entry in the log it did not happen");
        drop(lock);
        store.make_key("a", vec![], None, "ada").await.unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("state.db"));
        let other = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let fault = store.put_system(&system()).await.unwrap_err();
        assert!(matches!(fault, StoreError::Locked { .. }), "{fault}");
        assert_eq!(store.keys().await.unwrap().len(), 1, "readers are not disturbed");
        drop(writing);
        other.close().await;
        store.put_system(&system()).await.unwrap();
    });
}

fn system() -> System {
    System {
        name: "s".into(),
        decides: String::new(),
        impact: Impact::Low,
        mode: Mode::Observe,
        owner: "ada".into(),
        created: Millis(0),
        serving: None,
        known_good: None,
    }
}

#[test]
fn an_append_that_cannot_be_written_is_refused_and_the_log_goes_on_after() {
    let folder = tempfile::tempdir().unwrap();
    let tiles = folder.path().join("audit/tile");
    let entry = |n: u64| NewEntry::new("ada", "tested", "thing", json!(n));
    block(async {
        let store = open(folder.path()).await;
        store.audit().append(entry(0)).await.unwrap();
        // In the way of the next bundle, then of the next tile.
        for way in ["entries/000.p/2", "0/000.p/2"] {
            fs::create_dir_all(tiles.join(way)).unwrap();
            let fault = store.audit().append(entry(1)).await.unwrap_err();
            assert!(fault.to_string().contains(way), "{fault}");
            assert_eq!(store.audit().verify(None).await.unwrap().size, 1);
            fs::remove_dir(tiles.join(way)).unwrap();
        }
        let refused = store.put_system(&system()).await;
        refused.unwrap();
        assert_eq!(store.audit().append(entry(2)).await.unwrap(), 2);
        // The writer notices tampering with what it appends to, and appends nothing.
        let path = tiles.join("entries/000.p/3");
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        drop(store);
        let fault = try_open(folder.path(), false).await.unwrap_err();
        assert!(matches!(fault, StoreError::Audit(AuditError::Entry { index: 0 })), "{fault}");
    });
}

#[test]
fn a_lost_key_is_named_and_nothing_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let store = open(folder.path()).await;
        store.audit().append(NewEntry::new("a", "b", "c", json!(null))).await.unwrap();
        drop(store);
        let key = folder.path().join("audit/log.key");
        let text = fs::read_to_string(&key).unwrap();
        fs::remove_file(&key).unwrap();
        let fault = try_open(folder.path(), false).await.unwrap_err();
        assert!(matches!(fault, StoreError::Audit(AuditError::Key { .. })), "{fault}");
        let mut file = fs::File::create(&key).unwrap();
        file.write_all(&text.as_bytes()[..30]).unwrap();
        let fault = try_open(folder.path(), false).await.unwrap_err();
        assert!(
            !fault.to_string().contains(&text[30..50]) && fault.to_string().contains("log.key"),
            "{fault}"
        );
        fs::write(&key, text).unwrap();
        try_open(folder.path(), false).await.unwrap();
    });
}
