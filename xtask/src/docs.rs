//! Reference documentation, and whether the commands that README and docs name exist in the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::project::{Project, files};
use crate::run::{self, Outcome};

/// The task.
pub(crate) fn run(project: &Project) -> Result<()> {
    match outcome(project)? {
        Outcome::Failed(why) => bail!("{why}"),
        Outcome::Passed | Outcome::Skipped(_) => Ok(()),
    }
}

/// The step of `test`.
pub(crate) fn outcome(project: &Project) -> Result<Outcome> {
    let mut rustdoc = run::cargo(project);
    rustdoc
        .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings");
    let documented = run::shown(&mut rustdoc)?;
    if documented != Outcome::Passed {
        return Ok(documented);
    }
    // Of the whole workspace, so that the tests find it built.
    let build = ["build", "--workspace", "--bin", "mantlet", "--locked", "--quiet"];
    let built = run::shown(run::cargo(project).args(build))?;
    if built != Outcome::Passed {
        return Ok(built);
    }
    let mut faults = commands(project, &project.target.join("debug").join("mantlet"))?;
    faults.extend(links(project)?);
    for fault in &faults {
        println!("{fault}");
    }
    Ok(if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(format!("{} faults", faults.len())) })
}

/// The pages for people.
fn pages(project: &Project) -> Result<Vec<std::path::PathBuf>> {
    let all = files(&project.root)?;
    let is_page = |path: &&std::path::PathBuf| {
        let shown = project.shown(path);
        let top = !shown.contains('/') || shown.starts_with("docs/");
        top && shown.ends_with(".md") && shown != "CHANGELOG.md"
    };
    Ok(all.iter().filter(is_page).cloned().collect())
}

/// Every `mantlet ...` of the pages that the program does not know.
fn commands(project: &Project, program: &Path) -> Result<Vec<String>> {
    let mut help = Help { program, known: BTreeMap::new() };
    let mut faults = Vec::new();
    for page in pages(project)? {
        let text =
            std::fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
        for (line, command) in named(&text) {
            if let Some(what) = help.fault(&command)? {
                faults.push(format!("{}:{line}: `{}`: {what}", project.shown(&page), command.join(" ")));
            }
        }
    }
    Ok(faults)
}

/// The commands a page names, in fences and between backticks, as words without the program's name.
fn named(text: &str) -> BTreeSet<(usize, Vec<String>)> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let pieces: Vec<&str> =
            if fenced { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for piece in pieces {
            let piece = piece
                .trim_start()
                .trim_start_matches("$ ")
                .trim_start_matches("target/release/")
                .trim_start_matches("./");
            let rest = piece
                .strip_prefix("mantlet ")
                .or_else(|| piece.split_once("cargo run --release -- ").map(|(_, rest)| rest));
            let Some(rest) = rest else { continue };
            let end = rest.find(['#', '|', ';', '>', '&']).unwrap_or(rest.len());
            let words = rest[..end]
                .split_whitespace()
                .map(|word| word.trim_matches(['[', ']', '(', ')', ',']).to_owned());
            found.insert((number, words.filter(|word| !word.is_empty()).collect()));
        }
    }
    found
}

/// The program's own help, asked once for each command.
struct Help<'a> {
    program: &'a Path,
    known: BTreeMap<Vec<String>, Option<String>>,
}

impl Help<'_> {
    fn fault(&mut self, words: &[String]) -> Result<Option<String>> {
        let is_word = |word: &&String| {
            word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
        };
        // `mantlet help scan` is as much about `scan` as `mantlet scan --help`.
        let words = if words.first().is_some_and(|word| word == "help") { &words[1..] } else { words };
        let Some(first) = words.first().filter(|word| is_word(word)) else { return Ok(None) };
        let mut command = vec![first.clone()];
        let Some(mut help) = self.of(&command)? else {
            return Ok(Some(format!("no command is called `{first}`")));
        };
        for word in words.iter().skip(1) {
            if !help.contains("Commands:") || !is_word(&word) {
                break;
            }
            command.push(word.clone());
            match self.of(&command)? {
                Some(deeper) => help = deeper,
                None => {
                    let above = command[..command.len() - 1].join(" ");
                    return Ok(Some(format!("`{above}` has no command `{word}`")));
                }
            }
        }
        for flag in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
            let flag = flag.split('=').next().unwrap_or(flag);
            let exists =
                help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == flag);
            if !exists {
                return Ok(Some(format!("it has no flag `{flag}`")));
            }
        }
        Ok(None)
    }

    fn of(&mut self, command: &[String]) -> Result<Option<String>> {
        if let Some(help) = self.known.get(command) {
            return Ok(help.clone());
        }
        let output = Command::new(self.program).args(command).arg("--help").output();
        let output = output.with_context(|| format!("cannot start {}", self.program.display()))?;
        let help = output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned());
        self.known.insert(command.to_vec(), help.clone());
        Ok(help)
    }
}

/// Links of the pages to files that are not there.
fn links(project: &Project) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for page in pages(project)? {
        let text =
            std::fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or("");
            let foreign = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
            if !foreign && !page.parent().unwrap_or(&project.root).join(path).exists() {
                faults.push(format!("{}: link to {target}, which is not there", project.shown(&page)));
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_fences_and_backticks() {
        let text = "Run `mantlet scan PATH --format json`.\n```text\n$ mantlet config check   # strict\ncargo run --release -- demo\n```\nA `mantlet.toml` is no command.\n";
        let commands: Vec<String> = named(text).into_iter().map(|(_, words)| words.join(" ")).collect();
        assert_eq!(commands, ["scan PATH --format json", "config check", "demo"]);
    }
}
