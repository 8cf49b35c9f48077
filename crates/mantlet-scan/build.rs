//! A fingerprint of everything that decides a verdict, so that kept results end with the code that made them.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

/// Crates whose sources decide, beside this one; libraries are in the lock file.
const DECIDE: [&str; 5] =
    ["mantlet-vocab/src", "mantlet-formats/src", "mantlet-rules/src", "mantlet-scan/src", "mantlet-yara/src"];

fn main() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in DECIDE {
        let folder = crates.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        collect(&folder, &mut files);
    }
    let lock = crates.join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    files.push(lock);
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in &files {
        let text = std::fs::read(file).unwrap_or_default();
        hasher.write_usize(text.len());
        hasher.write(&text);
    }
    println!("cargo::rustc-env=MANTLET_SCAN_FINGERPRINT={:016x}", hasher.finish());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
