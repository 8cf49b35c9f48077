//! Keras models, functional and sequential, as the graph that the interpreter runs.

mod calls;
mod layers;
mod weights;
mod written;

use std::collections::HashMap;

use mantlet_formats::inflate::{Inflated, Wrapper};
use mantlet_formats::onnx::schema::{DataType, ModelProto};
use mantlet_formats::{Bounds, hdf5, keras, zip};
use mantlet_vocab::{MemorySource, Source, SubSource, read_window};
use serde_json::{Map, Value as Json};

use self::weights::{Variable, Weights};
use self::written::written;
use super::invalid;
use super::numbers::Numbers;
use super::sketch::{Sketch, Val};
use crate::{Limits, ModelError};

/// Models within models.
const MAX_NESTING: u8 = 8;
/// Operands of one call.
const MAX_OPERANDS: usize = 1_024;

/// A model in the making.
struct Reader<'a> {
    sketch: Sketch,
    weights: Weights<'a>,
    /// The first number of the version that wrote the file.
    version: Option<u32>,
}

/// A layer: its configuration, and where its weights are.
struct Layer<'a> {
    class: &'a str,
    name: &'a str,
    config: &'a Map<String, Json>,
    /// The shape of its input, where the file says it.
    shape: Option<&'a [Json]>,
    folder: String,
    outer: String,
}

/// What a model or layer gives at each of its calls.
type Made = HashMap<String, Vec<Vec<Val>>>;

/// The text of a configuration; texts of a fixed length are filled up with zeros.
fn config(text: &[u8]) -> Result<Json, ModelError> {
    let text = text.trim_ascii_end();
    let text = text.iter().rposition(|&byte| byte != 0).map_or(text, |end| &text[..=end]);
    serde_json::from_slice(text).map_err(|error| invalid("the configuration", error.to_string()))
}

/// The model in an archive of Keras 3.
pub(super) fn archive(source: &dyn Source, limits: Limits) -> Result<ModelProto, ModelError> {
    let bounds = Bounds::default();
    let archive = zip::analyse(source, &bounds);
    let member = |name: &str, most: u64| -> Result<MemorySource, ModelError> {
        let mut named = archive.entries.iter().filter(|entry| entry.listed && entry.name == name);
        let entry =
            named.next().ok_or_else(|| invalid(format!("`{name}`"), "the archive does not have it"))?;
        if named.next().is_some() {
            return Err(invalid(format!("`{name}`"), "the archive has it twice"));
        }
        let start = entry.data.ok_or_else(|| invalid(format!("`{name}`"), "it has no local header"))?;
        if entry.size > most || entry.packed > source.len() {
            return Err(ModelError::TooLarge { len: entry.size, limit: usize::try_from(most).unwrap_or(0) });
        }
        let packed = SubSource::new(source, start, entry.packed);
        let size = usize::try_from(entry.size).unwrap_or(0);
        let bytes = match entry.method {
            0 => read_window(&packed, 0, size)?,
            8 => read_window(&Inflated::open(&packed, Wrapper::Raw, &bounds, most), 0, size)?,
            method => return Err(invalid(format!("`{name}`"), format!("it is packed by method {method}"))),
        };
        Ok(MemorySource(bytes.into()))
    };
    let text = member("config.json", keras::MAX_CONFIG)?;
    let metadata = member("metadata.json", 1 << 20).ok().and_then(|text| config(&text.0).ok());
    let version =
        metadata.as_ref().and_then(|metadata| metadata.get("keras_version")?.as_str().map(major)).flatten();
    let weights = member("model.weights.h5", limits.max_bytes as u64)?;
    let weights = Weights::open(&weights, true, &limits);
    model(&config(&text.0)?, weights, version, limits)
}

/// The model in an HDF5 file.
pub(super) fn file(source: &dyn Source, limits: Limits) -> Result<ModelProto, ModelError> {
    let facts = hdf5::analyse(source, &Bounds::default());
    let said = |name: &str, most: u64| {
        let text = facts.texts.iter().find(|text| text.object == "/" && text.name == name)?;
        let len = usize::try_from(text.len.min(most)).ok()?;
        read_window(source, text.start, len).ok()
    };
    let text = said("model_config", keras::MAX_CONFIG)
        .ok_or_else(|| invalid("the file", "it has weights and no configuration of layers"))?;
    let version = said("keras_version", 64).and_then(|text| major(&String::from_utf8_lossy(&text)));
    model(&config(&text)?, Weights::open(source, false, &limits), version, limits)
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.trim().parse().ok()
}

fn model(
    config: &Json,
    weights: Weights<'_>,
    version: Option<u32>,
    limits: Limits,
) -> Result<ModelProto, ModelError> {
    let mut reader = Reader { sketch: Sketch::new(limits), weights, version };
    let outputs = reader.model(config, None, "", "", 0)?;
    if outputs.is_empty() {
        return Err(invalid("the model", "it gives nothing"));
    }
    for (name, output) in outputs {
        reader.sketch.output(&name, &output);
    }
    reader.sketch.into_model()
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The values in `input_layers` and `output_layers`: `["a", 0, 0]`, a list of such, or a map of them.
fn ends(value: &Json) -> Vec<(String, usize, usize)> {
    let number =
        |value: Option<&Json>| value.and_then(Json::as_u64).and_then(|number| usize::try_from(number).ok());
    match value {
        Json::Array(items) => match items.first() {
            Some(Json::String(name)) => {
                vec![(name.clone(), number(items.get(1)).unwrap_or(0), number(items.get(2)).unwrap_or(0))]
            }
            _ => items.iter().flat_map(ends).collect(),
        },
        Json::Object(map) => map.values().flat_map(ends).collect(),
        _ => Vec::new(),
    }
}

/// The folder of a class as Keras writes it: `BatchNormalization` is `batch_normalization`, `Conv2D` is `conv2d`.
fn snake(class: &str) -> String {
    let letters: Vec<char> = class.chars().take(100).collect();
    let mut name = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let word = letters.get(at + 1).is_some_and(char::is_ascii_lowercase)
            || before.is_some_and(|before| before.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && before.is_some() && word {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The element type by the name that Keras gives it.
fn kind(name: &str) -> Option<DataType> {
    Some(match name {
        "float32" => DataType::Float,
        "float64" => DataType::Double,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "bool" => DataType::Bool,
        "uint8" => DataType::Uint8,
        _ => return None,
    })
}

impl Reader<'_> {
    /// Lays a model out; `given` are the values of its inputs. Gives its outputs with their names.
    fn model(
        &mut self,
        value: &Json,
        given: Option<&[Val]>,
        folder: &str,
        outer: &str,
        depth: u8,
    ) -> Result<Vec<(String, Val)>, ModelError> {
        let place = || format!("model `{}`", text(value, "class_name"));
        let config = value.get("config").unwrap_or(&Json::Null);
        let layers = config.get("layers").and_then(Json::as_array);
        let layers = layers.ok_or_else(|| invalid(place(), "it is no functional or sequential model"))?;
        if depth > MAX_NESTING {
            return Err(invalid(place(), "models are within models too deeply"));
        }
        let inputs = config.get("input_layers").map(ends).unwrap_or_default();
        let outputs = config.get("output_layers").map(ends).unwrap_or_default();
        let sequential = outputs.is_empty();
        let mut made = Made::new();
        let mut chain = given.and_then(|given| given.first().cloned());
        let mut folders: HashMap<String, usize> = HashMap::new();
        for layer in layers {
            self.sketch.room()?;
            let class = text(layer, "class_name");
            let class = class.rsplit('>').next().unwrap_or(class);
            let empty = Map::new();
            let inner = layer.get("config").and_then(Json::as_object).unwrap_or(&empty);
            let name =
                inner.get("name").or_else(|| layer.get("name")).and_then(Json::as_str).unwrap_or_default();
            // Operations have no folder of weights. HDF5 files do not say the module, and what every layer has.
            let module = text(layer, "module");
            let operation = if module.is_empty() {
                let calls = layer.get("inbound_nodes").and_then(Json::as_array);
                let named = calls.and_then(|calls| calls.first()).is_some_and(Json::is_object);
                named && class != "InputLayer" && !inner.contains_key("trainable")
            } else {
                module.contains(".ops")
            };
            let mut own = snake(class);
            if !operation {
                let count = folders.entry(own.clone()).or_insert(0);
                if *count > 0 {
                    own = format!("{own}_{count}");
                }
                *count += 1;
            }
            if class == "InputLayer" {
                let at = inputs.iter().position(|(input, ..)| input == name).unwrap_or(0);
                let value = match given {
                    Some(given) => given
                        .get(at)
                        .cloned()
                        .ok_or_else(|| invalid(place(), "it is called with too few values"))?,
                    None => self.input(name, inner)?,
                };
                made.insert(name.to_owned(), vec![vec![value.clone()]]);
                chain = chain.or(Some(value));
                continue;
            }
            let shape = layer.get("build_config").and_then(|build| build.get("input_shape"));
            let own = Layer {
                class,
                name,
                config: inner,
                shape: shape.and_then(Json::as_array).map(Vec::as_slice),
                folder: if folder.is_empty() {
                    format!("layers/{own}")
                } else {
                    format!("{folder}/layers/{own}")
                },
                outer: if outer.is_empty() { name.to_owned() } else { outer.to_owned() },
            };
            let calls: Vec<Json> = if sequential {
                vec![Json::Null]
            } else {
                let calls = layer.get("inbound_nodes").and_then(Json::as_array);
                calls.cloned().unwrap_or_default()
            };
            for call in &calls {
                let values = if operation {
                    vec![self.call(&own, call, &made)?]
                } else {
                    let operands = if sequential {
                        let before = match chain.clone() {
                            Some(before) => before,
                            None => self.input("input", inner)?,
                        };
                        vec![before]
                    } else {
                        let mut operands = Vec::new();
                        self.operands(call, &made, &mut operands, 0)?;
                        operands
                    };
                    if inner.contains_key("layers") {
                        let outputs =
                            self.model(layer, Some(&operands), &own.folder, &own.outer, depth + 1)?;
                        outputs.into_iter().map(|(_, value)| value).collect()
                    } else {
                        vec![self.layer(&own, &operands)?]
                    }
                };
                chain = values.first().cloned();
                made.entry(name.to_owned()).or_default().push(values);
            }
        }
        if sequential {
            return Ok(chain.into_iter().map(|value| ("output".to_owned(), value)).collect());
        }
        outputs
            .into_iter()
            .map(|(name, call, index)| {
                let value = made.get(&name).and_then(|calls| calls.get(call)?.get(index)).cloned();
                value
                    .map(|value| (name.clone(), value))
                    .ok_or_else(|| invalid(format!("output `{name}`"), "nothing makes it"))
            })
            .collect()
    }

    fn input(&mut self, name: &str, config: &Map<String, Json>) -> Result<Val, ModelError> {
        let shape = ["batch_shape", "batch_input_shape"].iter().find_map(|key| config.get(*key)?.as_array());
        let shape =
            shape.ok_or_else(|| invalid(format!("input `{name}`"), "the file does not say its shape"))?;
        let length = |axis: &Json| axis.as_u64().and_then(|axis| usize::try_from(axis).ok());
        let shape: Vec<Option<usize>> = shape.iter().map(length).collect();
        let kind = kind(config.get("dtype").and_then(Json::as_str).unwrap_or("float32"));
        let kind =
            kind.ok_or_else(|| invalid(format!("input `{name}`"), "its element type is not supported"))?;
        Ok(self.sketch.input(name, kind, Some(&shape)))
    }

    /// The values a layer reads, in order.
    fn operands(
        &mut self,
        value: &Json,
        made: &Made,
        out: &mut Vec<Val>,
        depth: u8,
    ) -> Result<(), ModelError> {
        if out.len() > MAX_OPERANDS || depth > 16 {
            return Err(invalid("a call", "it has too many operands"));
        }
        if let Some(value) = self.history(value, made)? {
            out.push(value);
            return Ok(());
        }
        match value {
            Json::Array(items) => {
                for item in items {
                    self.operands(item, made, out, depth + 1)?;
                }
            }
            // What is given by name (masks, training) is not read by the layers that are known.
            Json::Object(map) => {
                if let Some(args) = map.get("args") {
                    self.operands(args, made, out, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The value that a call refers to, if it is one: an earlier layer's, or numbers that are written out.
    fn history(&mut self, value: &Json, made: &Made) -> Result<Option<Val>, ModelError> {
        let items = match value {
            Json::Array(items) if matches!(items.first(), Some(Json::String(_))) && items.len() >= 3 => items,
            Json::Object(_) if text(value, "class_name") == "__keras_tensor__" => {
                let items = value.get("config").and_then(|config| config.get("keras_history")?.as_array());
                items.ok_or_else(|| invalid("a call", "a value has no history"))?
            }
            Json::Object(_) if matches!(text(value, "class_name"), "__tensor__" | "__numpy__") => {
                let config = value.get("config").unwrap_or(&Json::Null);
                let numbers = config.get("value").and_then(|value| written(value, text(config, "dtype")));
                return self.sketch.made("constant", numbers).map(Some);
            }
            _ => return Ok(None),
        };
        let number =
            |index: usize| items.get(index).and_then(Json::as_u64).and_then(|at| usize::try_from(at).ok());
        let name = items.first().and_then(Json::as_str).unwrap_or_default();
        let found = number(1).zip(number(2)).and_then(|(call, index)| made.get(name)?.get(call)?.get(index));
        found
            .cloned()
            .map(Some)
            .ok_or_else(|| invalid(format!("layer `{name}`"), "it is read before it is called"))
    }

    /// A variable of a layer, in single floats.
    fn variable(&mut self, layer: &Layer<'_>, variable: Variable) -> Result<Numbers, ModelError> {
        let numbers = self.weights.read(&layer.folder, (&layer.outer, layer.name), variable)?;
        self.sketch.spend(numbers.raw.len())?;
        Ok(numbers)
    }
}
