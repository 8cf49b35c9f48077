//! Licences, bans and sources of all dependencies, judged by `deny.toml`.
//!
//! `deny.toml` is cargo-deny's file and cargo-deny reads it unchanged; this reads the part of it that needs no
//! advisory database and no tool to be installed: `[licenses] allow` and `exceptions`, `[bans] deny`, `[sources]`.
//! Judged is what is built on this machine's platform.

mod licence;
mod metadata;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

pub(crate) use metadata::{Metadata, Package, platform};

use crate::project::Project;
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
    let text = std::fs::read_to_string(project.root.join("deny.toml")).context("cannot read deny.toml")?;
    let policy = Policy::read(&text)?;
    let metadata = Metadata::read(project)?;
    let mut judged = policy.judge(&metadata.packages);
    // The tree of the cluster feature is its own; what it adds is judged as well.
    let clustered = Metadata::with(project, &["mantlet/cluster"])?;
    judged.faults.extend(policy.judge(&clustered.packages).faults);
    judged.faults.sort();
    judged.faults.dedup();
    for fault in &judged.faults {
        println!("{fault}");
    }
    for doubled in &judged.doubled {
        println!("note: two versions of {doubled}");
    }
    println!(
        "supply: {} packages, {} with the cluster feature, {} faults",
        metadata.packages.len(),
        clustered.packages.len(),
        judged.faults.len()
    );
    if !judged.faults.is_empty() {
        return Ok(Outcome::Failed(format!("{} faults", judged.faults.len())));
    }
    if run::find("cargo-deny").is_some() {
        return run::shown(run::cargo(project).args([
            "deny",
            "--offline",
            "check",
            "bans",
            "licenses",
            "sources",
        ]));
    }
    Ok(Outcome::Passed)
}

/// What `deny.toml` asks for.
struct Policy {
    licences: Vec<String>,
    /// Licences allowed for one package only.
    exceptions: BTreeMap<String, Vec<String>>,
    /// With the packages that alone may need each all the same.
    banned: BTreeMap<String, Vec<String>>,
    registries: Vec<String>,
}

#[derive(Debug, Default)]
struct Judged {
    faults: Vec<String>,
    doubled: Vec<String>,
}

impl Policy {
    fn read(text: &str) -> Result<Self> {
        let table: Table = text.parse().context("cannot parse deny.toml")?;
        let list = |section: &str, key: &str| {
            table.get(section).and_then(|section| section.get(key)).and_then(Value::as_array)
        };
        let words = |list: Option<&Vec<Value>>| -> Vec<String> {
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let named = |value: &Value| -> Option<String> {
            let value =
                value.as_str().or_else(|| value.get("crate").or_else(|| value.get("name"))?.as_str())?;
            Some(value.to_owned())
        };
        let mut exceptions = BTreeMap::new();
        for exception in list("licenses", "exceptions").into_iter().flatten() {
            let name = named(exception).context("an exception of deny.toml names no crate")?;
            exceptions.insert(name, words(exception.get("allow").and_then(Value::as_array)));
        }
        let banned = list("bans", "deny").into_iter().flatten();
        let policy = Self {
            licences: words(list("licenses", "allow")),
            exceptions,
            banned: banned
                .map(|ban| {
                    let name = named(ban).context("a ban of deny.toml names no crate")?;
                    Ok((name, words(ban.get("wrappers").and_then(Value::as_array))))
                })
                .collect::<Result<_>>()?,
            registries: words(list("sources", "allow-registry")),
        };
        if policy.licences.is_empty() || policy.registries.is_empty() {
            bail!("deny.toml allows no licence or no registry");
        }
        Ok(policy)
    }

    fn judge(&self, packages: &[Package]) -> Judged {
        let mut judged = Judged::default();
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for package in packages {
            *versions.entry(&package.name).or_default() += 1;
            let shown = format!("{} {}", package.name, package.version);
            let wrapped = |wrappers: &Vec<String>| {
                !wrappers.is_empty() && package.needed_by.iter().all(|parent| wrappers.contains(parent))
            };
            if self.banned.get(&package.name).is_some_and(|wrappers| !wrapped(wrappers)) {
                judged.faults.push(format!("{shown} is banned by deny.toml"));
            }
            match &package.source {
                // The workspace's own.
                None => continue,
                Some(source)
                    if self.registries.iter().any(|registry| source == &format!("registry+{registry}")) => {}
                Some(source) => judged.faults.push(format!("{shown} comes from {source}")),
            }
            let extra = self.exceptions.get(&package.name);
            let allowed = |licence: &str| {
                self.licences.iter().any(|known| known == licence)
                    || extra.is_some_and(|extra| extra.iter().any(|known| known == licence))
            };
            match &package.licence {
                Some(expression) => match licence::allowed(expression, &allowed) {
                    Ok(true) => {}
                    Ok(false) => judged
                        .faults
                        .push(format!("{shown} is under `{expression}`, which deny.toml does not allow")),
                    Err(error) => judged
                        .faults
                        .push(format!("{shown}: `{expression}` is no licence expression: {error}")),
                },
                None => judged.faults.push(format!("{shown} names no licence")),
            }
        }
        judged.doubled =
            versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()).collect();
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"odd\", allow = [\"MPL-2.0\"] }]\n[bans]\ndeny = [{ crate = \"openssl\" }, \"native-tls\", { crate = \"held\", wrappers = [\"wrapper\"] }, { crate = \"loose\", wrappers = [\"another\"] }]\n[sources]\nallow-registry = [\"https://github.com/rust-lang/crates.io-index\"]\n";

    fn package(name: &str, licence: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: "1.0.0".into(),
            licence: licence.map(str::to_owned),
            source: source.map(str::to_owned),
            folder: std::path::PathBuf::new(),
            shipped: true,
            needed_by: std::collections::BTreeSet::from(["wrapper".to_owned()]),
        }
    }

    #[test]
    fn licences_bans_and_sources_are_judged() {
        let index = Some("registry+https://github.com/rust-lang/crates.io-index");
        let policy = Policy::read(DENY).unwrap();
        let faults = |package: Package| policy.judge(&[package]).faults.len();
        assert_eq!(faults(package("a", Some("MIT OR GPL-3.0"), index)), 0);
        assert_eq!(faults(package("own", None, None)), 0);
        assert_eq!(faults(package("odd", Some("MPL-2.0"), index)), 0);
        assert_eq!(faults(package("even", Some("MPL-2.0"), index)), 1);
        assert_eq!(faults(package("a", None, index)), 1);
        assert_eq!(faults(package("openssl", Some("MIT"), index)), 1);
        assert_eq!(faults(package("held", Some("MIT"), index)), 0);
        assert_eq!(faults(package("loose", Some("MIT"), index)), 1);
        assert_eq!(faults(package("a", Some("MIT"), Some("git+https://git.example/a"))), 1);
        assert_eq!(faults(package("a", Some("MIT"), Some("registry+https://crates.example/index"))), 1);
        assert!(Policy::read("[licenses]\n").is_err());
    }
}
