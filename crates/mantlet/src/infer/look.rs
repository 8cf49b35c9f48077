//! What lies in a folder: models, tables, lock files. Names decide here, contents later.

use std::path::{Path, PathBuf};

/// What a look at a folder found, each list in order of preference.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Model files: ONNX first, then what can only be scanned.
    pub models: Vec<PathBuf>,
    /// Tables: names that say "train" first, then the largest.
    pub tables: Vec<PathBuf>,
    /// Lock files.
    pub locks: Vec<PathBuf>,
}

const MODELS: [&str; 11] =
    ["onnx", "safetensors", "pt", "pth", "pkl", "pickle", "joblib", "keras", "h5", "gguf", "npz"];
const TABLES: [&str; 2] = ["csv", "parquet"];
const LOCKS: [&str; 5] = ["requirements.txt", "poetry.lock", "uv.lock", "Pipfile.lock", "Cargo.lock"];
/// Folders that hold other people's files or our own state.
const SKIPPED: [&str; 7] =
    ["node_modules", "site-packages", "venv", "target", "__pycache__", "dist", "build"];
const MAX_DEPTH: usize = 3;
const MAX_ENTRIES: usize = 20_000;

/// Looks at a folder and three levels below it; hidden folders and environments are passed over.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn look(folder: &Path) -> std::io::Result<Found> {
    let mut files = Vec::new();
    let mut queue = vec![(folder.to_owned(), 0)];
    while let Some((here, depth)) = queue.pop() {
        let entries = match std::fs::read_dir(&here) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') || files.len() > MAX_ENTRIES {
                continue;
            }
            if kind.is_dir() && depth < MAX_DEPTH && !SKIPPED.contains(&name.as_str()) {
                queue.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                let size = entry.metadata().map_or(0, |metadata| metadata.len());
                files.push((entry.path(), name.to_ascii_lowercase(), size));
            }
        }
    }
    files.sort();
    Ok(sort(folder, &files))
}

fn sort(folder: &Path, files: &[(PathBuf, String, u64)]) -> Found {
    let extension = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let relative = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    let ranked = |known: &[&str]| {
        let mut hits: Vec<_> = files
            .iter()
            .filter_map(|(path, name, size)| {
                let rank = known.iter().position(|known| extension(path).as_deref() == Some(known))?;
                Some((rank, path, name, *size))
            })
            .collect();
        hits.sort_by_key(|(rank, path, _, size)| (*rank, std::cmp::Reverse(*size), (*path).clone()));
        hits
    };
    let mut tables = ranked(&TABLES);
    tables.sort_by_key(|(_, path, name, size)| {
        (!name.contains("train"), std::cmp::Reverse(*size), (*path).clone())
    });
    let is_lock = |name: &str| {
        LOCKS.iter().any(|lock| lock.eq_ignore_ascii_case(name))
            || (name.starts_with("requirements") && name.ends_with(".txt"))
    };
    Found {
        models: ranked(&MODELS).into_iter().map(|(_, path, ..)| relative(path)).collect(),
        tables: tables.into_iter().map(|(_, path, ..)| relative(path)).collect(),
        locks: files.iter().filter(|(_, name, _)| is_lock(name)).map(|(path, ..)| relative(path)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onnx_before_pickles_and_train_before_size() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, size: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![b'x'; size]).unwrap();
        };
        for (name, size) in [
            ("a.pkl", 9),
            ("deep/b.onnx", 1),
            ("test.csv", 50),
            ("train.csv", 5),
            ("requirements-dev.txt", 1),
            (".venv/x.onnx", 100),
            ("venv/y.onnx", 100),
        ] {
            write(name, size);
        }
        let found = look(folder.path()).unwrap();
        assert_eq!(found.models, ["deep/b.onnx", "a.pkl"].map(PathBuf::from));
        assert_eq!(found.tables, ["train.csv", "test.csv"].map(PathBuf::from));
        assert_eq!(found.locks, ["requirements-dev.txt"].map(PathBuf::from));
        assert!(look(&folder.path().join("absent")).is_err());
    }
}
