//! Model files that are data: a graph, or tensors with what says how layers stand over them.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use mantlet_model::{Architecture, ExternalData, Foreign, Limits, Model, ModelError};
use mantlet_vocab::{MemorySource, Source};

use super::subject::read_source;

/// The names an architecture has beside a safetensors file, behind the file's own with `.toml`.
const BESIDE: [&str; 3] = ["architecture.toml", "architecture.json", "config.json"];
/// A description is written by people.
const MOST: u64 = 4 << 20;

/// Loads an ONNX file and the tensor files beside it (names that leave its folder are not served), or a safetensors file
/// with its architecture: the one named, or the one beside it.
///
/// # Errors
/// When it cannot be read or run, or what says how its layers stand is missing or does not fit.
pub fn model(path: &Path, architecture: Option<&Path>) -> anyhow::Result<Arc<dyn Model>> {
    let source = read_source(path)?;
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors")) {
        return graph(path, &source);
    }
    let found = architecture.map(Path::to_owned).or_else(|| beside(path));
    let described = found.as_deref().map(read).transpose()?;
    let loaded = mantlet_model::load_weights(&source, described.as_ref(), Limits::default());
    match found {
        Some(file) => loaded.with_context(|| format!("{} with {}", path.display(), file.display())),
        None => loaded.with_context(|| {
            format!("nothing beside {} says how its layers stand ({})", path.display(), BESIDE.join(", "))
        }),
    }
}

/// Files in the folder of a model.
struct Beside(PathBuf);

impl Beside {
    fn of(path: &Path) -> Self {
        Self(path.parent().unwrap_or(Path::new(".")).to_owned())
    }
}

impl ExternalData for Beside {
    fn open(&self, location: &str) -> Option<Box<dyn Source>> {
        let plain = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
        let path = self.0.join(location);
        let regular = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if plain && regular {
            read_source(&path).ok().map(|source| Box::new(source) as Box<dyn Source>)
        } else {
            None
        }
    }
}

fn graph(path: &Path, source: &MemorySource) -> anyhow::Result<Arc<dyn Model>> {
    let ours = mantlet_model::load_with_external(source, Some(&Beside::of(path)), Limits::default());
    crate::engine::of(source, ours)
}

/// Loads a model of TensorFlow Lite, TensorFlow or Keras, with the variables beside a saved model.
///
/// # Errors
/// When it cannot be read or run.
pub fn foreign(path: &Path, source: &MemorySource) -> anyhow::Result<Foreign> {
    Ok(mantlet_model::load_foreign(source, Some(&Beside::of(path)), Limits::default())?)
}

fn beside(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let own = path.with_extension("toml");
    std::iter::once(own).chain(BESIDE.iter().map(|name| folder.join(name))).find(|file| file.is_file())
}

fn read(file: &Path) -> anyhow::Result<Architecture> {
    let within = |error: ModelError| anyhow::Error::new(error).context(file.display().to_string());
    let architecture = Architecture::read(&text(file)?).map_err(within)?;
    let Some(config) = architecture.config() else { return Ok(architecture) };
    let config = file.parent().unwrap_or(Path::new(".")).join(config);
    architecture.with_config(&text(&config)?).map_err(within)
}

fn text(file: &Path) -> anyhow::Result<String> {
    let explain = || format!("cannot read {}", file.display());
    let size = std::fs::metadata(file).with_context(explain)?.len();
    anyhow::ensure!(size <= MOST, "{} has {size} bytes, more than a description of layers", file.display());
    std::fs::read_to_string(file).with_context(explain)
}
