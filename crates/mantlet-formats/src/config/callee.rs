//! Dotted names in configurations, judged by the same table as those in pickles.

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
