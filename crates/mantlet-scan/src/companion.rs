//! Files of plain numbers that belong to a model beside them: nothing interprets them but as tensors.
//!
//! Long because every kind of file beside another is asked about here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mantlet_formats::structure::Structure;
use mantlet_formats::{Bounds, onnx, python};
use mantlet_vocab::{Source, read_window};

use crate::file::FileSource;

/// What a file is called that belongs to a model beside it.
pub(crate) const FORMAT: &str = "tensor data";
/// Models of a folder that are asked whether a file is theirs.
const MAX_ASKED: usize = 32;

/// Whether the file, of no format that is known, holds the numbers of a model in the same folder. `searched` says that
/// every byte of it is looked at.
pub(crate) fn belongs(name: &str, source: &dyn Source, searched: bool) -> bool {
    let path = Path::new(name);
    let Some(file) = path.file_name().and_then(|file| file.to_str()) else { return false };
    let beside = |other: &str| path.with_file_name(other).is_file();
    // A checkpoint of TensorFlow: an index, and shards named after it.
    if let Some((stem, shard)) = file.rsplit_once(".data-") {
        return shard.contains("-of-") && beside(&format!("{stem}.index"));
    }
    if file == "fingerprint.pb" {
        return source.len() <= 256 && beside("saved_model.pb");
    }
    if path.parent().is_some_and(|folder| {
        folder.file_name().is_some_and(|name| name == "d")
            && folder.parent().is_some_and(|store| store.join("manifest.ocdbt").is_file())
    }) {
        return true;
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    // The parts of a distributed checkpoint, beside what lists them: it is unpickled wherever the list says, so that it
    // counts as numbers only where it was searched for pickles.
    if file.ends_with(".distcp") && file.starts_with("__") {
        let context = folder.parent().is_some_and(|above| above.join("context").is_dir());
        return searched && beside(".metadata")
            || searched && context && folder.file_name().is_some_and(|name| name == "weights");
    }
    // Numbers of an index of vectors.
    let head = read_window(source, 0, 8).unwrap_or_default();
    // Lists of an index that lie in a file of their own: the index says where, and it is opened there.
    let index = matches!(head.get(..2), Some(b"Ix" | b"Iw" | b"IB"))
        && file.ends_with(".faiss")
        && !holds(source, b"ilod");
    if index {
        return true;
    }
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if file.ends_with(".bin") && (beside(&format!("{stem}.xml")) || beside(&format!("{stem}.param"))) {
        return true;
    }
    if file.ends_with(".pdiparams") && (beside(&format!("{stem}.pdmodel")) || beside(&format!("{stem}.json")))
    {
        return true;
    }
    external(path, file) || shard(path, file)
}

/// Compares the shards of a checkpoint of TensorFlow, which lie beside its index, with how long that says they are.
pub(crate) fn shards(name: &str, ends: &[u64], facts: &mut Structure) {
    let path = Path::new(name);
    let Some(stem) = path.file_name().and_then(|file| file.to_str()?.strip_suffix(".index")) else { return };
    for (number, end) in ends.iter().enumerate().take(1_000) {
        let beside = path.with_file_name(format!("{stem}.data-{number:05}-of-{:05}", ends.len()));
        let Ok(len) = std::fs::metadata(&beside).map(|file| file.len()) else { continue };
        if len < *end {
            facts.defects.push((format!("its tensors end at {end}, and shard {number} has {len} bytes"), 0));
        } else if len - end > 4_096 {
            facts.defects.push((format!("{} bytes of shard {number} belong to no tensor", len - end), 0));
        }
    }
}

/// Whether these bytes lie anywhere in a file.
fn holds(source: &dyn Source, what: &[u8]) -> bool {
    const CHUNK: u64 = 4 << 20;
    let mut at = 0_u64;
    while at < source.len() {
        let bytes = read_window(source, at, CHUNK as usize + what.len()).unwrap_or_default();
        if bytes.is_empty() || memchr::memmem::find(&bytes, what).is_some() {
            // What cannot be read is not vouched for.
            return true;
        }
        at += CHUNK;
    }
    false
}

/// Whether a model of TensorFlow.js in the folder lists the file among its weights.
fn shard(path: &Path, file: &str) -> bool {
    let Ok(source) = FileSource::open(&path.with_file_name("model.json")) else { return false };
    let text = read_window(&source, 0, MAX_CONFIG).unwrap_or_default();
    let says = |what: &str| memchr::memmem::find(&text, what.as_bytes()).is_some();
    file.ends_with(".bin") && says("\"weightsManifest\"") && says(&format!("\"{file}\""))
}

/// Configurations that name modules to import.
const IMPORTERS: [&str; 19] = [
    "config.json",
    "model_index.json",
    "modules.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "adapter_config.json",
    "generation_config.json",
    "MLmodel",
    "hyperparams.yaml",
    "hyperparams.yml",
    "config.yaml",
    "cog.yaml",
    "bentofile.yaml",
    "model-config.yaml",
    "MANIFEST.json",
    "pyproject.toml",
    "conf.yaml",
];
/// How much of a configuration is searched for a module's name.
const MAX_CONFIG: usize = 1 << 20;

/// Whether a configuration in the folder, or in the one above, makes a loader import this module.
pub(crate) fn imported(name: &str) -> bool {
    let path = Path::new(name);
    let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { return false };
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.file_name().is_some_and(|folder| folder == "custom_generate") {
        return true;
    }
    let above = folder.parent().filter(|_| !folder.as_os_str().is_empty());
    let folders = [Some(folder), above];
    folders.into_iter().flatten().any(|folder| {
        IMPORTERS.iter().any(|importer| {
            let Ok(source) = FileSource::open(&folder.join(importer)) else { return false };
            let text = read_window(&source, 0, MAX_CONFIG).unwrap_or_default();
            let says = |what: &str| memchr::memmem::find(&text, what.as_bytes()).is_some();
            // Whole names: before and after stands what no name holds.
            let whole = |ends: &str| {
                memchr::memmem::find_iter(&text, format!("{stem}{ends}").as_bytes()).take(64).any(|at| {
                    let before = at.checked_sub(1).and_then(|at| text.get(at));
                    before.is_none_or(|byte| matches!(byte, b' ' | b':' | b'"' | b'\'' | b'\n' | b'/' | b'['))
                })
            };
            let names = match *importer {
                "hyperparams.yaml" | "hyperparams.yml" | "config.yaml" | "conf.yaml" => {
                    says(&format!(":{stem}."))
                        || says(&format!(":{stem}\n"))
                        || ["_target_: ", "_target_: '", "_target_: \"", "class_path: "]
                            .iter()
                            .any(|key| says(&format!("{key}{stem}.")))
                }
                "cog.yaml" => whole(".py:"),
                "bentofile.yaml" => whole(":") && says("service"),
                "model-config.yaml" | "MANIFEST.json" => whole(".py"),
                // What builds the package, and the script that a build runs.
                "pyproject.toml" => {
                    says("build-backend") && says("backend-path") && whole("\"")
                        || says("[tool.poetry.build]") && whole(".py")
                        || says("[tool.poetry]") && says("build = ") && whole(".py")
                }
                _ => false,
            };
            names
                || says(&format!("\"{stem}."))
                || says(&format!("--{stem}."))
                || *importer == "model_index.json" && says(&format!("\"{stem}\""))
                || *importer == "MLmodel" && says(&format!("loader_module: {stem}\n"))
                || *importer == "MLmodel" && says(&format!("model_code_path: {stem}.py"))
                || *importer == "adapter_config.json"
                    && ["megatron_core", "parent_library"]
                        .iter()
                        .any(|key| says(&format!("\"{key}\": \"{stem}\"")))
        })
    })
}

/// Whether a module that a configuration imports lies beside it, in the folder for code of MLflow or its own.
pub(crate) fn carries(name: &str, module: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    if module.is_empty() || !module.chars().all(plain) || module.contains("..") {
        return false;
    }
    let path = format!("{}.py", module.replace('.', "/"));
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    [folder.join("code").join(&path), folder.join(&path)].iter().any(|file| file.is_file())
}

/// Whether a file of code that a configuration names lies where a loader would look for it; `key` is where it is named.
pub(crate) fn present(name: &str, file: &str, key: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let file = file.trim_start_matches("./");
    // What lies elsewhere is no file of this folder's.
    if !file.chars().all(plain) || file.contains("..") || file.starts_with('/') {
        return false;
    }
    places(name, file, key).iter().any(|place| place.is_file())
}

/// The same among the members of an archive, of which this is one.
pub(crate) fn present_among(members: &BTreeSet<String>, name: &str, file: &str, key: &str) -> bool {
    let file = file.trim_start_matches("./");
    places(name, file, key).iter().any(|place| {
        let place = place.to_string_lossy().replace('\\', "/");
        [place.as_str(), place.trim_start_matches("./")].iter().any(|place| members.contains(*place))
            || members.contains(&format!("./{place}"))
    })
}

/// Where a loader looks for a file of code.
fn places(name: &str, file: &str, key: &str) -> Vec<PathBuf> {
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let part = key.split('.').next().unwrap_or("");
    let above = folder.parent().unwrap_or(Path::new(""));
    let inner = ["", "code", "src", "custom_generate", "scripts", part];
    let package = file.strip_suffix(".py").map(|module| format!("{module}/__init__.py"));
    let folders = inner.iter().map(|inner| folder.join(inner)).chain([above.to_owned()]);
    folders
        .flat_map(|place| {
            [Some(file), package.as_deref()]
                .into_iter()
                .flatten()
                .map(move |file| place.join(file))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Files beside a model whose numbers are measured.
const MAX_BESIDE: usize = 16;

/// Follows the links on the way to the external data of an ONNX model, and compares its length. Gives the files that lie
/// where the model does.
pub(crate) fn external_data(name: &str, facts: &mut onnx::Onnx) -> Vec<(String, Arc<dyn Source>)> {
    let mut beside: Vec<(String, Arc<dyn Source>)> = Vec::new();
    let folder = Path::new(name).parent().filter(|folder| !folder.as_os_str().is_empty());
    let Ok(folder) = folder.unwrap_or(Path::new(".")).canonicalize() else { return beside };
    // A cache of Hugging Face keeps every file as a link into the blobs of the same repository.
    let cache = folder.ancestors().find(|above| above.file_name().is_some_and(|name| name == "snapshots"));
    let root = cache.and_then(Path::parent).unwrap_or(&folder).to_owned();
    let mut known: Vec<(String, Option<String>, u64)> = Vec::new();
    let mut wrong = Vec::new();
    for external in facts.external.iter_mut().take(100_000) {
        let seen = known.iter().find(|(location, ..)| *location == external.location).cloned();
        let (_, leads, len) = seen.unwrap_or_else(|| {
            let path = folder.join(&external.location);
            let target = path.canonicalize().ok();
            let leads = target.as_ref().filter(|target| !target.starts_with(&root));
            let leads = leads.map(|target| target.display().to_string());
            let plain = target.as_ref().filter(|target| leads.is_none() && target.starts_with(&root));
            if let Some(file) =
                plain.filter(|_| beside.len() < MAX_BESIDE).and_then(|file| FileSource::open(file).ok())
            {
                beside.push((external.location.clone(), Arc::new(file)));
            }
            let len =
                target.and_then(|target| std::fs::metadata(target).ok()).map_or(u64::MAX, |file| file.len());
            let entry = (external.location.clone(), leads, len);
            if known.len() < 256 {
                known.push(entry.clone());
            }
            entry
        });
        external.leads = leads;
        let (start, count) = external.span;
        let end = start.checked_add(count.unwrap_or(0));
        if end.is_none_or(|end| end > len) && wrong.len() < 32 {
            let what = format!("tensor `{}` lies past the end of `{}`", external.tensor, external.location);
            wrong.push((what, external.offset));
        }
    }
    facts.defects.append(&mut wrong);
    beside
}

/// Names that Python's compiler writes by itself.
const COMPILED: [&str; 18] = [
    "__name__",
    "__module__",
    "__qualname__",
    "__doc__",
    "__annotations__",
    "__class__",
    "__classcell__",
    "__static_attributes__",
    "__firstlineno__",
    "__build_class__",
    "__conditional_annotations__",
    "__annotate__",
    "__annotate_func__",
    "__type_params__",
    "__classdict__",
    "__classdictcell__",
    "AssertionError",
    "Generic",
];

/// A name that a cached module uses and the source that it stands for does not; Python runs the one and people read
/// the other.
pub(crate) fn unseen(name: &str, source: &dyn Source) -> Option<String> {
    let path = Path::new(name);
    let folder = path.parent().filter(|folder| folder.ends_with("__pycache__"))?;
    let file = path.file_name().and_then(|file| file.to_str())?;
    let (stem, rest) = file.split_once(".cpython-")?;
    // The tool for tests rewrites what it compiles.
    if rest.contains("pytest") {
        return None;
    }
    let original = FileSource::open(&folder.parent()?.join(format!("{stem}.py"))).ok()?;
    let text = read_window(&original, 0, python::MAX_SOURCE).ok()?;
    let says = |what: &str| memchr::memmem::find(&text, what.as_bytes()).is_some();
    python::bytecode::names(source, original.len()).into_iter().find(|name| {
        let written = |part: &str| {
            // Private names of a class carry its name.
            let private = part.strip_prefix('_').and_then(|part| part.find("__").map(|at| &part[at..]));
            says(part) || private.is_some_and(|part| part.len() > 2 && says(part))
        };
        let plain = name.is_ascii() && !name.starts_with(['.', '@']) && !COMPILED.contains(&name.as_str());
        plain && !name.split('.').all(written)
    })
}

/// Compares a graph with the file of its constants, which lies beside it under the same name; gives that file.
pub(crate) fn constants(name: &str, facts: &mut Structure) -> Option<FileSource> {
    let path = Path::new(name).with_extension("bin");
    let file = std::fs::metadata(&path).ok()?;
    let (needs, len) = (facts.needs, file.len());
    if len < needs {
        facts.defects.push((format!("its constants need {needs} bytes and `.bin` has {len}"), 0));
    } else if len - needs > 4_096 {
        facts.defects.push((format!("{} bytes of `.bin` belong to no constant", len - needs), 0));
    }
    FileSource::open(&path).ok()
}

/// The file of weights beside a model of a Core ML package.
pub(crate) fn weights(name: &str) -> Option<FileSource> {
    FileSource::open(&Path::new(name).parent()?.join("weights").join("weight.bin")).ok()
}

/// Whether the file is a chunk of a zarr array, by its name and the metadata beside or above it.
pub(crate) fn is_chunk(name: &str) -> bool {
    let path = Path::new(name);
    let mut below = Vec::new();
    for folder in path.ancestors().skip(1).take(8) {
        let Ok(inner) = path.strip_prefix(folder) else { return false };
        below.clear();
        below.extend(inner.iter().filter_map(|part| part.to_str()));
        if !chunk_key(&below.join("/")) {
            return false;
        }
        if folder.join(".zarray").is_file() || folder.join("zarr.json").is_file() {
            return true;
        }
    }
    false
}

/// Whether a member of an archive holds numbers of a program of `torch.export`, by where it lies.
pub(crate) fn of_program(name: &str) -> bool {
    [("/data/weights/", "weight_"), ("/data/constants/", "tensor_")].iter().any(|(folder, start)| {
        let number = name.rsplit_once(folder).and_then(|(_, file)| file.strip_prefix(start));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Whether a path below an array is that of a chunk: numbers, after a `c` in zarr 3.
pub(crate) fn chunk_key(key: &str) -> bool {
    let numbers = key.strip_prefix("c/").or_else(|| key.strip_prefix("c.")).unwrap_or(key);
    numbers == "c"
        || numbers.split(['/', '.']).all(|part| {
            !part.is_empty() && part.len() <= 12 && part.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// Whether an ONNX model in the folder says that its tensors are in this file.
fn external(path: &Path, file: &str) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let models = entries.flatten().map(|entry| entry.path());
    let mut models: Vec<_> =
        models.filter(|other| other.extension().is_some_and(|extension| extension == "onnx")).collect();
    // The model a file is named after is asked first.
    models.sort_by_key(|model| {
        let named =
            model.file_name().and_then(|model| model.to_str()).is_some_and(|model| file.starts_with(model));
        (!named, model.clone())
    });
    // Weights may lie in a folder of their own below the model.
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    let below = folder.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}/{file}"));
    let outer = above.and_then(|above| std::fs::read_dir(above).ok());
    let mut outer: Vec<_> = outer
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|other| other.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    outer.sort();
    let names = |model: &Path, wanted: &str| {
        FileSource::open(model).is_ok_and(|source| {
            let facts = onnx::analyse(&source, &Bounds::default());
            facts.external.iter().any(|external| external.location.trim_start_matches("./") == wanted)
        })
    };
    models.iter().take(MAX_ASKED).any(|model| names(model, file))
        || below.is_some_and(|below| outer.iter().take(MAX_ASKED).any(|model| names(model, &below)))
}
