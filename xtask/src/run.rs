//! Steps with a heading, a time and an outcome, and the summary at the end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::project::Project;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it says.
    Passed,
    /// It did not run; the reason.
    Skipped(String),
    /// It ran and failed; the reason.
    Failed(String),
}

/// A series of steps.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Outcome)>,
    keep_going: bool,
}

impl Steps {
    /// A series that goes on after a failure.
    pub(crate) fn keep_going(keep_going: bool) -> Self {
        Self { keep_going, ..Self::default() }
    }

    /// Runs a step, unless an earlier one failed and the series stops there.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) {
        if !self.keep_going && self.first_failure().is_some() {
            self.done.push((
                name.to_owned(),
                Duration::ZERO,
                Outcome::Skipped("an earlier step failed".into()),
            ));
            return;
        }
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = work().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        let time = start.elapsed();
        match &outcome {
            Outcome::Passed => println!("=== {name}: passed in {:.1} s", time.as_secs_f64()),
            Outcome::Skipped(why) => println!("=== {name}: NOT RUN: {why}"),
            Outcome::Failed(why) => println!("=== {name}: FAILED after {:.1} s: {why}", time.as_secs_f64()),
        }
        self.done.push((name.to_owned(), time, outcome));
    }

    /// The first step that failed.
    fn first_failure(&self) -> Option<(&str, &str)> {
        self.done.iter().find_map(|(name, _, outcome)| match outcome {
            Outcome::Failed(why) => Some((name.as_str(), why.as_str())),
            _ => None,
        })
    }

    /// Prints the summary; an error when a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\n--- summary");
        let mut total = Duration::ZERO;
        for (name, time, outcome) in &self.done {
            total += *time;
            match outcome {
                Outcome::Passed => println!("  passed   {:>7.1} s  {name}", time.as_secs_f64()),
                Outcome::Skipped(why) => println!("  NOT RUN            {name}: {why}"),
                Outcome::Failed(why) => println!("  FAILED   {:>7.1} s  {name}: {why}", time.as_secs_f64()),
            }
        }
        println!("  total    {:>7.1} s", total.as_secs_f64());
        match self.first_failure() {
            Some((name, why)) => bail!("step `{name}` failed: {why}"),
            None => Ok(()),
        }
    }
}

/// Runs a command with its output shown; failing is an outcome, not being able to start is an error.
pub(crate) fn shown(command: &mut Command) -> Result<Outcome> {
    println!("$ {}", line(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) })
}

/// Runs a command and gives its output; failing is an error with the last lines of what it said.
pub(crate) fn captured(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        bail!("{} failed: {}", line(command), last.into_iter().rev().collect::<Vec<_>>().join(" / "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs this.
pub(crate) fn cargo(project: &crate::Project) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&project.root);
    command
}

/// Where a program stands on the path, if it does.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Installs pinned packages, one to a line of `requirements`, into a folder of their own and without what they require.
pub(crate) fn pinned(project: &Project, requirements: &str, scratch: &Path) -> Result<Outcome> {
    let wanted =
        std::fs::read_to_string(project.root.join(requirements)).context("cannot read the requirements")?;
    let stamp = scratch.join("requirements.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("{} is up to date", project.shown(scratch));
        return Ok(Outcome::Passed);
    }
    if scratch.exists() {
        std::fs::remove_dir_all(scratch).with_context(|| format!("cannot clear {}", scratch.display()))?;
    }
    let mut pip = Command::new("python3");
    pip.current_dir(&project.root);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
    pip.args(["-r", requirements, "--target"]).arg(scratch);
    let installed = shown(&mut pip)?;
    if installed == Outcome::Passed {
        std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(installed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_named_and_later_steps_do_not_run() {
        let mut steps = Steps::default();
        steps.step("a", || Ok(Outcome::Passed));
        steps.step("b", || bail!("broken"));
        steps.step("c", || Ok(Outcome::Failed("never".into())));
        assert_eq!(steps.done[2].2, Outcome::Skipped("an earlier step failed".into()));
        assert_eq!(steps.finish().unwrap_err().to_string(), "step `b` failed: broken");
    }

    #[test]
    fn with_keep_going_all_steps_run() {
        let mut steps = Steps::keep_going(true);
        let mut ran = false;
        steps.step("a", || Ok(Outcome::Failed("x".into())));
        steps.step("b", || {
            ran = true;
            Ok(Outcome::Passed)
        });
        assert!(ran && steps.finish().is_err());
    }
}
