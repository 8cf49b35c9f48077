//! The project speaks of itself only: no paths of one machine, no private indexes, no open ends without an issue.

use anyhow::Result;

use super::Fault;
use crate::project::{Project, files};

/// Folders of one machine. In pieces, so that this file does not hold what it forbids.
const PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tm", "p/")];

/// Files whose words are data: hostile examples name such paths on purpose.
fn is_data(at: &str) -> bool {
    at.ends_with("cases.md")
        || at.contains("/tests/")
        || at.ends_with("tests.rs")
        || at.contains("testkit")
        || at.contains("/data/")
}

pub(super) fn check(project: &Project, faults: &mut Vec<Fault>) -> Result<()> {
    for path in files(&project.root)? {
        let at = project.shown(&path);
        let known = path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| {
            matches!(
                extension,
                "rs" | "md" | "toml" | "py" | "txt" | "sh" | "yml" | "yaml" | "html" | "css" | "js" | "sql"
            )
        });
        let named = matches!(at.as_str(), ".ci/run" | "Containerfile" | "Cargo.lock")
            || at.ends_with(".cargo/config.toml");
        if !(known || named) {
            continue;
        }
        // What is not text is not looked at.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (line, what) in slips(&at, &text) {
            faults.push(Fault::new(format!("{at}:{line}"), "wording", what));
        }
    }
    Ok(())
}

/// What a file should not say, with its line.
pub(super) fn slips(at: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_tests = false;
    for (number, line) in (1..).zip(text.lines()) {
        // By custom tests stand last in a file, and may name what a hostile input names.
        in_tests |= at.ends_with(".rs") && line.trim() == "#[cfg(test)]";
        if at == "Cargo.lock" {
            let source = line.strip_prefix("source = ");
            if source.is_some_and(|source| {
                !source.contains("registry+https://github.com/rust-lang/crates.io-index")
            }) {
                found.push((number, "a package from elsewhere than crates.io".to_owned()));
            }
            continue;
        }
        if at.ends_with("requirements.txt") && (line.contains("index-url") || line.contains("trusted-host")) {
            found.push((number, "a package index of one's own".to_owned()));
        }
        if !is_data(at) && !in_tests {
            for path in PATHS {
                if names_path(line, path) {
                    found.push((number, format!("a path of one machine, `{path}`")));
                }
            }
        }
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")] {
            if line.contains(word) && !has_issue(line) {
                found.push((number, format!("`{word}` without an issue beside it (`#12`)")));
            }
        }
    }
    found
}

/// The path at the start of a word, followed by a name: `a/work/b` and a bare `/tmp/` are none.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        let starts =
            before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | '}' | ')')));
        starts && after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.')
    })
}

fn has_issue(line: &str) -> bool {
    line.match_indices('#').any(|(at, _)| line[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_and_data_is_left_alone() {
        let count = |at: &str, text: &str| slips(at, text).len();
        for (at, text) in [
            ("README.md", concat!("cd /wo", "rk/main")),
            ("a.rs", concat!("let p = \"/tm", "p/x\";")),
            ("a.rs", concat!("// TO", "DO later")),
            ("Cargo.lock", "source = \"registry+https://crates.example/index\""),
            ("requirements.txt", "--extra-index-url https://pypi.example/simple"),
        ] {
            assert_eq!(count(at, text), 1, "{at}: {text}");
        }
        for (at, text) in [
            ("README.md", "a framework/ and re/work/ed"),
            ("crates/x/src/pickle/a/cases.md", concat!("open /ro", "ot/.ssh/id_rsa")),
            ("a.rs", concat!("fn f() {}\n#[cfg(test)]\nmod tests { const A: &str = \"/tm", "p/x\"; }")),
            ("a.rs", concat!("// TO", "DO(#12): later")),
            ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""),
            ("Containerfile", concat!("VOLUME /tm", "p/")),
        ] {
            assert_eq!(count(at, text), 0, "{at}: {text}");
        }
    }
}
