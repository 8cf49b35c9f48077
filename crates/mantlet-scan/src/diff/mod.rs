//! What changed between two versions of a model: tensors by name, shape, digest and distance; code,
//! configuration and graph by structure.
//!
//! Both sides are read as streams in constant memory; nothing is loaded.

mod structure;
mod tensors;
mod text;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::zip;
use mantlet_vocab::{Digest, Finding, Gap, Source, SubSource};
use serde::{Deserialize, Serialize};

use crate::file::FileSource;
use crate::{Options, Silent, scan, walk};

pub use tensors::Distance;
pub(crate) use tensors::compare;

/// What became of a file, a tensor or a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only in the new version.
    Added,
    /// Only in the old version.
    Removed,
    /// In both, and not the same.
    Changed,
}

/// One side of a changed tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSide {
    /// Its element type.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// SHA-256 of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A tensor that is not the same in both versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorChange {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// How it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<TensorSide>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<TensorSide>,
    /// How far apart they are, when type and shape are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
}

/// A part of code, configuration or graph that is not the same in both versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartChange {
    /// The part: a path in a configuration, an import, an operator.
    pub part: String,
    /// What became of it.
    pub change: Change,
    /// How it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A file or member that is not the same in both versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path within the version, members after `!`.
    pub path: String,
    /// What became of it.
    pub change: Change,
    /// Tensors that are the same in both.
    pub same_tensors: u64,
    /// Tensors that are not.
    pub tensors: Vec<TensorChange>,
    /// Parts of code, configuration and graph that are not.
    pub parts: Vec<PartChange>,
}

/// The difference between two versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// The old version.
    pub old: String,
    /// The new version.
    pub new: String,
    /// Files and members that are the same in both.
    pub same: u64,
    /// Files and members that are not.
    pub files: Vec<FileChange>,
    /// What a scan finds in the new version and not in the old one.
    pub found: Vec<Finding>,
    /// What could not be compared.
    pub gaps: Vec<Gap>,
}

impl Diff {
    /// The difference as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// Whether nothing changed and everything could be compared.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.files.is_empty() && self.gaps.is_empty()
    }
}

/// Changes of one kind kept for one file.
const MAX_CHANGES: usize = 2_000;
/// Archives within archives.
const MAX_DEPTH: u8 = 4;

/// Compares two files, or two folders file by file.
#[must_use]
pub fn diff(old: &Path, new: &Path, options: &Options) -> Diff {
    let mut compare = Compare {
        options,
        diff: Diff { old: old.display().to_string(), new: new.display().to_string(), ..Diff::default() },
    };
    let (before, after) = (compare.version(old), compare.version(new));
    let both_files = old.is_file() && new.is_file();
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    if both_files {
        let name = new.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        compare.files(&name, Some(old), Some(new));
    } else {
        for name in names {
            compare.files(
                name,
                before.get(name).map(PathBuf::as_path),
                after.get(name).map(PathBuf::as_path),
            );
        }
    }
    compare.found(old, new);
    compare.diff
}

/// Compares two files from anywhere under one name, as [`diff`] does.
#[must_use]
pub fn diff_sources(name: &str, old: &dyn Source, new: &dyn Source, options: &Options) -> Diff {
    let names = (format!("old/{name}"), format!("new/{name}"));
    let mut compare = Compare { options, diff: Diff { old: names.0, new: names.1, ..Diff::default() } };
    compare.sources(name, old, new, 0);
    let run = |source| crate::scan_source(name, source, options).findings;
    compare.diff.found = news(run(old), run(new));
    compare.diff
}

struct Compare<'o> {
    options: &'o Options,
    diff: Diff,
}

impl Compare<'_> {
    /// The files of a version, by their path within it.
    fn version(&mut self, root: &Path) -> BTreeMap<String, PathBuf> {
        let walk::Found { files, gaps, .. } = walk::files(&[root.to_path_buf()], &self.options.selection);
        self.diff.gaps.extend(gaps);
        files
            .into_iter()
            .map(|file| {
                let name = file.strip_prefix(root).unwrap_or(&file);
                let name = if name.as_os_str().is_empty() {
                    root.file_name().map(Path::new).unwrap_or(name)
                } else {
                    name
                };
                (name.to_string_lossy().replace('\\', "/"), file)
            })
            .collect()
    }

    fn gap(&mut self, what: &str, why: String) {
        let remedy = "compare that part by hand".to_owned();
        if self.diff.gaps.len() < MAX_CHANGES {
            self.diff.gaps.push(Gap { what: what.to_owned(), why, remedy });
        }
    }

    fn files(&mut self, name: &str, old: Option<&Path>, new: Option<&Path>) {
        let mut open = |path: Option<&Path>| {
            path.and_then(|path| {
                FileSource::open(path)
                    .map_err(|error| self.gap(name, format!("it cannot be read: {error}")))
                    .ok()
            })
        };
        let (before, after) = (open(old), open(new));
        match (&before, &after) {
            (Some(before), Some(after)) => self.sources(name, before, after, 0),
            (None, Some(_)) if old.is_none() => self.whole(name, Change::Added),
            (Some(_), None) if new.is_none() => self.whole(name, Change::Removed),
            _ => {}
        }
    }

    fn whole(&mut self, name: &str, change: Change) {
        if self.diff.files.len() < MAX_CHANGES {
            let path = name.to_owned();
            self.diff.files.push(FileChange {
                path,
                change,
                same_tensors: 0,
                tensors: Vec::new(),
                parts: Vec::new(),
            });
        } else {
            self.gap(name, format!("more than {MAX_CHANGES} files changed"));
        }
    }

    fn sources(&mut self, name: &str, old: &dyn Source, new: &dyn Source, depth: u8) {
        match tensors::equal(old, new) {
            Ok(true) => {
                self.diff.same += 1;
                return;
            }
            Ok(false) => {}
            Err(error) => return self.gap(name, error.to_string()),
        }
        if depth < MAX_DEPTH && zip::is_zip(old) && zip::is_zip(new) {
            return self.archives(name, old, new, depth);
        }
        let bounds = self.options.bounds();
        let mut change = FileChange {
            path: name.to_owned(),
            change: Change::Changed,
            same_tensors: 0,
            tensors: Vec::new(),
            parts: Vec::new(),
        };
        let mut limits = Vec::new();
        tensors::tensors(old, new, &bounds, &mut change, &mut limits);
        structure::parts(name, old, new, &bounds, &mut change, &mut limits);
        for limit in limits {
            self.gap(name, limit);
        }
        if self.diff.files.len() < MAX_CHANGES {
            self.diff.files.push(change);
        } else {
            self.gap(name, format!("more than {MAX_CHANGES} files changed"));
        }
    }

    /// Members by name. Those of a PyTorch archive are named below another root in each version.
    fn archives(&mut self, name: &str, old: &dyn Source, new: &dyn Source, depth: u8) {
        let bounds = self.options.bounds();
        let list = |source: &dyn Source| {
            let facts = zip::analyse(source, &bounds);
            let root = facts.torch_root().unwrap_or_default().to_owned();
            let mut members = BTreeMap::new();
            for entry in facts.entries {
                if !entry.name.ends_with('/') {
                    let short = entry.name.strip_prefix(&root).unwrap_or(&entry.name).to_owned();
                    members.entry(short).or_insert(entry);
                }
            }
            members
        };
        let (before, after) = (list(old), list(new));
        let mut names: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
        names.sort();
        names.dedup();
        for member in names {
            let inside = format!("{name}!{member}");
            match (before.get(&member), after.get(&member)) {
                (Some(a), Some(b)) => {
                    let (Some(at), Some(bt)) = (a.data, b.data) else {
                        self.gap(&inside, "it has no local header".into());
                        continue;
                    };
                    let (pa, pb) = (SubSource::new(old, at, a.packed), SubSource::new(new, bt, b.packed));
                    match (a.method, b.method) {
                        (0, 0) => self.sources(&inside, &pa, &pb, depth + 1),
                        (0 | 8, 0 | 8) => {
                            let open = |source, method| match method {
                                8 => Some(Inflated::open(source, Wrapper::Raw, &bounds, bounds.max_expanded)),
                                _ => None,
                            };
                            let (ia, ib) = (open(&pa, a.method), open(&pb, b.method));
                            if ia.iter().chain(&ib).any(|inner| inner.cut || inner.damage.is_some()) {
                                self.gap(&inside, "it cannot be unpacked in full".into());
                                continue;
                            }
                            let sa: &dyn Source = ia.as_ref().map_or(&pa, |inner| inner);
                            let sb: &dyn Source = ib.as_ref().map_or(&pb, |inner| inner);
                            self.sources(&inside, sa, sb, depth + 1);
                        }
                        _ => self.gap(&inside, "its compression is not supported".into()),
                    }
                }
                (None, _) => self.whole(&inside, Change::Added),
                (_, None) => self.whole(&inside, Change::Removed),
            }
        }
    }

    /// What a scan finds in the new version only.
    fn found(&mut self, old: &Path, new: &Path) {
        let run = |path: &Path| scan(&[path.to_path_buf()], self.options, &mut Silent);
        self.diff.found = news(run(old).findings, run(new).findings);
    }
}

/// The findings that say what none before said.
fn news(old: Vec<Finding>, new: Vec<Finding>) -> Vec<Finding> {
    let known: HashSet<(String, String)> =
        old.into_iter().map(|finding| (finding.name, finding.message)).collect();
    new.into_iter()
        .filter(|finding| !known.contains(&(finding.name.clone(), finding.message.clone())))
        .collect()
}
