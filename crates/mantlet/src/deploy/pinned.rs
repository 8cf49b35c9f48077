//! Rules that confirmed attacks yielded, from the files a configuration names.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mantlet_detectors::{PinnedRule, Profile};

use crate::config::Loaded;

/// The most rules read.
const MOST: usize = 1_000;

/// The rules of `gateway.pinned`: files, or folders of `.json` files, in order of name.
///
/// # Errors
/// When one cannot be read, is no rule, or was made for rows of another width than the profile's.
pub fn read(loaded: &Loaded, profile: Option<&Profile>) -> anyhow::Result<Vec<PinnedRule>> {
    let mut rules: Vec<PinnedRule> = Vec::new();
    for named in &loaded.config.gateway.pinned {
        for path in files(&loaded.path(named))? {
            let bytes = std::fs::read(&path)
                .with_context(|| format!("`gateway.pinned`: cannot read {}", path.display()))?;
            let rule: PinnedRule = serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "`gateway.pinned`: {} is no rule; `mantlet attack run --keep FOLDER` writes them to FOLDER/rules",
                    path.display()
                )
            })?;
            if let Some(why) = profile.and_then(|profile| rule.misfit(profile)) {
                anyhow::bail!("`gateway.pinned`: {}: {why}; make it again for this model", path.display());
            }
            anyhow::ensure!(
                rules.len() < MOST,
                "`gateway.pinned` names more than {MOST} rules; take some out"
            );
            if rules.iter().all(|other| other.id != rule.id) {
                rules.push(rule);
            }
        }
    }
    Ok(rules)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = std::fs::read_dir(path)
        .with_context(|| format!("`gateway.pinned`: cannot list {}", path.display()))?;
    let mut found: Vec<PathBuf> = listed
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    found.sort();
    Ok(found)
}
