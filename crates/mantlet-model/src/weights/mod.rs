//! Models of tensors without a graph: a safetensors file, and what says how its layers stand.
//!
//! What comes of both is the graph that an ONNX export would have: the same operators, gradients and bounds. Nothing is
//! guessed: a layer whose kind no tensor tells has to be named, and a tensor that no layer reads is an error, since a
//! layer that was forgotten would make every figure one of another model.

mod blocks;
mod draft;
mod encoder;
mod layers;
mod sequential;
mod store;
mod vision;

use std::sync::Arc;

use mantlet_vocab::{Source, Value};
use serde_json::Value as Json;

use self::draft::Draft;
use self::store::Store;
use crate::graph::Graph;
use crate::onnx::OnnxModel;
use crate::{Limits, Model, ModelError, Words};

/// How the layers stand over the tensors of a file.
#[derive(Debug, Clone, Default)]
pub struct Architecture {
    keys: serde_json::Map<String, Json>,
    /// The `config.json` of a Hugging Face model.
    config: Option<Json>,
}

/// What a description of layers may say beside them.
const KEYS: [&str; 8] = ["layers", "input", "activation", "classes", "ignore", "config", "length", "takes"];

/// The error of a place in a description, a file of tensors, or both.
fn misfit(place: impl Into<String>, reason: impl Into<String>) -> ModelError {
    ModelError::Misfit { place: place.into(), reason: reason.into() }
}

impl Architecture {
    /// Reads a description: TOML, or JSON when it begins with `{`; a Hugging Face `config.json` is one, too.
    ///
    /// # Errors
    /// When it is neither, or has a key that no description has.
    pub fn read(text: &str) -> Result<Self, ModelError> {
        let broken = |reason: String| misfit("the description", reason);
        let json: Json = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| broken(error.to_string()))?
        } else {
            toml::from_str(text).map_err(|error| broken(error.to_string().trim_end().to_owned()))?
        };
        if json.get("model_type").is_some() {
            return Ok(Self { keys: serde_json::Map::new(), config: Some(json) });
        }
        let Json::Object(keys) = json else { return Err(broken("it is no table of keys".to_owned())) };
        if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(misfit(format!("`{unknown}`"), format!("a description has {}", KEYS.join(", "))));
        }
        let one_way =
            ["layers", "activation", "config"].iter().filter(|key| keys.contains_key(**key)).count();
        if one_way != 1 {
            let reason = "it takes one of `layers`, `activation` (of an nn.Sequential) and `config` (a Hugging Face \
                          config.json); without any of them nothing says what the layers are";
            return Err(broken(reason.to_owned()));
        }
        Ok(Self { keys, config: None })
    }

    /// The `config.json` the description names, relative to the description, when it has to be handed in.
    #[must_use]
    pub fn config(&self) -> Option<&str> {
        self.keys.get("config").and_then(Json::as_str)
    }

    /// The description with the text of that file.
    ///
    /// # Errors
    /// When it is no JSON object with a `model_type`.
    pub fn with_config(mut self, text: &str) -> Result<Self, ModelError> {
        let json: Json =
            serde_json::from_str(text).map_err(|error| misfit("the config.json", error.to_string()))?;
        if json.get("model_type").is_none() {
            return Err(misfit(
                "the config.json",
                "it has no `model_type`: it is not one of a Hugging Face model",
            ));
        }
        self.config = Some(json);
        Ok(self)
    }

    /// A whole number of at least one under a key.
    fn size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        self.keys
            .get(key)
            .map(|value| size(value).ok_or_else(|| wrong(key, "a whole number from 1 on")))
            .transpose()
    }

    /// Words under a key.
    fn words(&self, key: &str) -> Result<Vec<String>, ModelError> {
        let Some(value) = self.keys.get(key) else { return Ok(Vec::new()) };
        let words =
            value.as_array().map(|list| list.iter().map(|word| word.as_str().map(str::to_owned)).collect());
        words.flatten().ok_or_else(|| wrong(key, "a list of words"))
    }
}

/// Larger axes, windows and strides do not occur, and would only make sums overflow.
const MOST: usize = 1 << 24;

fn size(value: &Json) -> Option<usize> {
    value.as_u64().and_then(|v| usize::try_from(v).ok()).filter(|v| (1..=MOST).contains(v))
}

fn wrong(key: &str, wanted: &str) -> ModelError {
    misfit(format!("`{key}`"), format!("{wanted} is expected"))
}

/// Loads the tensors of a safetensors file as a model of this architecture; without one, only where the tensors
/// themselves leave no other reading.
///
/// # Errors
/// When the file is broken or too large, a tensor is missing, of another shape or read by no layer, or the description
/// has a layer that is not known; the tensor or the layer is named.
pub fn load_weights(
    source: &dyn Source,
    architecture: Option<&Architecture>,
    limits: Limits,
) -> Result<Arc<dyn Model>, ModelError> {
    let store = Store::open(source, &limits)?;
    let mut draft = Draft::new(store);
    let none = Architecture::default();
    let given = architecture.unwrap_or(&none);
    let mut classes = given.words("classes")?;
    match &given.config {
        Some(config) => {
            let own = match config.get("model_type").and_then(Json::as_str).unwrap_or_default() {
                "vit" => vision::draft(&mut draft, config)?,
                "bert" | "roberta" | "xlm-roberta" | "camembert" | "distilbert" => {
                    encoder::draft(&mut draft, config, given)?
                }
                other => {
                    let known =
                        "bert, distilbert, roberta, xlm-roberta, camembert and vit are built from weights";
                    return Err(misfit(
                        format!("model_type `{other}`"),
                        format!("{known}; export others to ONNX"),
                    ));
                }
            };
            if classes.is_empty() {
                classes = own;
            }
        }
        None if given.keys.contains_key("layers") => layers::draft(&mut draft, given)?,
        None if given.keys.contains_key("config") => {
            return Err(misfit("`config`", "the file it names was not read"));
        }
        None => sequential::draft(&mut draft, given)?,
    }
    let ignored = given.words("ignore")?;
    let unread = draft.store.unread(&ignored);
    if let Some(first) = unread.first() {
        let more = if unread.len() > 1 { format!(" and {} more", unread.len() - 1) } else { String::new() };
        let reason =
            format!("no layer reads it{more}: describe its layer, or name its beginning in `ignore`");
        return Err(misfit(format!("tensor `{first}`"), reason));
    }
    let words = match draft.words.take() {
        Some((table, padding)) => match crate::decode::constant(&table, None, &limits)? {
            Value::F32(table) => Some(Words { table, padding }),
            _ => None,
        },
        None => None,
    };
    let graph = Graph::build(&draft.into_model(), None, &limits)?;
    Ok(Arc::new(OnnxModel::new(graph, limits).with_classes(classes).with_words(words)))
}
