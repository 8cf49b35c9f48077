//! Finding a model's files and hashing them as a manifest names them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mantlet_seal::{Manifest, Method};
use sha2::{Digest as _, Sha256};

use super::{DiskError, EVIDENCE_NAME, IGNORED, MOST_FILES, digest_file};

/// A file system fault at a place.
pub(super) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| DiskError::Io { verb, path: path.to_owned(), source }
}

/// Digests of what is on disk, named as the manifest names them.
pub(super) fn digests(
    path: &Path,
    signature: &Path,
    manifest: &Manifest,
    without: &[String],
) -> Result<BTreeMap<String, Vec<u8>>, DiskError> {
    let files = if kind(path)?.is_dir() {
        let mut ignored = manifest.ignore_paths.clone();
        ignored.extend_from_slice(without);
        // Historical bundles record no ignored paths, the reference left these out all the same.
        ignored.extend(IGNORED.map(str::to_owned));
        ignored.extend(relative(path, signature));
        // Evidence is signed by itself; it stands beside the signature only after that was made.
        ignored.push(EVIDENCE_NAME.to_owned());
        walk(path, &ignored)?
    } else {
        vec![(".".to_owned(), path.to_owned())]
    };
    let mut found = BTreeMap::new();
    for (name, file) in files {
        match manifest.method {
            Method::Files => {
                found.insert(name, digest_file(&file)?.0.to_vec());
            }
            Method::Shards { size } => shards(&name, &file, size, &mut found)?,
        }
    }
    Ok(found)
}

/// Shards of a file. An empty file has none in the format; it is listed under its own name, so that it shows
/// as not covered.
fn shards(
    name: &str,
    path: &Path,
    size: u64,
    found: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), DiskError> {
    let mut file = File::open(path).map_err(io("read", path))?;
    let mut start = 0;
    loop {
        let mut hasher = Sha256::new();
        let len = io::copy(&mut (&mut file).take(size), &mut HashWriter(&mut hasher));
        let len = len.map_err(io("read", path))?;
        if len == 0 {
            if start == 0 {
                found.insert(name.to_owned(), Vec::new());
            }
            return Ok(());
        }
        found.insert(format!("{name}:{start}:{}", start + len), hasher.finalize().to_vec());
        start += len;
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every regular file under `root`, by its `/`-joined name, sorted.
pub(super) fn walk(root: &Path, ignored: &[String]) -> Result<Vec<(String, PathBuf)>, DiskError> {
    let mut files = Vec::new();
    let mut left = vec![(String::new(), root.to_owned())];
    while let Some((prefix, folder)) = left.pop() {
        for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
            let path = entry.map_err(io("list", &folder))?.path();
            let component = base_name(&path)?;
            let name = if prefix.is_empty() { component } else { format!("{prefix}/{component}") };
            if ignored.contains(&name) {
                continue;
            }
            let kind = kind(&path)?;
            if kind.is_dir() {
                left.push((name, path));
            } else {
                files.push((name, path));
            }
            if files.len() + left.len() > MOST_FILES {
                return Err(DiskError::TooMany { path: root.to_owned(), most: MOST_FILES });
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Its kind without following links; anything but a file or folder is refused.
pub(super) fn kind(path: &Path) -> Result<fs::FileType, DiskError> {
    let kind = fs::symlink_metadata(path).map_err(io("read", path))?.file_type();
    if kind.is_dir() || kind.is_file() { Ok(kind) } else { Err(DiskError::Special { path: path.to_owned() }) }
}

pub(super) fn base_name(path: &Path) -> Result<String, DiskError> {
    let whole;
    let path = if path.file_name().is_some() {
        path
    } else {
        whole = fs::canonicalize(path).map_err(io("read", path))?;
        &whole
    };
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| DiskError::Name { path: path.to_owned() })
}

/// The name of `inside` relative to `root`, when it lies in it.
pub(super) fn relative(root: &Path, inside: &Path) -> Option<String> {
    let absolute = |path: &Path| std::path::absolute(path).ok();
    let rest = absolute(inside)?.strip_prefix(absolute(root)?).ok()?.to_owned();
    let parts: Option<Vec<&str>> = rest.iter().map(|part| part.to_str()).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
}
