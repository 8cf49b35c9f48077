//! pip's requirements format: requirement lines, options, continuation lines, comments.

use crate::place::plain;
use crate::{Dependency, Facts, Include, IndexOption, MAX_DEPENDENCIES, Origin};

/// Longest logical line that is read; pip-compile writes some hundred hashes on one.
const MAX_LINE: usize = 1 << 18;

pub(super) fn read(text: &str, facts: &mut Facts) {
    let mut joined = String::new();
    let mut start = 1_u32;
    for (number, raw) in (1_u32..).zip(text.lines()) {
        if facts.dependencies.len() > MAX_DEPENDENCIES {
            return;
        }
        if joined.is_empty() {
            start = number;
        }
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        let comment_only = raw.trim_start().starts_with('#');
        if joined.len() + raw.len() > MAX_LINE {
            facts.defect(Some(start), format!("line longer than {MAX_LINE} bytes"));
            joined.clear();
            continue;
        }
        match raw.strip_suffix('\\') {
            Some(part) if !comment_only => {
                joined.push_str(part);
                joined.push(' ');
                continue;
            }
            _ if comment_only => {}
            _ => joined.push_str(raw),
        }
        line(&joined, start, facts);
        joined.clear();
    }
    if !joined.trim().is_empty() {
        line(&joined, start, facts);
    }
}

fn line(text: &str, number: u32, facts: &mut Facts) {
    let text = without_comment(text).trim();
    if text.is_empty() {
        return;
    }
    if text.starts_with('-') {
        option(text, number, facts);
        return;
    }
    requirement(text, number, facts);
}

/// A comment starts at the beginning or after white space, so that `#egg=` stays.
fn without_comment(text: &str) -> &str {
    let mut before = ' ';
    for (index, character) in text.char_indices() {
        if character == '#' && before.is_whitespace() {
            return text.get(..index).unwrap_or(text);
        }
        before = character;
    }
    text
}

fn option(text: &str, number: u32, facts: &mut Facts) {
    // `--option=value`, `--option value`, `-ovalue`, `-o value`.
    let (name, value) = if let Some(long) = text.strip_prefix("--") {
        let end = long.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(long.len());
        let (name, value) = long.split_at(end);
        (name, value.trim_start_matches(['=']).trim())
    } else {
        let end = text.char_indices().nth(2).map_or(text.len(), |(index, _)| index);
        let (name, value) = text.split_at(end);
        (name, value.trim_start_matches(['=']).trim())
    };
    let option = match name {
        "-r" | "requirement" | "-c" | "constraint" => {
            facts.includes.push(Include { path: value.to_owned(), line: number });
            return;
        }
        "-e" | "editable" => {
            requirement(value, number, facts);
            return;
        }
        "-i" | "index-url" | "pypi-url" => "index-url",
        "extra-index-url" => "extra-index-url",
        "-f" | "find-links" => "find-links",
        "trusted-host" => "trusted-host",
        "no-index" | "pre" | "require-hashes" | "no-binary" | "only-binary" | "prefer-binary"
        | "use-feature" | "no-deps" | "use-pep517" | "global-option" | "config-settings" => return,
        other => {
            facts.defect(Some(number), format!("unknown option `{}`", plain(other)));
            return;
        }
    };
    if value.is_empty() {
        facts.defect(Some(number), format!("option `{option}` has no value"));
        return;
    }
    facts.indexes.push(IndexOption { option, value: value.to_owned(), line: Some(number) });
}

fn requirement(text: &str, number: u32, facts: &mut Facts) {
    // Options of one requirement stand at its end: `name==1 --hash=sha256:...`.
    let options_at = text.find(" --").unwrap_or(text.len());
    let (text, options) = text.split_at(options_at);
    let hashes =
        options.split_whitespace().filter(|part| part.starts_with("--hash=") || is_hash(part)).count();
    let text = text.trim();
    let mut dependency = Dependency {
        name: String::new(),
        version: None,
        condition: String::new(),
        hashes,
        origin: Origin::Index,
        line: Some(number),
    };
    if text.is_empty() {
        facts.defect(Some(number), "a requirement without a name");
        return;
    }
    if let Some(origin) = bare_origin(text) {
        dependency.name = egg(text).or_else(|| wheel_name(text)).unwrap_or_default();
        dependency.hashes += usize::from(has_hash_fragment(text));
        dependency.origin = origin;
        facts.dependencies.push(dependency);
        return;
    }
    let end =
        text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut rest = rest.trim_start();
    if name.is_empty() {
        facts.defect(Some(number), format!("not a requirement: `{}`", plain(text)));
        return;
    }
    dependency.name = name.to_owned();
    if let Some(extras) = rest.strip_prefix('[') {
        let Some((_, after)) = extras.split_once(']') else {
            facts.defect(Some(number), format!("unclosed `[` in the requirement of `{}`", plain(name)));
            return;
        };
        rest = after.trim_start();
    }
    if let Some(url) = rest.strip_prefix('@') {
        let url = url.split_whitespace().next().unwrap_or("");
        dependency.hashes += usize::from(has_hash_fragment(url));
        dependency.origin = bare_origin(url).unwrap_or_else(|| Origin::Url(url.to_owned()));
        facts.dependencies.push(dependency);
        return;
    }
    let condition = rest.split(';').next().unwrap_or("").trim();
    let condition =
        condition.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(condition);
    if !condition.is_empty() && !condition.starts_with(['=', '<', '>', '!', '~']) {
        facts.defect(Some(number), format!("not a version condition: `{}`", plain(condition)));
        return;
    }
    dependency.version = exact(condition);
    dependency.condition = condition.to_owned();
    facts.dependencies.push(dependency);
}

/// The one version of `==1.2` or `===1.2`; a wildcard or a second clause that is not exact pins nothing more.
fn exact(condition: &str) -> Option<String> {
    condition.split(',').find_map(|clause| {
        let version = clause.trim().strip_prefix("==")?.trim_start_matches('=').trim();
        (!version.is_empty() && !version.contains('*')).then(|| version.to_owned())
    })
}

fn bare_origin(text: &str) -> Option<Origin> {
    let first = text.split_whitespace().next().unwrap_or("");
    let lower = first.to_ascii_lowercase();
    for system in ["git+", "hg+", "svn+", "bzr+"] {
        if lower.starts_with(system) {
            let address = first.get(system.len()..).unwrap_or("");
            let address = address.split('#').next().unwrap_or(address);
            let after_host = address.find("://").map_or(0, |at| at + 3);
            let path_at = address
                .get(after_host..)
                .and_then(|rest| rest.find('/'))
                .map_or(address.len(), |at| at + after_host);
            let revision = address.get(path_at..).and_then(|path| path.rsplit_once('@'));
            return Some(match revision {
                Some((path, revision)) => Origin::Vcs {
                    url: format!("{}{path}", address.get(..path_at).unwrap_or("")),
                    revision: Some(revision.to_owned()),
                },
                None => Origin::Vcs { url: address.to_owned(), revision: None },
            });
        }
    }
    if ["http://", "https://", "ftp://"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Some(Origin::Url(first.to_owned()));
    }
    let archive = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().any(|end| lower.ends_with(end));
    let path = first.starts_with('.') || first.starts_with('/') || lower.starts_with("file:") || archive;
    path.then(|| Origin::Path(first.to_owned()))
}

fn egg(text: &str) -> Option<String> {
    let (_, fragment) = text.split_once("#egg=")?;
    let end = fragment.find(['&', '[', ' ']).unwrap_or(fragment.len());
    fragment.get(..end).map(str::to_owned).filter(|name| !name.is_empty())
}

fn wheel_name(text: &str) -> Option<String> {
    let path = text.split(['#', '?']).next()?;
    let file = crate::base_name(path);
    file.ends_with(".whl")
        .then(|| file.split('-').next().unwrap_or("").to_owned())
        .filter(|name| !name.is_empty())
}

fn has_hash_fragment(url: &str) -> bool {
    url.split_once('#').is_some_and(|(_, fragment)| {
        fragment
            .split('&')
            .any(|part| part.split_once('=').is_some_and(|(name, value)| is_hash(&format!("{name}:{value}"))))
    })
}

fn is_hash(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, value)| {
        matches!(algorithm, "sha256" | "sha384" | "sha512")
            && value.len() >= 64
            && value.bytes().all(|b| b.is_ascii_hexdigit())
    })
}
