//! What the archives of torch hold beside pickles: storages, TorchScript code, packages, server handlers.

mod exported;
mod flow;
pub mod legacy;
mod outline;
mod script;
mod tensors;

pub use exported::exported;
pub(crate) use flow::kind;
pub use flow::{graphs, graphs_with};
pub use outline::Classes;
pub use script::{Operator, Power, operators};
pub use tensors::tensors;

use mantlet_vocab::Source;

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
pub fn compare(source: &dyn Source, zip: &Zip, root: &str, storages: &[Storage], facts: &mut Torch) {
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
        if let Some(outside) = outside(source, zip, &folder, storage, &mut facts.limits) {
            facts.mismatches.push(outside);
        }
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

/// Positions of one storage that are looked at, and how many lie side by side in one look.
const MAX_POSITIONS: u64 = 4 << 20;
const TOGETHER: u64 = 8 << 10;
/// Looks at positions that do not lie side by side.
const MAX_SCATTERED: u64 = 64 << 10;

/// A position that lies outside of the tensor it belongs to: what uses it reads or writes the memory beside.
fn outside(
    source: &dyn Source,
    zip: &Zip,
    folder: &str,
    storage: &Storage,
    limits: &mut Vec<String>,
) -> Option<String> {
    storage.positions.first()?;
    let entry = zip.entries.iter().find(|entry| entry.name.strip_prefix(folder) == Some(&storage.key))?;
    let Some(start) = entry.data.filter(|_| entry.method == 0) else {
        limits.push(format!(
            "the positions in storage `{}` are compressed and were not checked",
            shown(&storage.key)
        ));
        return None;
    };
    for positions in &storage.positions {
        let together = if positions.step == 1 { TOGETHER } else { 1 };
        let most = if positions.step == 1 { MAX_POSITIONS } else { MAX_SCATTERED };
        if positions.count > most {
            limits.push(format!(
                "of the positions in storage `{}` only the first {most} were checked",
                shown(&storage.key)
            ));
        }
        let mut index = 0;
        while index < positions.count.min(most) {
            let count = together.min(positions.count - index);
            let element = positions.step.checked_mul(index)?.checked_add(positions.first)?;
            let at = element.checked_mul(8)?.checked_add(start)?;
            let bytes = mantlet_vocab::read_window(source, at, (count * 8) as usize).ok()?;
            let numbers = bytes.as_chunks::<8>().0.iter().map(|&bytes| i64::from_le_bytes(bytes));
            let beyond =
                |&position: &i64| u64::try_from(position).map_or(true, |place| place >= positions.below);
            if let Some(position) = numbers.into_iter().find(beyond) {
                return Some(format!(
                    "storage `{}` holds the positions of a sparse tensor, and {position} lies outside of its {} places: what uses it reaches beyond the memory of the tensor",
                    shown(&storage.key),
                    positions.below,
                ));
            }
            index += count;
        }
    }
    None
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
