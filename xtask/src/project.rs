//! Where the project stands, its crates, and its files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use toml::Table;

/// The project's folder and what cargo is told.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The folder of the workspace.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

/// One crate of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Crate {
    /// Its package name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its manifest.
    pub(crate) manifest: Table,
}

impl Project {
    /// The project this program was built from, wherever it is started.
    pub(crate) fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
        Self::at(root.to_owned())
    }

    pub(crate) fn at(root: PathBuf) -> Result<Self> {
        if !root.join("Cargo.toml").is_file() {
            bail!("{} holds no Cargo.toml; build xtask in the folder it is used in", root.display());
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let target = if target.is_absolute() { target } else { root.join(target) };
        Ok(Self { root, target })
    }

    /// The crates under `crates/`, by name.
    pub(crate) fn crates(&self) -> Result<Vec<Crate>> {
        let folder = self.root.join("crates");
        let mut crates = Vec::new();
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let folder = entry?.path();
            let path = folder.join("Cargo.toml");
            if !path.is_file() {
                continue;
            }
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let manifest: Table = text.parse().with_context(|| format!("cannot parse {}", path.display()))?;
            let name =
                manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
            let name = name.with_context(|| format!("{} names no package", path.display()))?.to_owned();
            crates.push(Crate { name, folder, manifest });
        }
        crates.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(crates)
    }

    /// A path as it is shown: from the project's folder on.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Whether this runs where a missing tool is a failure.
    pub(crate) fn in_ci() -> bool {
        std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
    }
}

/// Every file below a folder, in order, without build output, hidden folders and vendored environments.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let hidden = name.starts_with('.') && name != ".ci" && name != ".cargo";
                let built = matches!(&*name, "target" | "dist" | "corpus" | "artifacts" | "__pycache__");
                if !hidden && !built {
                    open.push(path);
                }
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
