//! A folder that only its owner can write, with files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Entries beyond which the oldest go, whatever their size.
const MAX_ENTRIES: usize = 200_000;
/// A temporary file this old was left by a process that ended.
const LEFT_BEHIND: Duration = Duration::from_secs(3_600);

/// Why a folder cannot hold results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It cannot be made or read.
    #[error("the cache folder {path} cannot be used: choose one that can be made and written")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could put a result into it.
    #[error("the cache folder {path} {why}: results from others are not trusted; {remedy}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What helps.
        remedy: &'static str,
    },
}

/// Sets the temporary files of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    max_bytes: u64,
    owner: u32,
}

impl Folder {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let unusable = |source| CacheError::Unusable { path: path.to_owned(), source };
        let open = |why, remedy| CacheError::Open { path: path.to_owned(), why, remedy };
        match make(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
            _ => {}
        }
        let metadata = fs::symlink_metadata(path).map_err(unusable)?;
        if !metadata.is_dir() {
            return Err(open("is no folder, or a link to one", "name the folder itself"));
        }
        let mut folder = Self { path: path.to_owned(), max_bytes, owner: 0 };
        // Who we are, as the file system sees it.
        let (probe, file) = folder.temporary().map_err(unusable)?;
        folder.owner = owner(&file.metadata().map_err(unusable)?);
        let _ = fs::remove_file(probe);
        if owner(&metadata) != folder.owner {
            return Err(open("belongs to somebody else", "name a folder of your own"));
        }
        if !private(&metadata) {
            return Err(open("can be read or written by others", "`chmod 700` it, or name a new one"));
        }
        Ok(folder)
    }

    fn temporary(&self) -> io::Result<(PathBuf, File)> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("new-{}-{number}", std::process::id()));
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map(|file| (path, file))
    }

    pub(super) fn read(&self, name: &str, max: u64) -> Option<Vec<u8>> {
        let path = self.path.join(name);
        if !fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || owner(&metadata) != self.owner || !private(&metadata) {
            return None;
        }
        let mut bytes = Vec::new();
        (&file).take(max + 1).read_to_end(&mut bytes).ok()?;
        // What is used stays; a day is fine enough for that.
        let now = SystemTime::now();
        if metadata.modified().ok().and_then(|then| now.duration_since(then).ok())
            > Some(Duration::from_secs(86_400))
        {
            let _ = file.set_modified(now);
        }
        (bytes.len() as u64 <= max).then_some(bytes)
    }

    /// Whether it was written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> bool {
        let Ok((temporary, mut file)) = self.temporary() else { return false };
        let done = file.write_all(bytes).and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if done.is_err() {
            let _ = fs::remove_file(temporary);
        }
        done.is_ok()
    }

    pub(super) fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let now = SystemTime::now();
        let mut files = Vec::new();
        let mut total = 0_u64;
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("new-") {
                if now.duration_since(modified).is_ok_and(|age| age > LEFT_BEHIND) {
                    let _ = fs::remove_file(entry.path());
                }
            } else if metadata.is_file() && is_entry(&name.to_string_lossy()) {
                total += metadata.len();
                files.push((modified, name, metadata.len()));
            }
        }
        if total <= self.max_bytes && files.len() <= MAX_ENTRIES {
            return;
        }
        // Some room, so that the next scan does not prune again.
        let (bytes, count) = (self.max_bytes / 4 * 3, MAX_ENTRIES / 4 * 3);
        files.sort();
        let mut left = files.len();
        for (_, name, len) in files {
            if total <= bytes && left <= count {
                break;
            }
            if fs::remove_file(self.path.join(name)).is_ok() {
                total = total.saturating_sub(len);
                left -= 1;
            }
        }
    }
}

/// Nothing but entries is ever removed, should the folder hold anything else.
fn is_entry(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn owner(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(metadata)
}

#[cfg(unix)]
fn private(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 == 0
}

#[cfg(not(unix))]
fn owner(_: &fs::Metadata) -> u32 {
    0
}

#[cfg(not(unix))]
fn private(_: &fs::Metadata) -> bool {
    true
}

/// What the file system says of a file's content without reading it. Writing changes it, and nobody can set it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    #[cfg(unix)]
    inode: [u64; 2],
    len: u64,
    modified: SystemTime,
    #[cfg(unix)]
    changed: [i64; 2],
}

impl State {
    /// The state of an open file, where the system keeps one.
    #[cfg(unix)]
    pub(crate) fn of(metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self {
            inode: [metadata.dev(), metadata.ino()],
            len: metadata.len(),
            modified: metadata.modified().ok()?,
            changed: [metadata.ctime(), metadata.ctime_nsec()],
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &fs::Metadata) -> Option<Self> {
        None
    }

    /// Whether the last change is at least this long ago.
    pub(crate) fn quiet(&self, least: Duration) -> bool {
        #[cfg(unix)]
        let changed = u64::try_from(self.changed[0]).unwrap_or(0);
        #[cfg(not(unix))]
        let changed = u64::MAX;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.as_secs().saturating_sub(changed) > least.as_secs()
    }
}
