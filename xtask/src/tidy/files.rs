//! A file says in its first line what is in it, and says why when it is long.

use anyhow::{Context as _, Result};

use super::Fault;
use crate::project::{Project, files};

const LONGEST: usize = 400;

pub(super) fn check(project: &Project, faults: &mut Vec<Fault>) -> Result<()> {
    for path in files(&project.root)? {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let at = project.shown(&path);
        if !text.starts_with("//!") {
            faults.push(Fault::new(&at, "files", "the first line is not a `//!` sentence"));
        }
        let lines = text.lines().count();
        let reason =
            text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("Long because"));
        if lines > LONGEST && !reason {
            let what = format!("{lines} lines; split it, or add `//! Long because ...` to its header");
            faults.push(Fault::new(&at, "files", what));
        }
    }
    Ok(())
}
