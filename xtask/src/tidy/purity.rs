//! Storeys 0 to 2 know no files, no network, no clock, no randomness, no threads and no async.

use anyhow::{Context as _, Result};

use super::source::{code, test_modules, without_tests};
use super::{Fault, storeys};
use crate::project::{Crate, Project, files};

/// Modules of the standard library that reach the world.
const WORLDLY: [&str; 6] = ["fs", "net", "time", "thread", "env", "process"];

/// Words that reach the world wherever they come from.
const WORDS: [&str; 8] =
    ["SystemTime", "Instant", "tokio", "getrandom", "thread_rng", "OsRng", "from_os_rng", "ThreadRng"];

pub(super) fn check(project: &Project, crates: &[Crate], faults: &mut Vec<Fault>) -> Result<()> {
    for member in crates {
        if storeys::storey(&member.name).is_none_or(|storey| storey > storeys::PURE) {
            continue;
        }
        let sources: Vec<_> = files(&member.folder.join("src"))?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .collect();
        let mut texts = Vec::new();
        let mut tests = Vec::new();
        for path in sources {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let text = code(&text);
            let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
                Some("mod" | "lib" | "main") | None => path.parent().unwrap_or(&path).to_owned(),
                Some(_) => path.with_extension(""),
            };
            for module in test_modules(&text) {
                tests.push(folder.join(format!("{module}.rs")));
                tests.push(folder.join(module));
            }
            texts.push((path, text));
        }
        for (path, text) in texts {
            if tests.iter().any(|test| path.starts_with(test)) {
                continue;
            }
            for (line, what) in impurities(&without_tests(&text)) {
                faults.push(Fault::new(format!("{}:{line}", project.shown(&path)), "purity", what));
            }
        }
    }
    Ok(())
}

/// What reaches the world in prepared code, with its line.
pub(super) fn impurities(code: &str) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let mut found = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate() {
        match token.as_str() {
            "std" if word(at + 1) == "::" => {
                for (module, next) in heads(&tokens, at + 2) {
                    // A duration is a plain value; only the clocks of `time` are of the world.
                    let plain = module == "time" && next == "Duration";
                    if WORLDLY.contains(&module.as_str()) && !plain {
                        found.push((*line, format!("a pure storey uses `std::{module}`; hand the value in")));
                    }
                }
            }
            "async" if matches!(word(at + 1), "fn" | "move" | "{" | "|") => {
                found.push((*line, "a pure storey is async".to_owned()));
            }
            "rng" if at >= 2 && word(at - 1) == "::" && word(at - 2) == "rand" && word(at + 1) == "(" => {
                found.push((*line, "a pure storey draws randomness; hand a seed in".to_owned()));
            }
            "stdin" | "stdout" | "stderr" if at >= 2 && word(at - 1) == "::" && word(at - 2) == "io" => {
                found.push((*line, format!("a pure storey uses `{token}`")));
            }
            other if WORDS.contains(&other) => {
                found.push((*line, format!("a pure storey uses `{other}`; hand the value in")));
            }
            _ => {}
        }
    }
    found
}

/// The first word after `std::` and the one after it, for each branch of `std::{a::b, c}`.
fn heads(tokens: &[(usize, String)], from: usize) -> Vec<(String, String)> {
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    if word(from) != "{" {
        let next = if word(from + 1) == "::" { word(from + 2) } else { "" };
        return vec![(word(from).to_owned(), next.to_owned())];
    }
    let mut found = Vec::new();
    let (mut depth, mut at, mut first) = (1, from + 1, true);
    while depth > 0 && at < tokens.len() {
        match word(at) {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => first = true,
            head if depth == 1 && first => {
                let next = if word(at + 1) == "::" { word(at + 2) } else { "" };
                found.push((head.to_owned(), next.to_owned()));
                first = false;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Words, `::` and single signs, with their lines.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let len = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(len);
            tokens.push((number, token.to_owned()));
            rest = after.trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_into_the_world_is_seen_and_plain_code_is_not() {
        let lines = |source: &str| impurities(&without_tests(&code(source))).len();
        for bad in [
            "use std::fs;",
            "use std::{collections::BTreeMap, env};",
            "fn f() { std::thread::spawn(|| ()); }",
            "use std::time::SystemTime;",
            "async fn f() {}",
            "fn f() { let x = async move { 1 }; }",
            "fn f() { let mut r = rand::rng(); }",
            "fn f() { getrandom::fill(&mut b); }",
            "use std::io::{self}; fn f() { std::io::stdout(); }",
            "use std::process::Command;",
            "use std::net::IpAddr;",
        ] {
            assert!(lines(bad) > 0, "{bad}");
        }
        for good in [
            "use std::{fmt, io, collections::{BTreeMap, btree_map::Entry}};",
            "use std::time::Duration;",
            "fn environment(env: &str) { let process = env; }",
            "// std::fs\nconst A: &str = \"std::net tokio\";",
            "fn f() -> &'static str { env!(\"CARGO_PKG_VERSION\") }",
            "#[cfg(test)]\nmod tests { use std::fs; }",
            "struct Asynchronous; fn rng(seed: u64) {}",
        ] {
            assert_eq!(lines(good), 0, "{good}");
        }
    }
}
