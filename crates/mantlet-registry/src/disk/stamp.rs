//! Whether files are still those that were hashed, told without hashing them again.
//!
//! A stamp holds device, inode, size, and the instants of the last change of content and of status (`ctime`, which no
//! program can set) of every file and folder of a model and of its signature. Whoever changes a byte, exchanges a
//! file or adds one changes the stamp; only the machine's clock or its disk, in the hands of its administrator, could
//! hide that. Where the operating system gives no such figures there is no stamp, and files are hashed.

use std::path::Path;

use super::DiskError;

/// What is known of a model's files without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<Seen>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    name: String,
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    status: (i64, i64),
}

impl Stamp {
    /// The stamp of a model's file or folder and its signature as they are now; `None` where the operating system
    /// tells too little.
    ///
    /// # Errors
    /// When something cannot be read or is a link.
    #[cfg(unix)]
    pub fn of(path: &Path, signature: &Path) -> Result<Option<Self>, DiskError> {
        let mut seen = vec![look("signature", signature)?, look(".", path)?];
        if super::kind(path)?.is_dir() {
            // Nothing is left out: what a signature ignores changes the stamp too, and then the files are hashed.
            for (name, file) in super::walk(path, &[])? {
                seen.push(look(&name, &file)?);
                for folder in file.ancestors().skip(1).take_while(|folder| *folder != path) {
                    seen.push(look(&folder.display().to_string(), folder)?);
                }
            }
        }
        seen.sort();
        seen.dedup();
        Ok(Some(Self(seen)))
    }

    /// No stamp here: files are hashed.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(unix))]
    pub fn of(_: &Path, _: &Path) -> Result<Option<Self>, DiskError> {
        Ok(None)
    }
}

#[cfg(unix)]
fn look(name: &str, path: &Path) -> Result<Seen, DiskError> {
    use std::os::unix::fs::MetadataExt as _;
    let data = std::fs::symlink_metadata(path).map_err(super::io("read", path))?;
    Ok(Seen {
        name: name.to_owned(),
        device: data.dev(),
        inode: data.ino(),
        size: data.size(),
        changed: (data.mtime(), data.mtime_nsec()),
        status: (data.ctime(), data.ctime_nsec()),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_touch_of_a_model_changes_its_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m");
        fs::create_dir_all(model.join("sub")).unwrap();
        let signature = folder.path().join("m.sig");
        for path in [&model.join("a"), &model.join("sub/b"), &signature] {
            fs::write(path, b"one").unwrap();
        }
        let stamp = || Stamp::of(&model, &signature).unwrap().unwrap();
        let mut before = stamp();
        assert_eq!(before, stamp());
        let times = fs::metadata(model.join("a")).unwrap().modified().unwrap();
        let touches: [&dyn Fn(); 5] = [
            // The same length, and the instant of change set back as an attacker would.
            &|| {
                fs::write(model.join("a"), b"two").unwrap();
                fs::File::options().write(true).open(model.join("a")).unwrap().set_modified(times).unwrap();
            },
            &|| fs::write(model.join("sub/c"), b"").unwrap(),
            &|| fs::remove_file(model.join("sub/c")).unwrap(),
            &|| {
                fs::write(folder.path().join("new"), b"one").unwrap();
                fs::rename(folder.path().join("new"), model.join("sub/b")).unwrap();
            },
            &|| fs::write(&signature, b"six").unwrap(),
        ];
        for (index, touch) in touches.iter().enumerate() {
            // A file system's clock ticks every few milliseconds: the touch must come after the look.
            let tick = std::time::Instant::now();
            while tick.elapsed().as_millis() < 20 {
                std::thread::yield_now();
            }
            touch();
            let now = stamp();
            assert_ne!(before, now, "touch {index}");
            before = now;
        }
    }
}
