//! The TOML locks: `poetry.lock`, `uv.lock`, `pylock.toml`, `Cargo.lock`. One list of packages each.

use toml::{Table, Value};

use super::Lines;
use crate::{Dependency, Facts, Format, IndexOption, MAX_DEPENDENCIES, Origin};

pub(super) fn read(text: &str, facts: &mut Facts) {
    let root: Table = match text.parse() {
        Ok(root) => root,
        Err(error) => {
            let line = error.span().map(|span| {
                let before = text.get(..span.start).unwrap_or("");
                u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1)
            });
            facts.defect(line, "not valid TOML");
            return;
        }
    };
    let list = if facts.format == Format::PyLock { "packages" } else { "package" };
    let packages = match root.get(list) {
        Some(Value::Array(packages)) => packages.as_slice(),
        None => &[],
        Some(_) => {
            facts.defect(None, format!("`{list}` is not a list of tables"));
            return;
        }
    };
    let mut lines = Lines::of(text, |line| {
        let value = line.strip_prefix("name")?.trim_start().strip_prefix('=')?.trim();
        value.strip_prefix('"')?.strip_suffix('"')
    });
    let mut indexes = std::collections::BTreeSet::new();
    for package in packages.iter().take(MAX_DEPENDENCIES.saturating_add(1)) {
        let Some(package) = package.as_table() else {
            facts.defect(None, format!("an entry of `{list}` is not a table"));
            continue;
        };
        let name = text_of(package, "name").unwrap_or_default();
        let line = lines.next(name);
        if name.is_empty() {
            facts.defect(None, format!("an entry of `{list}` has no name"));
            continue;
        }
        let (origin, index) = match facts.format {
            Format::PoetryLock => poetry_origin(package),
            Format::UvLock => uv_origin(package),
            Format::PyLock => pylock_origin(package),
            _ => cargo_origin(package),
        };
        if let Some(index) = index {
            indexes.insert(index.to_owned());
        }
        let version = text_of(package, "version").map(str::to_owned);
        facts.dependencies.push(Dependency {
            name: name.to_owned(),
            condition: version.as_ref().map_or_else(String::new, |version| format!("=={version}")),
            version,
            hashes: hashes(package, &root, name),
            origin,
            line,
        });
    }
    facts.indexes.extend(indexes.into_iter().take(100).map(|value| IndexOption {
        option: "index-url",
        value,
        line: None,
    }));
}

fn text_of<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

/// Hashes, wherever this format keeps them.
fn hashes(package: &Table, root: &Table, name: &str) -> usize {
    let has_hash = |value: &Value| value.get("hash").is_some() || value.get("hashes").is_some();
    let in_list = |key: &str| {
        package
            .get(key)
            .and_then(Value::as_array)
            .map_or(0, |list| list.iter().filter(|value| has_hash(value)).count())
    };
    let single = ["sdist", "archive"].iter().filter(|key| package.get(**key).is_some_and(has_hash)).count();
    let checksum = usize::from(package.get("checksum").is_some());
    let own = in_list("files") + in_list("wheels") + single + checksum;
    if own > 0 {
        return own;
    }
    // Poetry before 1.3 kept the hashes of all packages in one table at the end.
    let old =
        root.get("metadata").and_then(|metadata| metadata.get("files")).and_then(|files| files.get(name));
    old.and_then(Value::as_array).map_or(0, Vec::len)
}

fn poetry_origin(package: &Table) -> (Origin, Option<&str>) {
    let Some(source) = package.get("source").and_then(Value::as_table) else { return (Origin::Index, None) };
    let url = text_of(source, "url").unwrap_or_default();
    match text_of(source, "type") {
        Some("git" | "hg" | "svn") => {
            let revision = text_of(source, "resolved_reference").or_else(|| text_of(source, "reference"));
            (Origin::Vcs { url: url.to_owned(), revision: revision.map(str::to_owned) }, None)
        }
        Some("url") => (Origin::Url(url.to_owned()), None),
        Some("directory" | "file") => (Origin::Path(url.to_owned()), None),
        _ => (Origin::Index, Some(url).filter(|url| !url.is_empty())),
    }
}

fn uv_origin(package: &Table) -> (Origin, Option<&str>) {
    let Some(source) = package.get("source").and_then(Value::as_table) else { return (Origin::Index, None) };
    if let Some(git) = text_of(source, "git") {
        let (url, fragment) = git.split_once('#').map_or((git, None), |(url, commit)| (url, Some(commit)));
        let url = url.split('?').next().unwrap_or(url).to_owned();
        return (Origin::Vcs { url, revision: fragment.map(str::to_owned) }, None);
    }
    if let Some(url) = text_of(source, "url") {
        return (Origin::Url(url.to_owned()), None);
    }
    for key in ["editable", "virtual", "directory", "path"] {
        if let Some(path) = text_of(source, key) {
            return (Origin::Path(path.to_owned()), None);
        }
    }
    (Origin::Index, text_of(source, "registry"))
}

fn pylock_origin(package: &Table) -> (Origin, Option<&str>) {
    if let Some(vcs) = package.get("vcs").and_then(Value::as_table) {
        let url = text_of(vcs, "url").or_else(|| text_of(vcs, "path")).unwrap_or_default().to_owned();
        return (Origin::Vcs { url, revision: text_of(vcs, "commit-id").map(str::to_owned) }, None);
    }
    if let Some(directory) = package.get("directory").and_then(Value::as_table) {
        return (Origin::Path(text_of(directory, "path").unwrap_or_default().to_owned()), None);
    }
    if let Some(archive) = package.get("archive").and_then(Value::as_table) {
        return match text_of(archive, "url") {
            Some(url) => (Origin::Url(url.to_owned()), None),
            None => (Origin::Path(text_of(archive, "path").unwrap_or_default().to_owned()), None),
        };
    }
    (Origin::Index, text_of(package, "index"))
}

fn cargo_origin(package: &Table) -> (Origin, Option<&str>) {
    let Some(source) = text_of(package, "source") else {
        return (Origin::Path("workspace".to_owned()), None);
    };
    if let Some(git) = source.strip_prefix("git+") {
        let (url, commit) = git.split_once('#').map_or((git, None), |(url, commit)| (url, Some(commit)));
        let url = url.split('?').next().unwrap_or(url).to_owned();
        return (Origin::Vcs { url, revision: commit.map(str::to_owned) }, None);
    }
    let index = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
    (Origin::Index, index)
}
