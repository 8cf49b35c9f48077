//! The packages cargo would build, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::project::Project;
use crate::run;

/// One package.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its licence expression.
    pub(crate) licence: Option<String>,
    /// Where it is fetched from; nothing for the workspace's own.
    pub(crate) source: Option<String>,
    /// Its source folder on this machine.
    pub(crate) folder: PathBuf,
    /// Whether it ends up in the released program.
    pub(crate) shipped: bool,
    /// The names of the packages that need it.
    pub(crate) needed_by: BTreeSet<String>,
}

/// All packages of the workspace on this platform.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// By name and version.
    pub(crate) packages: Vec<Package>,
}

/// The platform this is built for.
pub(crate) fn platform() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = run::captured(std::process::Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(host.to_owned())
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn read(project: &Project) -> Result<Self> {
        Self::with(project, &[])
    }

    /// Asks cargo for the tree of a build with these features.
    pub(crate) fn with(project: &Project, features: &[&str]) -> Result<Self> {
        let platform = platform()?;
        let mut cargo = run::cargo(project);
        cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform]);
        cargo.args(features.iter().flat_map(|feature| ["--features", feature]));
        let metadata: Value =
            serde_json::from_str(&run::captured(&mut cargo)?).context("cannot read cargo metadata")?;
        let nodes = nodes(&metadata);
        let parents = parents(&metadata);
        let shipped = reachable(&nodes, "mantlet", &metadata);
        let mut packages: Vec<Package> = array(&metadata, "packages")
            .iter()
            .filter(|package| nodes.contains_key(text(package, "id")))
            .map(|package| Package {
                name: text(package, "name").to_owned(),
                version: text(package, "version").to_owned(),
                licence: package.get("license").and_then(Value::as_str).map(str::to_owned),
                source: package.get("source").and_then(Value::as_str).map(str::to_owned),
                folder: PathBuf::from(text(package, "manifest_path"))
                    .parent()
                    .map(PathBuf::from)
                    .unwrap_or_default(),
                shipped: shipped.contains(text(package, "id")),
                needed_by: parents.get(text(package, "id")).cloned().unwrap_or_default(),
            })
            .collect();
        packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(Self { packages })
    }
}

/// Package ids and what each needs at run time.
fn nodes(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let resolve = metadata.get("resolve").unwrap_or(&Value::Null);
    let normal = |dependency: &&Value| {
        array(dependency, "dep_kinds").iter().any(|kind| kind.get("kind").is_none_or(Value::is_null))
    };
    array(resolve, "nodes")
        .iter()
        .map(|node| {
            let needs =
                array(node, "deps").iter().filter(normal).map(|dependency| text(dependency, "pkg")).collect();
            (text(node, "id"), needs)
        })
        .collect()
}

/// The names of the packages that need a package, at run time, to build it or to test it.
fn parents(metadata: &Value) -> BTreeMap<&str, BTreeSet<String>> {
    let names: BTreeMap<&str, &str> = array(metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let mut parents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for node in array(metadata.get("resolve").unwrap_or(&Value::Null), "nodes") {
        let name = names.get(text(node, "id")).copied().unwrap_or_default();
        for dependency in array(node, "deps") {
            parents.entry(text(dependency, "pkg")).or_default().insert(name.to_owned());
        }
    }
    parents
}

/// Everything the program called `name` needs at run time.
fn reachable<'a>(
    nodes: &BTreeMap<&'a str, Vec<&'a str>>,
    name: &str,
    metadata: &'a Value,
) -> BTreeSet<&'a str> {
    let start = array(metadata, "packages").iter().find(|package| text(package, "name") == name);
    let mut open: Vec<&str> = start.map(|package| text(package, "id")).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(nodes.get(id).into_iter().flatten());
        }
    }
    seen
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}
