//! What the archives of torch hold beside pickles: storages, TorchScript code, packages, server handlers.

mod flow;
pub mod legacy;
mod script;
mod tensors;

pub use flow::graphs;
pub use script::{Operator, Power, operators};
pub use tensors::tensors;

use crate::pickle::Storage;
use crate::zip::Zip;

/// Which program reads the archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// `torch.load`.
    #[default]
    Weights,
    /// `torch.jit.load`.
    Script,
    /// `torch.package.PackageImporter`.
    Package,
    /// TorchServe.
    Serve,
}

/// The facts of an archive of torch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Torch {
    /// Which program reads it.
    pub layout: Layout,
    /// Operators of its code that do more than compute, and operators of unknown libraries.
    pub operators: Vec<Operator>,
    /// Storages that are not what their pickle says, in words.
    pub mismatches: Vec<String>,
    /// Python source that a package or a server runs, and what runs it.
    pub code: Vec<(String, &'static str)>,
    /// A path of a server's manifest that leads out of the archive.
    pub escapes: Vec<String>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// What kind of archive the members make it; `None` when torch does not read it.
#[must_use]
pub fn layout(zip: &Zip) -> Option<Layout> {
    if zip.entries.iter().any(|entry| entry.name == "MAR-INF/MANIFEST.json") {
        return Some(Layout::Serve);
    }
    if zip.entries.iter().any(|entry| entry.name.ends_with(".data/extern_modules")) {
        return Some(Layout::Package);
    }
    let root = zip.torch_root()?;
    let code = format!("{root}code/");
    let script = zip.entries.iter().any(|entry| entry.name.starts_with(&code));
    Some(if script { Layout::Script } else { Layout::Weights })
}

/// Whether a member is TorchScript source: `code/*.py` below the root.
#[must_use]
pub fn is_script(root: &str, name: &str) -> bool {
    let inside = name.strip_prefix(root).and_then(|name| name.strip_prefix("code/"));
    inside.is_some_and(|name| name.ends_with(".py"))
}

/// Compares the storages that pickles name with the members that hold them.
pub fn compare(zip: &Zip, root: &str, storages: &[Storage], facts: &mut Torch) {
    let folder = format!("{root}data/");
    let sizes: std::collections::BTreeMap<&str, u64> = zip
        .entries
        .iter()
        .filter_map(|entry| Some((entry.name.strip_prefix(&folder)?, entry.size)))
        .collect();
    for storage in storages {
        if facts.mismatches.len() >= 16 {
            return;
        }
        let Some(&size) = sizes.get(storage.key.as_str()) else {
            // Code of TorchScript keeps the tensors of its constants elsewhere.
            if facts.layout == Layout::Weights {
                facts
                    .mismatches
                    .push(format!("storage `{}` has no member in the archive", shown(&storage.key)));
            }
            continue;
        };
        let Some(item) = storage.item else { continue };
        if storage.count.checked_mul(item) != Some(size) {
            facts.mismatches.push(format!(
                "storage `{}` is declared as {} elements of {item} bytes and holds {size} bytes",
                shown(&storage.key),
                storage.count,
            ));
        }
    }
}

/// Reads the manifest of a TorchServe archive.
pub fn manifest(json: &[u8], facts: &mut Torch) {
    #[derive(serde::Deserialize)]
    struct Manifest {
        #[serde(default)]
        model: std::collections::BTreeMap<String, serde_json::Value>,
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(json) else {
        facts.limits.push("the manifest of the server archive cannot be read".into());
        return;
    };
    for (key, value) in &manifest.model {
        let Some(path) = value.as_str() else { continue };
        let file = path.split(':').next().unwrap_or(path);
        if matches!(key.as_str(), "handler" | "modelFile") && file.ends_with(".py") {
            facts.code.push((shown(path), "TorchServe runs it when the model is served"));
        }
        let absolute = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
        if absolute || path.split(['/', '\\']).any(|part| part == "..") {
            facts.escapes.push(format!("`{}` of the manifest is `{}`", shown(key), shown(path)));
        }
    }
}

fn shown(text: &str) -> String {
    crate::pickle::clean(&text.chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_the_code_it_runs() {
        let mut facts = Torch::default();
        manifest(
            br#"{"model":{"handler":"a.py:go","serializedFile":"../w.pt","modelFile":"m.py"}}"#,
            &mut facts,
        );
        assert_eq!((facts.code.len(), facts.escapes.len()), (2, 1));
        let mut facts = Torch::default();
        manifest(br#"{"model":{"handler":"image_classifier","serializedFile":"w.pt"}}"#, &mut facts);
        assert_eq!((facts.code.len(), facts.escapes.len(), facts.limits.len()), (0, 0, 0));
        manifest(b"{", &mut facts);
        assert_eq!(facts.limits.len(), 1);
    }
}
