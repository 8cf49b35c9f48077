//! How many mutations each target has had, and in which state of the code: what `--until` goes on from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const HEAD: &str = "target\tcode\tbuilt from\tmutations\tseconds\tpeak MiB\tfault\n";

/// The runs of one target in one state of its code, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) target: String,
    /// The state of what the target covers.
    pub(super) code: String,
    /// The commit.
    pub(super) built: String,
    pub(super) mutations: u64,
    pub(super) seconds: u64,
    pub(super) peak: u64,
    /// What libFuzzer said, in a word; empty when it found nothing.
    pub(super) fault: String,
}

/// The file.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl Ledger {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let text = if path.is_file() {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        } else {
            String::new()
        };
        let entries = text.lines().skip(1).map(|line| {
            entry(line).with_context(|| format!("{}: `{line}` is no line of the ledger", path.display()))
        });
        Ok(Self { path: path.to_owned(), entries: entries.collect::<Result<_>>()? })
    }

    /// Mutations of a target in this state of its code, and whether one of them found a fault.
    pub(super) fn so_far(&self, target: &str, code: &str) -> (u64, bool) {
        let same = self.entries.iter().filter(|entry| entry.target == target && entry.code == code);
        same.fold((0, false), |(sum, fault), entry| {
            (sum.saturating_add(entry.mutations), fault || !entry.fault.is_empty())
        })
    }

    /// Adds a run and writes the file.
    pub(super) fn add(&mut self, run: Entry) -> Result<()> {
        let same = |entry: &&mut Entry| {
            (&entry.target, &entry.code, &entry.built, &entry.fault)
                == (&run.target, &run.code, &run.built, &run.fault)
        };
        match self.entries.iter_mut().find(same) {
            Some(entry) => {
                entry.mutations += run.mutations;
                entry.seconds += run.seconds;
                entry.peak = entry.peak.max(run.peak);
            }
            None => self.entries.push(run),
        }
        self.entries.sort_by(|one, other| one.target.cmp(&other.target));
        let lines = self.entries.iter().map(line).collect::<String>();
        std::fs::write(&self.path, HEAD.to_owned() + &lines)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split('\t').map(str::to_owned);
    let (target, code, built) = (fields.next()?, fields.next()?, fields.next()?);
    let mut number = || fields.next()?.parse().ok();
    let (mutations, seconds, peak) = (number()?, number()?, number()?);
    Some(Entry { target, code, built, mutations, seconds, peak, fault: fields.next()? })
}

fn line(entry: &Entry) -> String {
    let Entry { target, code, built, mutations, seconds, peak, fault } = entry;
    format!("{target}\t{code}\t{built}\t{mutations}\t{seconds}\t{peak}\t{fault}\n")
}

/// What libFuzzer said at the end: mutations, MiB at most, and the fault it found.
pub(super) fn said(log: &str) -> (u64, u64, String) {
    let last = |name: &str| {
        let line = log.lines().rev().find_map(|line| line.strip_prefix(name))?;
        line.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    // A run that ends at a fault prints no totals: the last line of progress counts.
    let mutations = last("stat::number_of_executed_units:").or_else(|| last("#")).unwrap_or(0);
    let fault = log.lines().find_map(|line| line.split_once("ERROR: libFuzzer: ")).map(|(_, what)| what);
    let fault = fault.map(|what| what.split([' ', '(']).next().unwrap_or("fault").to_owned());
    (mutations, last("stat::peak_rss_mb:").unwrap_or(0), fault.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: &str, mutations: u64, fault: &str) -> Entry {
        let (target, code, built) = ("zip".to_owned(), code.to_owned(), "abc".to_owned());
        Entry { target, code, built, mutations, seconds: 2, peak: 30, fault: fault.to_owned() }
    }

    #[test]
    fn runs_add_up_in_one_state_of_the_code_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fuzz.tsv");
        let mut ledger = Ledger::open(&path).unwrap();
        for one in [run("1", 400, ""), run("1", 600, ""), run("2", 7, ""), run("2", 1, "deadly")] {
            ledger.add(one).unwrap();
        }
        let again = Ledger::open(&path).unwrap();
        assert_eq!(again.entries, ledger.entries);
        assert_eq!(again.entries.len(), 3);
        assert_eq!(again.so_far("zip", "1"), (1_000, false));
        assert_eq!(again.so_far("zip", "2"), (8, true));
        assert_eq!(again.so_far("tar", "1"), (0, false));
        std::fs::write(&path, "head\nzip\t1\n").unwrap();
        assert!(Ledger::open(&path).is_err());
    }

    #[test]
    fn what_libfuzzer_says_is_read() {
        let log = "#2\tINITED\n#1024\tpulse\nDone 4096 runs\nstat::number_of_executed_units: 4096\nstat::peak_rss_mb:              31\n";
        assert_eq!(said(log), (4_096, 31, String::new()));
        let log = "#2\tINITED\n#4096\tNEW\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(said(log), (4_096, 0, "deadly".to_owned()));
        let log = "#64\tNEW\n==1== ERROR: libFuzzer: out-of-memory (used: 1025Mb; limit: 1024Mb)\n";
        assert_eq!(said(log), (64, 0, "out-of-memory".to_owned()));
    }
}
