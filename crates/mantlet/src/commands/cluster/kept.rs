//! What a run has counted so far, kept in a folder: a run that is killed goes on where it was when it is asked again.
//!
//! A pass has one file, named by the digest of what is counted and how. It holds what the first parts of the table came
//! to, and a digest chained over the identities of those parts: a part is known again by its path, its place, the
//! size and time of its file and the bytes at both ends of it. What does not verify, or is of other parts, is not used.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context as _;
use mantlet_dataset::{Gathered, Job, Part, Prepared};
use mantlet_vocab::Digest;
use serde::{Deserialize, Serialize};

/// The form of the files.
const VERSION: u32 = 1;
/// Bytes at each end of a file that are looked at.
const END: u64 = 64 << 10;
/// The line before the counts.
const HEAD_MOST: usize = 4096;
/// Counts of one pass are far smaller.
const FILE_MOST: u64 = 2 << 30;
/// Passes that are kept; of more, the oldest are removed.
const PASSES_MOST: usize = 64;
/// Writing takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    /// Parts that were counted.
    done: usize,
    /// The digest chained over what is counted and over those parts.
    chain: String,
    /// The digest of the counts behind this line.
    counts: String,
}

/// The file of one pass.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    /// The chained digests, by the number of parts that are done.
    chain: Vec<String>,
    written: Cell<Instant>,
    took: Cell<Duration>,
}

/// What tells a file from another one that stands in its place.
fn identity(path: &Path) -> anyhow::Result<String> {
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let known = file.metadata()?;
        let mut ends = Vec::new();
        file.by_ref().take(END).read_to_end(&mut ends)?;
        file.seek(SeekFrom::Start(known.len().saturating_sub(END)))?;
        file.take(END).read_to_end(&mut ends)?;
        let changed = known.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let place = std::path::absolute(path)?;
        Ok(format!("{} {} {changed} {}", place.display(), known.len(), Digest::of(&ends).hex()))
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

impl Kept {
    /// The file of this pass over these parts, in a folder that is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made, or a file of the table cannot be read.
    pub fn new(folder: &Path, job: &Job, parts: &[Part]) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut making = std::fs::DirBuilder::new();
        // Whoever may write there says what was counted.
        making.recursive(true).mode(0o700).create(folder).with_context(|| {
            format!("cannot make the folder {} for what was counted so far", folder.display())
        })?;
        // A profile that is signed anew is the same profile.
        let reference = job.reference.clone().map(mantlet_dataset::Reference::bare);
        let mut text = serde_json::to_string(&Job { reference, ..job.clone() })?;
        for path in job.late.iter().flat_map(mantlet_dataset::Late::files) {
            text.push('\n');
            text.push_str(&identity(path)?);
        }
        let name = Digest::of(text.as_bytes()).hex();
        let mut known: HashMap<&Path, String> = HashMap::new();
        let mut chain = vec![name.clone()];
        for part in parts {
            let file = match known.get(part.path()) {
                Some(file) => file.clone(),
                None => {
                    let file = identity(part.path())?;
                    known.insert(part.path(), file.clone());
                    file
                }
            };
            let before = chain.last().cloned().unwrap_or_default();
            let link = format!("{before}\n{}\n{file}", serde_json::to_string(part)?);
            chain.push(Digest::of(link.as_bytes()).hex());
        }
        let path = folder.join(format!("{name}.counts"));
        Ok(Self { path, chain, written: Cell::new(Instant::now()), took: Cell::new(Duration::ZERO) })
    }

    /// What was kept of this pass: the number of parts that are done, and what they came to.
    pub fn read(&self, prepared: &Prepared) -> Option<(usize, Gathered)> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&self.path).ok()?;
        file.take(FILE_MOST).read_to_end(&mut bytes).ok()?;
        let end = bytes.iter().take(HEAD_MOST).position(|&byte| byte == b'\n')?;
        let (head, counts) = bytes.split_at(end);
        let counts = counts.get(1..)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let same = head.version == VERSION
            && self.chain.get(head.done) == Some(&head.chain)
            && Digest::of(counts).hex() == head.counts;
        if !same {
            return None;
        }
        // Merged into nothing, so that counts of another shape are refused.
        let mut gathered = prepared.nothing();
        gathered.merge(Gathered::from_bytes(counts).ok()?).ok()?;
        Some((head.done, gathered))
    }

    /// Keeps what the first parts came to; when little time went by since the last time, only after all of them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, done: usize, gathered: &Gathered) -> anyhow::Result<()> {
        let is_last = done + 1 == self.chain.len();
        if !is_last && self.written.get().elapsed() < self.took.get().saturating_mul(SHARE) {
            return Ok(());
        }
        let started = Instant::now();
        let counts = gathered.to_bytes();
        let chain = self.chain.get(done).cloned().unwrap_or_default();
        let head = Head { version: VERSION, done, chain, counts: Digest::of(&counts).hex() };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&counts);
        crate::commands::monitor::keep(&self.path, &bytes)?;
        self.took.set(started.elapsed());
        self.written.set(Instant::now());
        if is_last {
            self.tidy();
        }
        Ok(())
    }

    /// Removes the oldest passes.
    fn tidy(&self) {
        let Some(entries) = self.path.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else {
            return;
        };
        let own = entries.flatten().filter(|entry| entry.path().extension() == Some("counts".as_ref()));
        let mut own: Vec<_> =
            own.filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path()))).collect();
        own.sort();
        for (_, path) in own.iter().rev().skip(PASSES_MOST) {
            // What cannot be removed only takes room.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mantlet_dataset::{Column, Dataset, Kind, Pass, Stream};

    use super::*;

    #[test]
    fn what_was_kept_is_taken_again_only_when_nothing_of_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (table, state) = (folder.path().join("table"), folder.path().join("state"));
        std::fs::create_dir(&table).unwrap();
        for file in 0..3 {
            let rows: String = (0..50).map(|row| format!("{},w{}\n", row * file, row % 7)).collect();
            std::fs::write(table.join(format!("{file}.csv")), format!("x,w\n{rows}")).unwrap();
        }
        let open = || Dataset::open(std::slice::from_ref(&table)).unwrap();
        let column = |name: &str, kind| Column { name: name.into(), kind };
        let wanted = vec![column("x", Kind::Numbers), column("w", Kind::Words)];
        let pass = Pass::Sketches { words: vec![false, true], room: 1 << 20 };
        let job = Job::new(wanted, pass);
        let prepared = Arc::new(Prepared::new(job.clone()).unwrap());
        let parts = open().parts().unwrap();
        let first = Stream::gather_parts(&prepared, &parts[..2], 0).unwrap();
        let kept = Kept::new(&state, &job, &parts).unwrap();
        assert!(kept.read(&prepared).is_none());
        kept.write(2, &first).unwrap();
        let again = |job: &Job| Kept::new(&state, job, &open().parts().unwrap()).unwrap().read(&prepared);
        let (done, same) = again(&job).unwrap();
        assert_eq!((done, same.to_bytes()), (2, first.to_bytes()));
        // A further file changes nothing of the first ones.
        std::fs::write(table.join("3.csv"), "x,w\n1,a\n").unwrap();
        assert_eq!(again(&job).unwrap().0, 2);
        // Another question has a file of its own.
        let other = Job::new(job.wanted.clone(), Pass::Sketches { words: vec![true, true], room: 1 << 20 });
        assert!(again(&other).is_none());
        // A byte of the counts, or of the number of parts, is seen.
        let file = kept.path.clone();
        let whole = std::fs::read(&file).unwrap();
        let mut broken = whole.clone();
        *broken.last_mut().unwrap() ^= 1;
        std::fs::write(&file, &broken).unwrap();
        assert!(again(&job).is_none());
        let text = String::from_utf8_lossy(&whole).into_owned();
        assert!(text.contains("\"done\":2"));
        let at = text.find("\"done\":2").unwrap() + 7;
        let mut broken = whole.clone();
        broken[at] = b'3';
        std::fs::write(&file, &broken).unwrap();
        assert!(again(&job).is_none());
        std::fs::write(&file, &whole).unwrap();
        assert!(again(&job).is_some());
        // A file that was counted is another one now.
        let text = std::fs::read_to_string(table.join("1.csv")).unwrap().replacen("7", "8", 1);
        std::fs::write(table.join("1.csv"), text).unwrap();
        assert!(again(&job).is_none());
    }
}
