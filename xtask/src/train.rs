//! Models that ship with the program, trained from the data sets they name.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::project::Project;
use crate::run::{self, Steps};

const REQUIREMENTS: &str = "scripts/injection/requirements.txt";
const OUT: &str = "crates/mantlet-detectors/src/text/linear";

/// `injection FOLDER [--check] [--leave-out]`: FOLDER holds the data sets by name. Pinned packages are fetched into a
/// scratch folder, whose texts and libraries are used; pages of the crates that are built come from cargo's registry.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let (options, words): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let [model, folder] = words.as_slice() else {
        bail!("name the model and the folder of its data sets: `cargo xtask train injection FOLDER`");
    };
    if model.as_str() != "injection" {
        bail!("no model is called `{model}`; there is injection");
    }
    if let Some(unknown) =
        options.iter().find(|option| !["--check", "--leave-out"].contains(&option.as_str()))
    {
        bail!("no option is called `{unknown}`; there are --check and --leave-out");
    }
    let scratch = project.target.join("injection-packages");
    let mut steps = Steps::default();
    steps.step("packages that texts are read from", || run::pinned(project, REQUIREMENTS, &scratch));
    steps.step("model", || {
        let mut script = Command::new("python3");
        script.current_dir(&project.root).env("PYTHONPATH", &scratch).env("OMP_NUM_THREADS", "1");
        script.args(["-B", "scripts/injection/train.py", "--out", OUT, "--shared", folder.as_str()]);
        script.arg("--packages").arg(&scratch).arg("--crates").arg(registry()?);
        run::shown(script.args(&options))
    });
    steps.finish()
}

/// Where cargo unpacked the crates: the one folder under its registry's sources.
fn registry() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let sources = home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    let mut folders: Vec<OsString> = std::fs::read_dir(&sources)
        .with_context(|| format!("cannot list {}: build the project first", sources.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
        .collect();
    folders.sort();
    let first = folders.first().with_context(|| format!("{} is empty", sources.display()))?;
    Ok(sources.join(first))
}
