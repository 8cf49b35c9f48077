//! The cache that Hugging Face libraries keep: files of a snapshot are links into the blobs of their repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How the folder of a repository begins.
const REPOSITORIES: [&str; 3] = ["models--", "datasets--", "spaces--"];

/// The folders of a repository in the cache.
const PARTS: [&str; 3] = ["blobs", "refs", "snapshots"];

/// The blob that a link of a snapshot stands for: a regular file right in the `blobs` of the same repository.
/// Anything else that a link leads to is none.
pub(crate) fn blob(link: &Path) -> Option<PathBuf> {
    let place = fs::canonicalize(link.parent().filter(|folder| !folder.as_os_str().is_empty())?).ok()?;
    // The outermost `snapshots` right below a repository; a model may have a folder of that name itself.
    let repository = place
        .ancestors()
        .filter(|folder| folder.file_name().is_some_and(|name| name == "snapshots"))
        .filter_map(Path::parent)
        .filter(|folder| is_repository(folder))
        .last()?;
    let target = fs::canonicalize(link).ok()?;
    (target.parent()? == repository.join("blobs") && fs::symlink_metadata(&target).ok()?.is_file())
        .then_some(target)
}

/// Where a link of a snapshot leads, when that is outside of its repository, there or not.
pub(crate) fn leaves(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    let parent = link.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    let place = fs::canonicalize(parent).ok()?;
    let repository = place
        .ancestors()
        .filter(|folder| folder.file_name().is_some_and(|name| name == "snapshots"))
        .filter_map(Path::parent)
        .filter(|folder| is_repository(folder))
        .last()?;
    let mut leads = place.clone();
    for part in target.components() {
        match part {
            std::path::Component::ParentDir => {
                leads.pop();
            }
            std::path::Component::CurDir => {}
            other => leads.push(other),
        }
    }
    (!leads.starts_with(repository)).then(|| target.display().to_string())
}

/// By its name, or by what lies in it: one that was copied, or that somebody renamed, is one still.
fn is_repository(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let named = name.is_some_and(|name| REPOSITORIES.iter().any(|start| name.starts_with(start)));
    named || PARTS.iter().all(|part| folder.join(part).is_dir())
}

/// Whether a file is a blob that a snapshot names: it is scanned under the name that says what a loader would do.
pub(crate) fn is_told(file: &Path, named: &BTreeSet<PathBuf>) -> bool {
    let in_blobs = file.parent().and_then(Path::file_name).is_some_and(|folder| folder == "blobs");
    in_blobs
        && fs::symlink_metadata(file).is_ok_and(|metadata| metadata.is_file())
        && fs::canonicalize(file).is_ok_and(|file| named.contains(&file))
}
