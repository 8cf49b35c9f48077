//! The laws of the house, each a check with a planted violation as its test.

mod files;
mod purity;
mod rooms;
mod source;
mod storeys;
mod wording;

use anyhow::{Result, bail};

use crate::project::Project;
use crate::run::Outcome;

/// Something against a law.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// The file, and the line where that helps.
    pub(crate) at: String,
    /// The law.
    pub(crate) law: &'static str,
    /// What is wrong and what to do.
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn new(at: impl Into<String>, law: &'static str, what: impl Into<String>) -> Self {
        Self { at: at.into(), law, what: what.into() }
    }
}

/// Every fault of the project.
pub(crate) fn faults(project: &Project) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let crates = project.crates()?;
    storeys::check(project, &crates, &mut faults);
    purity::check(project, &crates, &mut faults)?;
    rooms::check(project, &crates, &mut faults)?;
    files::check(project, &mut faults)?;
    wording::check(project, &mut faults)?;
    faults.sort();
    Ok(faults)
}

/// The task: prints every fault.
pub(crate) fn run(project: &Project) -> Result<()> {
    match outcome(project)? {
        Outcome::Failed(why) => bail!("{why}"),
        Outcome::Passed | Outcome::Skipped(_) => {
            println!("tidy: no faults");
            Ok(())
        }
    }
}

/// The step of `test`.
pub(crate) fn outcome(project: &Project) -> Result<Outcome> {
    let faults = faults(project)?;
    for fault in &faults {
        println!("{} [{}] {}", fault.at, fault.law, fault.what);
    }
    Ok(if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(format!("{} faults", faults.len())) })
}

#[cfg(test)]
mod planted;
