//! `Pipfile.lock`: JSON with sources, and packages by group.

use serde_json::Value;

use super::Lines;
use crate::{Dependency, Facts, IndexOption, MAX_DEPENDENCIES, Origin};

pub(super) fn read(text: &str, facts: &mut Facts) {
    let root: Value = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            let line = u32::try_from(error.line()).ok();
            facts.defect(line, "not valid JSON");
            return;
        }
    };
    let Some(root) = root.as_object() else {
        facts.defect(Some(1), "not a JSON object");
        return;
    };
    let mut lines = Lines::of(text, |line| line.strip_prefix('"')?.split_once("\": {").map(|(name, _)| name));
    let sources = root.get("_meta").and_then(|meta| meta.get("sources")).and_then(Value::as_array);
    for (position, source) in sources.into_iter().flatten().enumerate().take(100) {
        let url = source.get("url").and_then(Value::as_str).unwrap_or("");
        let option = if position == 0 { "index-url" } else { "extra-index-url" };
        facts.indexes.push(IndexOption { option, value: url.to_owned(), line: None });
        if source.get("verify_ssl").and_then(Value::as_bool) == Some(false) {
            let value = crate::place::host(url);
            facts.indexes.push(IndexOption { option: "trusted-host", value, line: None });
        }
    }
    for (group, packages) in root.iter().filter(|(group, _)| !group.starts_with('_')) {
        let Some(packages) = packages.as_object() else {
            facts.defect(None, format!("group `{}` is not an object", crate::place::plain(group)));
            continue;
        };
        for (name, package) in packages {
            if facts.dependencies.len() > MAX_DEPENDENCIES {
                return;
            }
            let line = lines.next(name);
            if !package.is_object() {
                facts.defect(line, format!("package `{}` is not an object", crate::place::plain(name)));
                continue;
            }
            facts.dependencies.push(dependency(name, package, line));
        }
    }
}

fn dependency(name: &str, package: &Value, line: Option<u32>) -> Dependency {
    let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let condition = text("version").unwrap_or_default();
    let version = condition
        .strip_prefix("==")
        .map(|version| version.trim_start_matches('=').trim().to_owned())
        .filter(|version| !version.is_empty() && !version.contains('*'));
    let vcs = ["git", "hg", "svn", "bzr"].iter().find_map(|key| text(key));
    let origin = if let Some(url) = vcs {
        Origin::Vcs { url, revision: text("ref") }
    } else if let Some(url) = text("file").or_else(|| text("url")) {
        Origin::Url(url)
    } else if let Some(path) = text("path") {
        Origin::Path(path)
    } else {
        Origin::Index
    };
    let hashes = package.get("hashes").and_then(Value::as_array).map_or(0, Vec::len);
    Dependency { name: name.to_owned(), version, condition, hashes, origin, line }
}
