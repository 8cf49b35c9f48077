//! Whether the database of one machine may have changed since it was read.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that was written within this time before it was looked at may be written again without its stamp telling:
/// file systems keep instants in steps of milliseconds, some in steps of two seconds.
const RACY: Duration = Duration::from_secs(3);

/// When the files of a SQLite database were last written and how long they are, as of one look at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    files: [Option<(SystemTime, u64)>; 2],
    /// Whether a later write cannot have left it as it is.
    tells: bool,
}

impl Stamp {
    /// Looks at the file and its write-ahead.
    pub(crate) fn of(database: &Path, now: SystemTime) -> Self {
        let mut ahead = database.as_os_str().to_owned();
        ahead.push("-wal");
        let look = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.len()))
        };
        let files = [look(database), look(&PathBuf::from(ahead))];
        let old = |(modified, _): &(SystemTime, u64)| {
            // A clock that was set back says nothing.
            now.duration_since(*modified).is_ok_and(|age| age > RACY)
        };
        Self { files, tells: files[0].is_some() && files.iter().flatten().all(old) }
    }

    /// Whether what was read after `before` was taken is still what the database has, if this was taken now.
    #[must_use]
    pub fn is_still(&self, before: &Self) -> bool {
        before.tells && self.files == before.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stamp_that_would_have_changed_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let set = |path: &Path, text: &str, seconds: u64| {
            std::fs::write(path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
        };
        let at = |seconds: u64| Stamp::of(&path, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(!at(1_100).is_still(&at(1_100)), "there is no file");
        set(&path, "one", 1_000);
        assert!(!at(1_002).is_still(&at(1_002)), "written a moment before it was looked at");
        let read = at(1_010);
        assert!(at(1_020).is_still(&read));
        // The write-ahead appears, and is written over in its length.
        let ahead = folder.path().join("state.db-wal");
        set(&ahead, "first", 1_030);
        assert!(!at(1_040).is_still(&read));
        let read = at(1_040);
        set(&ahead, "other", 1_041);
        assert!(!at(1_050).is_still(&read));
        // It is folded into the file and goes.
        let read = at(1_050);
        assert!(at(1_060).is_still(&read));
        std::fs::remove_file(&ahead).unwrap();
        assert!(!at(1_060).is_still(&read));
        // In the future of a clock that was set back.
        assert!(!at(10).is_still(&at(10)));
    }
}
