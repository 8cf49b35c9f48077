//! The audit log: any change, cut or swap of it is found and named, and a killed append harms nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mantlet_seal::log::{Checkpoint, LogVerifier, check_inclusion, leaf};
use mantlet_store::{AuditError, AuditLog, NewEntry, StoreError, verify_audit};
use mantlet_vocab::Digest;
use proptest::prelude::*;
use serde_json::json;

use crate::{block, clock, open, try_open};

const ORIGIN: &str = "mantlet.test/audit";

async fn log(folder: &Path) -> AuditLog {
    AuditLog::open(folder, ORIGIN, clock()).await.unwrap()
}

fn entry(n: u64) -> NewEntry {
    NewEntry::new(
        "ada",
        "tested",
        &format!("thing {n}"),
        json!({ "n": n, "text": "x".repeat((n % 7) as usize) }),
    )
}

/// Appends `count` entries in groups, as many callers would.
async fn fill(log: &AuditLog, from: u64, count: u64) {
    let mut tasks = Vec::new();
    for n in from..from + count {
        let log = log.clone();
        tasks.push(tokio::spawn(async move { log.append(entry(n)).await.unwrap() }));
    }
    let mut indices = Vec::new();
    for task in tasks {
        indices.push(task.await.unwrap());
    }
    indices.sort_unstable();
    assert_eq!(indices, (from..from + count).collect::<Vec<_>>());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap().flatten() {
        if item.path().is_dir() {
            found.extend(files(&item.path()));
        } else {
            found.push(item.path());
        }
    }
    found.sort();
    found
}

/// 600 entries: two full bundles, a partial one, and a partial tile of level 1.
static WHOLE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let log = log(folder.path()).await;
        fill(&log, 0, 600).await;
    });
    folder
});

fn fault(folder: &Path) -> AuditError {
    match verify_audit(folder, None, None) {
        Err(StoreError::Audit(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_come_back_in_order_and_the_log_verifies() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let log = log(folder.path()).await;
        assert!(log.recovery().created);
        assert_eq!(log.verify(None).await.unwrap().size, 0);
        for n in 0..3 {
            assert_eq!(log.append(entry(n)).await.unwrap(), n);
        }
        let early = log.checkpoint().await.unwrap().0;
        fill(&log, 3, 700).await;
        let tail = log.tail(2).await.unwrap();
        assert_eq!(tail.iter().map(|entry| entry.index).collect::<Vec<_>>(), [701, 702]);
        assert_eq!(log.entries(254, 4).await.unwrap().len(), 4);
        assert_eq!(log.entries(0, 1).await.unwrap()[0].subject, "thing 0");
        assert!(log.entries(703, 5).await.unwrap().is_empty());
        let report = log.verify(Some(early.clone())).await.unwrap();
        assert_eq!((report.size, report.continues), (703, Some(3)));
        // Any third party's proof of an entry leads to the signed root.
        let (path, note) = log.prove(300).await.unwrap();
        let head = Checkpoint::verify(&note, log.verifier()).unwrap();
        let bundle = fs::read(folder.path().join("tile/entries/001")).unwrap();
        let entries = mantlet_seal::log::unpack_entries(&bundle).unwrap();
        check_inclusion(&leaf(entries[44]), 300, head.size, &path, &head.root).unwrap();
        // The key is private, and the same after reopening.
        let again = self::log(folder.path()).await;
        assert_eq!((again.recovery().created, again.verifier()), (false, log.verifier()));
        assert_eq!(again.append(entry(703)).await.unwrap(), 703);
        let forged = Checkpoint { root: [1; 32], ..early };
        let forked = log.verify(Some(forged)).await.unwrap_err();
        assert!(matches!(forked, StoreError::Audit(AuditError::Forked { known: 3 })), "{forked}");
    });
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let key = fs::metadata(folder.path().join("log.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn two_writers_take_turns_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let (one, two) = (log(folder.path()).await, log(folder.path()).await);
        let mut tasks = Vec::new();
        for n in 0..120 {
            let log = if n % 2 == 0 { one.clone() } else { two.clone() };
            tasks.push(tokio::spawn(async move { log.append(entry(n)).await.unwrap() }));
        }
        let mut indices = Vec::new();
        for task in tasks {
            indices.push(task.await.unwrap());
        }
        indices.sort_unstable();
        assert_eq!(indices, (0..120).collect::<Vec<_>>());
        assert_eq!(one.verify(None).await.unwrap().size, 120);
    });
}

#[test]
fn long_details_are_replaced_by_their_digest_and_secrets_are_the_callers_business() {
    let folder = tempfile::tempdir().unwrap();
    block(async {
        let log = log(folder.path()).await;
        let detail = json!("y".repeat(100_000));
        log.append(NewEntry::new("a", "b", "c", detail.clone())).await.unwrap();
        let kept = log.tail(1).await.unwrap().remove(0);
        assert_eq!(kept.detail["left_out_bytes"], 100_002);
        assert_eq!(kept.detail["digest"], json!(Digest::of(detail.to_string().as_bytes())));
        let long = log.append(NewEntry::new("a", "b", &"z".repeat(70_000), json!(null))).await.unwrap_err();
        assert!(matches!(long, StoreError::Audit(AuditError::TooLong { .. })));
        assert_eq!(log.verify(None).await.unwrap().size, 1);
    });
}

#[test]
fn every_cut_of_an_acknowledged_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    block(async { fill(&log(folder.path()).await, 0, 5).await });
    for path in files(&folder.path().join("tile")) {
        let bytes = fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let found = fault(folder.path());
            let opened = block(AuditLog::open(folder.path(), ORIGIN, clock()));
            assert!(opened.is_err(), "{path:?} {cut}");
            if path.to_str().unwrap().contains("entries") {
                assert!(matches!(found, AuditError::Entry { .. } | AuditError::Cut { .. }), "{found}");
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(verify_audit(folder.path(), None, None).unwrap().size, 5);
}

#[test]
fn removed_reordered_edited_and_replaced_entries_are_named() {
    let bundle = |folder: &Path, n: u64| folder.join(format!("tile/entries/{n:03}"));
    let change = |n: u64, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let folder = tempfile::tempdir().unwrap();
        copy(WHOLE.path(), folder.path());
        let path = bundle(folder.path(), n);
        let bytes = fs::read(&path).unwrap();
        let mut entries: Vec<Vec<u8>> =
            mantlet_seal::log::unpack_entries(&bytes).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        change(&mut entries);
        let mut changed = Vec::new();
        entries.iter().for_each(|entry| mantlet_seal::log::pack_entry(&mut changed, entry).unwrap());
        fs::write(&path, changed).unwrap();
        fault(folder.path())
    };
    assert_eq!(change(0, &|entries| entries.swap(10, 20)), AuditError::Entry { index: 10 });
    assert_eq!(change(1, &|entries| entries[4].push(b' ')), AuditError::Entry { index: 260 });
    assert_eq!(change(1, &|entries| drop(entries.remove(200))), AuditError::Entry { index: 456 });
    assert_eq!(change(1, &|entries| drop(entries.pop())), AuditError::Cut { first: 511, size: 600 });
    let grown = change(0, &|entries| entries.push(b"{}".to_vec()));
    assert_eq!(grown, AuditError::Entry { index: 256 });
    // Entry and leaf hash changed alike: the level above tells the run of 256, the signed root the rest.
    let both = |n: u64, at: usize, width: &str| {
        let folder = tempfile::tempdir().unwrap();
        copy(WHOLE.path(), folder.path());
        let path = folder.path().join(format!("tile/entries/{n:03}{width}"));
        let bytes = fs::read(&path).unwrap();
        let mut changed = Vec::new();
        let tile = folder.path().join(format!("tile/0/{n:03}{width}"));
        let mut hashes = fs::read(&tile).unwrap();
        for (index, entry) in mantlet_seal::log::unpack_entries(&bytes).unwrap().into_iter().enumerate() {
            let mut entry = entry.to_vec();
            if index == at {
                entry[10] ^= 1;
                hashes[at * 32..at * 32 + 32].copy_from_slice(&leaf(&entry));
            }
            mantlet_seal::log::pack_entry(&mut changed, &entry).unwrap();
        }
        fs::write(&path, changed).unwrap();
        fs::write(&tile, hashes).unwrap();
        fault(folder.path())
    };
    assert_eq!(both(1, 9, ""), AuditError::Range { first: 256, last: 511 });
    assert_eq!(both(2, 9, ".p/88"), AuditError::Root);
}

#[test]
fn missing_files_foreign_keys_and_older_copies_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = || {
        let _ = fs::remove_dir_all(folder.path().join("x"));
        copy(WHOLE.path(), &folder.path().join("x"));
        folder.path().join("x")
    };
    let log = fresh();
    fs::remove_file(log.join("tile/entries/001")).unwrap();
    assert_eq!(fault(&log), AuditError::Cut { first: 256, size: 600 });
    let log = fresh();
    fs::remove_file(log.join("tile/0/000")).unwrap();
    assert!(matches!(fault(&log), AuditError::Tile { first: 0, last: 255, .. }));
    let log = fresh();
    fs::remove_file(log.join("checkpoint")).unwrap();
    assert_eq!(fault(&log), AuditError::NoCheckpoint);
    assert!(block(AuditLog::open(&log, ORIGIN, clock())).is_err(), "it is not silently begun anew");
    // Another log with another key in its place: the key kept elsewhere tells.
    let trusted = fs::read_to_string(WHOLE.path().join("log.pub")).unwrap();
    let trusted = LogVerifier::from_text(&trusted).unwrap();
    let other = tempfile::tempdir().unwrap();
    block(async { fill(&self::log(other.path()).await, 0, 3).await });
    assert_eq!(verify_audit(other.path(), None, None).unwrap().size, 3);
    let foreign = verify_audit(other.path(), Some(&trusted), None).unwrap_err();
    assert!(matches!(foreign, StoreError::Audit(AuditError::Checkpoint { .. })), "{foreign}");
    let report = verify_audit(WHOLE.path(), Some(&trusted), None).unwrap();
    let seen = Checkpoint::verify(&report.checkpoint, &trusted).unwrap();
    let older = verify_audit(other.path(), None, Some(&seen)).unwrap_err();
    assert!(matches!(older, StoreError::Audit(AuditError::Older { found: 3, known: 600 })), "{older}");
}

#[test]
fn a_log_put_back_from_an_older_copy_is_noticed_at_opening() {
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("copy");
    block(async {
        let store = open(folder.path()).await;
        store.audit().append(entry(0)).await.unwrap();
        copy(&folder.path().join("audit"), &copied);
        store.audit().append(entry(1)).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        fs::remove_dir_all(folder.path().join("audit")).unwrap();
        copy(&copied, &folder.path().join("audit"));
        let older = try_open(folder.path(), true).await.unwrap_err();
        assert!(matches!(older, StoreError::Audit(AuditError::Older { found: 1, known: 2 })), "{older}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// One flipped bit anywhere in entries, tiles or checkpoint is found, and the place is right.
    #[test]
    fn any_flipped_bit_is_found(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let folder = tempfile::tempdir().unwrap();
        copy(WHOLE.path(), folder.path());
        let mut all = files(&folder.path().join("tile"));
        all.push(folder.path().join("checkpoint"));
        let path = &all[file.index(all.len())];
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        let found = fault(folder.path());
        let name = path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
        if let Some(rest) = name.strip_prefix("tile/entries/") {
            let first = rest[..3].parse::<u64>().unwrap() * 256;
            // The entry that holds the byte; a flipped length moves what follows, never what is before.
            let original = fs::read(WHOLE.path().join(&name)).unwrap();
            let (mut index, mut offset) = (first, 0);
            for entry in mantlet_seal::log::unpack_entries(&original).unwrap() {
                if at < offset + 2 + entry.len() {
                    break;
                }
                offset += 2 + entry.len();
                index += 1;
            }
            prop_assert_eq!(found, AuditError::Entry { index });
        } else if name.starts_with("tile/") {
            let named = matches!(&found, AuditError::Tile { path, .. } if *path == name);
            prop_assert!(named, "{}: {}", name, found);
        } else {
            let is_checkpoint = matches!(found, AuditError::Checkpoint { .. });
            prop_assert!(is_checkpoint, "{}", found);
        }
    }
}
