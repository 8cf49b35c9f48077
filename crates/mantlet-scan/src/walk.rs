//! Which files a list of paths stands for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mantlet_vocab::Gap;

use crate::{Selection, hub};

/// What a list of paths stands for.
#[derive(Default)]
pub(crate) struct Found {
    /// The regular files, in the order named and by name inside folders.
    pub(crate) files: Vec<PathBuf>,
    /// What cannot be scanned.
    pub(crate) gaps: Vec<Gap>,
    /// Links of a cache that lead out of their repository, and links to files by which somebody gets in: the link, and
    /// where it leads.
    pub(crate) escapes: Vec<(PathBuf, String)>,
    /// Files that the selection leaves out.
    pub(crate) left_out: usize,
}

/// Finds the files. The selection is asked about files inside folders only.
pub(crate) fn files(paths: &[PathBuf], selection: &Selection) -> Found {
    let mut found = Found::default();
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let mut inside = Vec::new();
                let known = found.gaps.len();
                folder(path, &mut inside, &mut found.gaps);
                let links = found.gaps.iter().skip(known).map(|gap| PathBuf::from(&gap.what));
                found.escapes.extend(links.take(64).filter_map(|link| {
                    let target = hub::leaves(&link).or_else(|| secret(&link))?;
                    Some((link, target))
                }));
                let all = inside.len();
                inside.retain(|file| selection.takes(file.strip_prefix(path).unwrap_or(file)));
                found.left_out += all - inside.len();
                found.files.append(&mut inside);
            }
            Ok(metadata) if metadata.is_file() => found.files.push(path.clone()),
            Ok(_) => found.gaps.push(special(path)),
            Err(error) => found.gaps.push(unreadable(path, &error)),
        }
    }
    found
}

/// Where a link leads that gives away a key or a password to whoever serves or uploads the folder.
fn secret(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?.to_string_lossy().into_owned();
    mantlet_formats::config::secret_file(&target).then_some(target)
}

fn special(path: &Path) -> Gap {
    Gap {
        what: path.display().to_string(),
        why: "it is a pipe, socket or device, not a file".into(),
        remedy: "save its content to a file and scan that".into(),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Gap {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        _ => "make it readable for the user who scans",
    };
    Gap {
        what: path.display().to_string(),
        why: format!("it cannot be read: {error}"),
        remedy: remedy.into(),
    }
}

fn folder(root: &Path, files: &mut Vec<PathBuf>, gaps: &mut Vec<Gap>) {
    let home = fs::canonicalize(root).ok();
    let mut named = BTreeSet::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(next) = waiting.pop() {
        let is_root = next == root;
        let metadata = if is_root { fs::metadata(&next) } else { fs::symlink_metadata(&next) };
        let kind = match metadata {
            Ok(metadata) => metadata.file_type(),
            Err(error) => {
                gaps.push(unreadable(&next, &error));
                continue;
            }
        };
        if kind.is_file() {
            files.push(next);
        } else if kind.is_dir() {
            if next.file_name().is_some_and(|name| name == ".git") && !is_root {
                // What a repository keeps is not the model's; what it makes git run is.
                repository(&next, files);
                continue;
            }
            match fs::read_dir(&next) {
                Ok(entries) => {
                    let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                    inside.sort();
                    // Last in, first out: the smallest name must be on top.
                    waiting.extend(inside.into_iter().rev());
                }
                Err(error) => gaps.push(unreadable(&next, &error)),
            }
        } else if kind.is_symlink() {
            if let Some(blob) = hub::blob(&next) {
                files.push(next);
                named.insert(blob);
            } else {
                link(&next, home.as_deref(), files, gaps);
            }
        } else {
            gaps.push(special(&next));
        }
    }
    if !named.is_empty() {
        files.retain(|file| !hub::is_told(file, &named));
    }
}

/// Folders of a repository that are looked into for configurations of modules and working trees.
const MAX_REPOSITORY: usize = 4_096;

/// The parts of a repository that git acts on: its configurations, those of its modules and working trees, and its hooks.
fn repository(git: &Path, files: &mut Vec<PathBuf>) {
    let mut named: Vec<PathBuf> = Vec::new();
    let mut waiting = vec![git.to_path_buf()];
    let mut visited = 0;
    while let Some(next) = waiting.pop() {
        visited += 1;
        if visited > MAX_REPOSITORY {
            break;
        }
        named.extend(["config", "config.worktree", "info/attributes"].map(|file| next.join(file)));
        let hooks =
            fs::read_dir(next.join("hooks")).into_iter().flatten().flatten().map(|entry| entry.path());
        named.extend(hooks.filter(|path| path.extension().is_none_or(|ending| ending != "sample")).take(64));
        let inner = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.map(|entry| entry.path()).take(1_024).collect()
        };
        // A module's name may have several parts: what has no configuration yet is a part of one.
        let is_module = next.join("HEAD").is_file();
        if is_module {
            waiting.extend(inner(&next.join("modules")));
            waiting.extend(inner(&next.join("worktrees")));
        } else {
            waiting.extend(inner(&next));
        }
    }
    named.sort();
    files.extend(
        named.into_iter().filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file())),
    );
}

fn link(path: &Path, home: Option<&Path>, files: &mut Vec<PathBuf>, gaps: &mut Vec<Gap>) {
    let target = fs::canonicalize(path);
    let inside = target.as_ref().ok().zip(home).is_some_and(|(target, home)| target.starts_with(home));
    match target.and_then(fs::metadata) {
        // A folder inside is visited under its own name.
        Ok(metadata) if inside && metadata.is_dir() => {}
        Ok(metadata) if inside && metadata.is_file() => files.push(path.to_path_buf()),
        Ok(_) => gaps.push(Gap {
            what: path.display().to_string(),
            why: "it is a link out of the folder that is scanned".into(),
            remedy: "name its target as a path to scan".into(),
        }),
        Err(error) => gaps.push(unreadable(path, &error)),
    }
}
