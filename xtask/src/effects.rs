//! The generated rows of the effect table, from the sources of pinned libraries.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::project::Project;
use crate::run::{self, Steps};

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
        steps.step("sources of the libraries", || run::pinned(project, REQUIREMENTS, &scratch));
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
