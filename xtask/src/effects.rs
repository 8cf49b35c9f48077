//! The generated rows of the effect table, from the sources of pinned libraries.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::project::Project;
use crate::run::{self, Outcome, Steps};

const REQUIREMENTS: &str = "scripts/effects/requirements.txt";
const TABLE: &str = "crates/mantlet-formats/src/pickle/effects-generated.txt";

/// Writes the rows, or with `--check` says whether they are what the sources give. Folders of installed libraries
/// may be named; without any, the pinned ones are fetched into a scratch environment.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let (options, folders): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| option.as_str() != "--check") {
        bail!("no option is called `{unknown}`; there is --check");
    }
    let scratch = project.target.join("effects-libraries");
    let mut roots: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    let mut steps = Steps::default();
    if roots.is_empty() {
        steps.step("sources of the libraries", || fetch(project, &scratch));
        roots.push(scratch.clone());
    }
    steps.step("rows", || {
        let mut script = Command::new("python3");
        script.current_dir(&project.root).args(["-B", "scripts/effects/effects.py", "--out", TABLE]);
        script.args(options).args(&roots);
        run::shown(&mut script)
    });
    steps.finish()
}

/// Installs the pinned libraries without what they require: only their sources are read.
fn fetch(project: &Project, scratch: &PathBuf) -> Result<Outcome> {
    let wanted =
        std::fs::read_to_string(project.root.join(REQUIREMENTS)).context("cannot read the requirements")?;
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
    pip.args(["-r", REQUIREMENTS, "--target"]).arg(scratch);
    let installed = run::shown(&mut pip)?;
    if installed == Outcome::Passed {
        std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(installed)
}
