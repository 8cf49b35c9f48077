//! The code that a target runs, and a name for the state it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::project::files;

/// The crate of parsers, of which a target runs some modules; of other crates it runs all.
const FORMATS: &str = "mantlet-formats";
/// Modules whose types others name without running what these name in turn: limits and the table of effects, which are
/// handed in, and lists of tensors.
const TYPES: [&str; 2] = ["bounds", "weights"];

/// The files of this project that a target runs, in order. Third-party crates are not among them.
pub(super) fn covers(root: &Path, target: &str) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let source = |name: &str| root.join("fuzz/targets").join(name).with_extension("rs");
    let mut text = read(&source(target))?;
    found.insert(source(target));
    if text.contains("mod support;") {
        text.push_str(&read(&source("support"))?);
        found.insert(source("support"));
    }
    // A file of a crate that is too much for a target as a whole.
    let one = |path: &str| path.split('"').next().map(|path| root.join(path.trim_start_matches("../")));
    found.extend(text.split("#[path = \"").skip(1).filter_map(one));
    let mut crates: BTreeSet<String> =
        after(&text, "mantlet_").map(|name| format!("mantlet-{}", name.replace('_', "-"))).collect();
    let whole = crates.iter().any(|name| depends(root, name).is_ok_and(|all| all.contains(FORMATS)));
    if !whole {
        crates.remove(FORMATS);
        let modules = modules(&root.join("crates").join(FORMATS).join("src"))?;
        let mut wanted: Vec<&String> = modules.keys().filter(|name| named(&text, name)).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            if !seen.insert(name) {
                continue;
            }
            let Some(paths) = modules.get(name) else { continue };
            found.extend(paths.iter().cloned());
            if TYPES.contains(&name.as_str()) && !uses(&text, "mantlet_formats::", name) {
                continue;
            }
            for path in paths {
                let text = read(path)?;
                wanted.extend(modules.keys().filter(|other| *other != name && inside(&text, other)));
            }
        }
        crates.insert("mantlet-vocab".to_owned());
    }
    let mut waiting: Vec<String> = crates.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if seen.insert(name.clone()) {
            found.extend(
                files(&root.join("crates").join(&name).join("src"))?.into_iter().filter(|path| runs(path)),
            );
            waiting.extend(depends(root, &name)?);
        }
    }
    Ok(found)
}

/// A name for the state of what a target runs. Tests within the files do not count.
pub(super) fn code(root: &Path, target: &str) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in covers(root, target)? {
        let text = read(&path)?;
        let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for part in [path.strip_prefix(root).unwrap_or(&path).to_string_lossy().as_bytes(), text.as_bytes()] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The modules of a crate, each with its files.
fn modules(folder: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in files(folder)?.into_iter().filter(|path| runs(path)) {
        let inside = path.strip_prefix(folder).unwrap_or(&path);
        let Some(first) = inside.iter().next() else { continue };
        let name = first.to_string_lossy().trim_end_matches(".rs").to_owned();
        found.entry(name).or_default().push(path);
    }
    found.remove("lib");
    Ok(found)
}

/// Whether a file becomes part of a program: sources, and the tables that are built in.
fn runs(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name != "tests.rs" && path.extension().is_some_and(|end| end != "md")
}

/// The crates of this project that a crate names.
fn depends(root: &Path, name: &str) -> Result<BTreeSet<String>> {
    let manifest: toml::Table = read(&root.join("crates").join(name).join("Cargo.toml"))?.parse()?;
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    Ok(table
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| name.starts_with("mantlet-"))
        .collect())
}

/// Whether a target names a module of the parsers.
fn named(text: &str, module: &str) -> bool {
    uses(text, "mantlet_formats::", module) || (module == "bounds" && text.contains("mantlet_formats::"))
}

/// Whether a module names another one of its crate.
fn inside(text: &str, module: &str) -> bool {
    uses(text, "crate::", module)
}

/// Whether `module` follows `before`, alone or in a list in braces.
fn uses(text: &str, before: &str, module: &str) -> bool {
    text.split(before).skip(1).any(|rest| {
        let list = if rest.starts_with('{') { rest.split(';').next() } else { None };
        match list {
            Some(list) => list.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == module),
            None => word(rest) == module,
        }
    })
}

/// The names that follow `before`.
fn after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).map(word).filter(|word| !word.is_empty())
}

fn word(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_covers_what_it_calls_and_no_more() {
        let project = crate::Project::here().unwrap();
        let names = |target: &str| -> Vec<String> {
            covers(&project.root, target).unwrap().iter().map(|path| project.shown(path)).collect()
        };
        let has = |names: &[String], part: &str| names.iter().any(|name| name.contains(part));
        let tar = names("tar");
        let coding = names("coding");
        assert!(has(&coding, "mantlet-gateway/src/coding.rs") && !has(&coding, "service.rs"), "{coding:?}");
        assert!(has(&tar, "mantlet-formats/src/tar") && has(&tar, "fuzz/targets/tar.rs"), "{tar:?}");
        assert!(!has(&tar, "/python/") && !has(&tar, "/onnx/") && !has(&tar, "mantlet-rules"), "{tar:?}");
        assert!(!has(&names("safetensors"), "/onnx/") && has(&names("weights"), "/onnx/"));
        let skops = names("skops");
        assert!(
            has(&skops, "src/zip.rs") && has(&skops, "/pickle/") && has(&skops, "effects.txt"),
            "{skops:?}"
        );
        let scan = names("scan");
        assert!(has(&scan, "/python/") && has(&scan, "mantlet-rules/src/code"), "{scan:?}");
        assert!(!has(&names("text"), "mantlet-formats"), "dialects need no parser of files");
        // What `TYPES` says of the lists of tensors.
        for path in files(&project.root.join("crates/mantlet-formats/src")).unwrap() {
            assert!(!read(&path).unwrap().contains("weights::list("), "{}", path.display());
        }
        assert_ne!(code(&project.root, "tar").unwrap(), code(&project.root, "zip").unwrap());
    }
}
