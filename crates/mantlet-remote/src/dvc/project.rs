//! The files of a project of DVC: its remotes, and what it tracks by content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::slashed;
use super::written::{settings, value};
use crate::Limits;
use crate::address::listable;

/// Bytes of a `.dvc` file, a lock or a configuration.
const MAX_FILE: u64 = 4 << 20;
/// Folders that nest.
const MAX_DEPTH: usize = 64;
/// Entries of folders that are looked at, for each file that may be listed.
const ENTRIES: usize = 10;
/// Characters of a digest and of a name that are kept.
const MAX_WORD: usize = 1_024;

/// Something that is tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Out {
    /// From the root of the project, with `/`.
    pub(crate) path: String,
    /// MD5 in hexadecimal digits, with `.dir` for a folder.
    pub(crate) digest: String,
    /// As before version 3: another place, and texts with Unix line ends.
    pub(crate) old: bool,
    /// Where it lies, when it is not where everything does.
    pub(crate) remote: Option<String>,
}

/// A project on this machine, as far as the user named it.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) shown: String,
    pub(crate) remotes: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) remote: Option<String>,
    pub(crate) outs: Vec<Out>,
    pub(crate) gaps: Vec<(String, String, &'static str)>,
    pub(crate) notes: Vec<String>,
    /// What was named, from the root; empty for all of it.
    wanted: String,
    /// The `.dvc` file or lock that was named.
    source: Option<String>,
}

impl Project {
    /// Reads what the project says. Nothing is contacted.
    pub(crate) fn open(named: &Path, remote: Option<&str>, limits: &Limits) -> Result<Self, String> {
        let full = normal(&std::path::absolute(named).map_err(|error| error.to_string())?)
            .ok_or("the path leads above the root of the file system")?;
        let root = full
            .ancestors()
            .find(|folder| folder.join(".dvc").is_dir())
            .ok_or("neither it nor a folder above it is a project of DVC: there is no .dvc folder")?
            .to_owned();
        let mut core: BTreeMap<String, String> = BTreeMap::new();
        let mut remotes: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for name in ["config", "config.local"] {
            let path = root.join(".dvc").join(name);
            if !path.exists() {
                continue;
            }
            let text = read(&path, MAX_FILE).map_err(|why| format!(".dvc/{name}: {why}"))?;
            for (section, key, value) in settings(&String::from_utf8_lossy(&text)) {
                if section == "core" {
                    core.insert(key, value);
                } else if let Some(name) = section.strip_prefix("remote ") {
                    let name = name.trim().trim_matches('"').to_owned();
                    remotes.entry(name).or_default().insert(key, value);
                }
            }
        }
        let remote = remote.map(str::to_owned).or_else(|| core.get("remote").cloned());
        let wanted = slashed(full.strip_prefix(&root).unwrap_or(Path::new("")));
        let is_source = wanted.ends_with(".dvc") || wanted == "dvc.lock" || wanted.ends_with("/dvc.lock");
        let source = (is_source && full.is_file()).then(|| wanted.clone());
        let shown = format!("dvc://{}", slashed(named).trim_end_matches('/'));
        let mut project = Self {
            shown,
            remotes,
            remote,
            outs: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            wanted,
            source,
            root,
        };
        project.walk(limits);
        project.outs.sort_by(|a, b| a.path.cmp(&b.path));
        project.outs.dedup();
        Ok(project)
    }

    /// Whether a path was asked for.
    pub(crate) fn wants(&self, path: &str) -> bool {
        self.source.is_some() || below(path, &self.wanted).is_some()
    }

    /// The path below what was named.
    pub(crate) fn below(&self, path: &str) -> String {
        let basis = match &self.source {
            Some(source) => source.rsplit_once('/').map_or("", |(folder, _)| folder),
            None => &self.wanted,
        };
        below(path, basis).unwrap_or(path).to_owned()
    }

    /// The path as reports name it.
    pub(crate) fn name(&self, path: &str) -> String {
        let base = match &self.source {
            Some(_) => self.shown.rsplit_once('/').map_or("dvc:/", |(folder, _)| folder),
            None => &self.shown,
        };
        match self.below(path) {
            rest if rest.is_empty() => base.to_owned(),
            rest if base.ends_with('/') => format!("{base}{rest}"),
            rest => format!("{base}/{rest}"),
        }
    }

    fn gap(&mut self, path: &str, why: impl Into<String>, remedy: &'static str) {
        let name = self.name(path);
        self.gaps.push((name, why.into(), remedy));
    }

    /// Looks for the files that track others.
    fn walk(&mut self, limits: &Limits) {
        let mut waiting = vec![(self.root.clone(), 0)];
        let mut seen = 0_usize;
        while let Some((folder, depth)) = waiting.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    let path = slashed(folder.strip_prefix(&self.root).unwrap_or(&folder));
                    self.gap(&path, error.to_string(), "look at it yourself");
                    continue;
                }
            };
            for entry in entries.flatten() {
                seen += 1;
                if seen > limits.objects.saturating_mul(ENTRIES) || self.outs.len() >= limits.objects {
                    self.gap("", "the project has more files than are looked at", "name its `.dvc` files");
                    return;
                }
                // Links are not followed.
                let Ok(kind) = entry.file_type() else { continue };
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = entry.path();
                if kind.is_dir() {
                    // A project within a project has remotes of its own.
                    let skipped = matches!(name.as_str(), ".git" | ".dvc") || path.join(".dvc").is_dir();
                    if !skipped && depth < MAX_DEPTH {
                        waiting.push((path, depth + 1));
                    } else if !skipped {
                        let path = slashed(path.strip_prefix(&self.root).unwrap_or(&path));
                        self.gap(&path, "folders nest deeper than is looked at", "name its `.dvc` files");
                    }
                } else if kind.is_file() && (name.ends_with(".dvc") || name == "dvc.lock") {
                    let from_root = slashed(path.strip_prefix(&self.root).unwrap_or(&path));
                    if self.source.as_ref().is_none_or(|source| *source == from_root) {
                        self.file(&path, &from_root, name == "dvc.lock");
                    }
                }
            }
        }
    }

    /// Takes what one file tracks.
    fn file(&mut self, path: &Path, from_root: &str, lock: bool) {
        let document = match document(path) {
            Ok(document) => document,
            Err(why) => {
                self.gap(from_root, why, "look at it yourself");
                return;
            }
        };
        let folder = from_root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        if !lock {
            let folder = match document.get("wdir").and_then(Value::as_str) {
                Some(below) => format!("{folder}/{below}"),
                None => folder,
            };
            let deps = document.get("deps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let foreign = deps.iter().any(|dep| dep.get("repo").is_some());
            self.outs(&document, &folder, foreign, &BTreeSet::new());
            return;
        }
        // What is not cached lies beside the code and is kept by git.
        let pipeline = path.with_file_name("dvc.yaml");
        let by_git = if pipeline.is_file() {
            document_or_note(&pipeline, &mut self.notes).map(|it| uncached(&it)).unwrap_or_default()
        } else {
            BTreeSet::new()
        };
        let stages = document.get("stages").unwrap_or(&document);
        for stage in stages.as_object().into_iter().flat_map(serde_json::Map::values) {
            self.outs(stage, &folder, false, &by_git);
        }
    }

    fn outs(&mut self, stage: &Value, folder: &str, foreign: bool, by_git: &BTreeSet<String>) {
        for out in stage.get("outs").and_then(Value::as_array).into_iter().flatten() {
            let word =
                |name: &str| out.get(name).and_then(Value::as_str).filter(|word| word.len() <= MAX_WORD);
            let Some(written) = word("path") else {
                self.gap(folder, "it tracks something without a name", "look at it yourself");
                continue;
            };
            if by_git.contains(written) || word("cache") == Some("false") {
                continue;
            }
            let place = normal(Path::new(&format!("{folder}/{written}"))).map(|path| slashed(&path));
            let place = place.map(|path| path.trim_start_matches('/').to_owned());
            let Some(path) = place.filter(|path| listable(path) && !written.contains("://")) else {
                let why = "it tracks something outside of the project";
                self.gap(folder, why, "scan where it says");
                continue;
            };
            // A folder is listed later: what was named may lie in it.
            if !self.wants(&path) && below(&self.wanted, &path).is_none() {
                continue;
            }
            let digest = word("md5").unwrap_or("");
            if foreign {
                let why = "it is imported from another repository and not kept by this one";
                self.gap(&path, why, "clone that repository, and scan it there");
            } else if digest.len() < 32 {
                let why = "it is not tracked by the MD5 of its content";
                self.gap(&path, why, "`dvc pull`, and scan the copy");
            } else {
                let (digest, old) = (digest.to_ascii_lowercase(), word("hash").is_none());
                let remote = word("remote").map(str::to_owned);
                self.outs.push(Out { path, digest, old, remote });
            }
        }
    }
}

/// Paths of a pipeline whose content is not cached.
fn uncached(pipeline: &Value) -> BTreeSet<String> {
    let stages = pipeline.get("stages").and_then(Value::as_object);
    let lists = stages.into_iter().flat_map(serde_json::Map::values).flat_map(|stage| {
        let stage = stage.get("do").unwrap_or(stage);
        ["outs", "metrics", "plots"].into_iter().filter_map(|key| stage.get(key)?.as_array())
    });
    let items = lists.flatten().filter_map(Value::as_object).flatten();
    items
        .filter(|(_, how)| how.get("cache").and_then(Value::as_str) == Some("false"))
        .map(|(path, _)| path.clone())
        .collect()
}

fn document(path: &Path) -> Result<Value, String> {
    let bytes = read(path, MAX_FILE)?;
    value(std::str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned())?)
}

fn document_or_note(path: &Path, notes: &mut Vec<String>) -> Option<Value> {
    document(path).map_err(|why| notes.push(format!("dvc.yaml cannot be read: {why}"))).ok()
}

/// A small regular file.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| error.to_string();
    if !fs::metadata(path).map_err(wrong)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(wrong)?.take(most + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > most {
        return Err(format!("it is longer than the {most} bytes that belong there"));
    }
    Ok(bytes)
}

/// The rest of a path below a folder; the path itself is below itself.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if folder.is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// A path without `.` and `..`, by its words alone; none when it leads above its beginning.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() || out.as_os_str().is_empty() && path.is_absolute() {
                    return None;
                }
            }
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_their_project() {
        for (path, expected) in
            [("a/./b", Some("a/b")), ("a/../b", Some("b")), ("a/../../b", None), ("/a/../b", Some("/b"))]
        {
            assert_eq!(normal(Path::new(path)), expected.map(PathBuf::from), "{path}");
        }
        assert_eq!(below("a/b", "a"), Some("b"));
        assert_eq!(below("ab", "a"), None);
        assert_eq!(below("a", "a"), Some(""));
        assert_eq!(below("a", ""), Some("a"));
    }
}
