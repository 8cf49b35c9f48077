//! Dotted names in configurations, judged by the same table as those in pickles.

use super::{Act, Item};
use crate::pickle::{Effect, Effects};

/// What importing and calling a dotted name does.
pub(super) fn effect(effects: Effects, dotted: &str) -> Effect {
    let name = dotted.trim().replace(':', ".");
    let mut worst = Effect::Unknown;
    // Where the module ends and attributes begin is not written: every cut is a way to read it.
    let cuts: Vec<usize> =
        name.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at).take(16).collect();
    for at in cuts {
        let (found, _) = effects.lookup(&name[..at], &name[at + 1..]);
        if found != Effect::Unknown {
            let graver = worst == Effect::Unknown || found > worst;
            worst = if graver { found } else { worst };
        }
    }
    if name.contains('.') {
        return worst;
    }
    match effects.lookup("builtins", &name).0 {
        grave @ (Effect::Executes | Effect::Imports | Effect::Resolves) => grave,
        _ => worst,
    }
}

/// A function that finds another one by its name does what that one does.
pub(super) fn resolve(effects: Effects, item: &mut Item) {
    let last = item.value.rsplit(['.', ':']).next().unwrap_or("");
    let finds = matches!(
        last,
        "get_method"
            | "get_static_method"
            | "get_class"
            | "get_object"
            | "locate"
            | "resolve_name"
            | "import_string"
            | "import_object"
            | "get_obj_from_str"
            | "instantiate_from_config"
    );
    if !finds {
        return;
    }
    for argument in &item.arguments {
        let name = argument.split_once('=').map_or(argument.as_str(), |(_, name)| name).trim_matches('"');
        let found = effect(effects, name);
        let graver = item.effect == Effect::Unknown || item.effect.is_allowed() || found > item.effect;
        if found != Effect::Unknown && !found.is_allowed() && graver {
            item.effect = found;
        }
    }
}

/// What building a class that is named part by part does, when it is worth a word.
pub(super) fn constructed(effects: Effects, name: &str) -> (Option<Act>, Effect) {
    const RUNS: [&str; 10] = [
        "PythonREPL",
        "PythonREPLTool",
        "PythonAstREPLTool",
        "BashProcess",
        "ShellTool",
        "TerminalTool",
        "PALChain",
        "JiraAPIWrapper",
        "LLMBashChain",
        "CPALChain",
    ];
    let last = name.rsplit('.').next().unwrap_or(name);
    if RUNS.contains(&last) {
        return (Some(Act::Calls), Effect::Executes);
    }
    let found = effect(effects, name);
    let grave = !found.is_allowed() && found != Effect::Unknown;
    (grave.then_some(Act::Calls), found)
}

/// Whether a value is a dotted Python name.
pub(super) fn is_dotted(text: &str) -> bool {
    text.contains(['.', ':']) && is_dotted_or_plain(text)
}

pub(super) fn is_dotted_or_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 300
        && text.split(['.', ':']).all(|part| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
}

/// Libraries whose modules configurations name all the time.
const KNOWN: [&str; 22] = [
    "transformers",
    "diffusers",
    "mlflow",
    "peft",
    "sentence_transformers",
    "torch",
    "optimum",
    "onnx",
    "sklearn",
    "tensorflow",
    "keras",
    "xgboost",
    "lightgbm",
    "catboost",
    "spacy",
    "fastai",
    "flair",
    "timm",
    "open_clip",
    "pytorch_lightning",
    "statsmodels",
    "prophet",
];

pub(super) fn is_known_library(text: &str) -> bool {
    let root = text.split('.').next().unwrap_or("");
    // Code fetched from a repository lies under this name inside transformers.
    KNOWN.contains(&root) && !text.contains("transformers_modules") && !text.contains("__")
}
