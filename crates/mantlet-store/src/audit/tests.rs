//! What a killed append can leave, tried at every byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::Disk;
use super::verify_audit;

fn open(folder: &Path) -> (Disk, super::Recovery) {
    Disk::open(folder, "test", &[7; 32], Duration::from_secs(5)).unwrap()
}

fn entries(from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(|n| format!("{{\"at\":{n}}}").into_bytes()).collect()
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
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        if item.path().is_dir() {
            found.extend(files(&item.path()));
        } else {
            found.push(item.path());
        }
    }
    found.sort();
    found
}

/// The checkpoint is renamed into place last, so a kill leaves some prefix of the new files beside the old head.
#[test]
fn a_torn_append_is_removed_at_every_byte_and_nothing_acknowledged_is_lost() {
    for (before, group) in [(0_u64, 1_u64), (3, 2), (255, 3), (256, 1), (511, 300)] {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let (mut disk, _) = open(&old);
        if before > 0 {
            disk.append(&entries(0, before)).unwrap();
        }
        copy(&old, &new);
        open(&new).0.append(&entries(before, group)).unwrap();
        let name = |path: &PathBuf| path.strip_prefix(&new).unwrap().to_owned();
        let mut fresh = files(&new.join("tile"));
        fresh.retain(|path| !old.join(name(path)).exists());
        assert!(!fresh.is_empty());
        for (at, path) in fresh.iter().enumerate() {
            let bytes = fs::read(path).unwrap();
            // Every byte of a small file; of a large one, those at its ends, where an entry is begun or torn.
            let near = |cut: &usize| bytes.len() < 200 || *cut < 2 || bytes.len() - cut < 18;
            let torn = folder.path().join("torn");
            for cut in (0..=bytes.len()).filter(near) {
                // Opening puts the folder back to the old head, so it is copied again only after an append.
                if !torn.exists() {
                    copy(&old, &torn);
                }
                let mut written: Vec<(PathBuf, &[u8])> = vec![(name(path), &bytes[..cut])];
                let whole: Vec<Vec<u8>> = fresh[..at].iter().map(|path| fs::read(path).unwrap()).collect();
                written.extend(fresh[..at].iter().map(name).zip(whole.iter().map(Vec::as_slice)));
                for (name, bytes) in written {
                    let target = torn.join(name);
                    fs::create_dir_all(target.parent().unwrap()).unwrap();
                    fs::write(target, bytes).unwrap();
                }
                let (mut disk, recovery) = open(&torn);
                assert!(recovery.removed_files > 0, "{before}+{group} {path:?} cut at {cut}");
                assert!(recovery.unacknowledged <= group, "{before}+{group} {path:?} cut at {cut}");
                assert_eq!(files(&torn.join("tile")).len(), files(&old.join("tile")).len());
                if cut % 8 == 0 {
                    assert_eq!(verify_audit(&torn, None, None).unwrap().size, before);
                }
                if cut == bytes.len() / 2 || cut == bytes.len() {
                    assert_eq!(disk.append(&entries(before, 1)).unwrap(), before);
                    assert_eq!(verify_audit(&torn, None, None).unwrap().size, before + 1);
                    fs::remove_dir_all(&torn).unwrap();
                }
            }
        }
    }
}
