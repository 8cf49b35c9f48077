//! Keras configurations: `config.json` of a `.keras` archive, `model_config` of an HDF5 file, `to_json`.
//!
//! The configuration is a tree of objects that name classes and functions to import. Every node is walked,
//! however deeply a layer is wrapped in others.

mod graph;
mod names;
mod stored;

pub use stored::Stored;

use mantlet_vocab::{Source, read_window};
use serde_json::{Map, Value};

use crate::Bounds;
use crate::graph::Override;
use crate::pickle::{self, Effect, Effects};

/// What a node of the configuration makes its loader do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Danger {
    /// A Lambda layer with Python byte code; the names its code uses.
    Code {
        /// Names and texts of the byte code.
        names: Vec<String>,
        /// Whether one of the names runs commands, code, or talks to the network.
        reaches: bool,
    },
    /// A Lambda layer that names a function of the loading program.
    NamedCode(String),
    /// A function or class of another module is imported.
    Foreign {
        /// The module.
        module: String,
        /// The name.
        name: String,
        /// What it does.
        effect: Effect,
        /// A function is called by itself; a class is built from its configuration.
        function: bool,
    },
    /// A function of Keras that loads, fetches or switches off checks.
    Keras(String),
    /// A layer that loads a model in another format.
    LoadsModel {
        /// The class.
        class: String,
        /// The path, when it is written.
        path: String,
    },
    /// A layer whose name is a path upwards: what is saved or loaded for it lies under its name.
    Climbs {
        /// The name.
        name: String,
    },
    /// A layer that reads a local or remote file.
    ReadsFile {
        /// The class.
        class: String,
        /// The path as written.
        path: String,
    },
}

/// A node that is not plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// What it does.
    pub danger: Danger,
    /// The way to it: names of layers and keys.
    pub path: String,
}

/// The facts of a Keras configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keras {
    /// Nodes that name a class.
    pub objects: u64,
    /// Nodes that are not plain data.
    pub suspects: Vec<Suspect>,
    /// Where the raw input overrides the learned output.
    pub overrides: Vec<Override>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// Longer configurations are not held in memory.
pub const MAX_CONFIG: u64 = 3 << 20;

/// Whether the text is a Keras configuration: an object with `class_name` and `config`.
#[must_use]
pub fn is_keras(text: &[u8]) -> bool {
    let has = |key: &[u8]| memchr::memmem::find(text, key).is_some();
    // Letters written as escapes hide a key from a search, not from a reader.
    let escaped = [&b"\\u006"[..], b"\\u007", b"\\u005f", b"\\u005F"].into_iter().any(has);
    text.trim_ascii_start().starts_with(b"{") && (escaped || has(b"\"class_name\"") && has(b"\"config\""))
}

/// The facts of a Keras configuration. Never fails: what cannot be read is a limit.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Keras {
    let mut facts = Keras::default();
    if source.len() > MAX_CONFIG {
        facts.limits.push(format!("a configuration of {} bytes is not read", source.len()));
        return facts;
    }
    let text = read_window(source, 0, MAX_CONFIG as usize).unwrap_or_default();
    // Text attributes of a fixed length are filled up with zeros.
    let text = text.trim_ascii_end();
    let text = text.iter().rposition(|&byte| byte != 0).map_or(text, |end| &text[..=end]);
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => {
            let mut walk = Walk { facts: &mut facts, max: bounds.max_facts, effects: bounds.effects };
            walk.value(&value, "");
            let graph = graph::graph(&value, &Stored::default());
            if graph.cut {
                facts.limits.push("the graph is too large to be followed".into());
            }
            facts.overrides = graph.overrides();
        }
        Err(error) => facts.limits.push(format!("the configuration cannot be read: {error}")),
    }
    facts
}

/// Where the raw input overrides the learned output, with the sizes of the weights at hand: what [`analyse`] could not
/// see without them.
#[must_use]
pub fn overrides(text: &[u8], stored: &Stored) -> Vec<Override> {
    let text = text.trim_ascii_end();
    let text = text.iter().rposition(|&byte| byte != 0).map_or(text, |end| &text[..=end]);
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return Vec::new() };
    let known = graph::graph(&value, &Stored::default()).overrides();
    let mut found = graph::graph(&value, stored).overrides();
    found.retain(|hit| !known.iter().any(|known| known.node == hit.node));
    found
}

struct Walk<'a> {
    facts: &'a mut Keras,
    max: usize,
    effects: Effects,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, path: &str) {
        match value {
            Value::Object(object) => {
                let named =
                    object.get("config").and_then(|config| config.get("name")).and_then(Value::as_str);
                let here = match named {
                    Some(name) => format!("{path}/{name}"),
                    None => path.to_owned(),
                };
                if let Some(class) = object.get("class_name").and_then(Value::as_str) {
                    self.facts.objects += 1;
                    self.object(class, object, &here);
                }
                for (key, inner) in object {
                    if inner.is_object() || inner.is_array() {
                        let step = if key == "config" || key == "layers" {
                            here.clone()
                        } else {
                            format!("{here}/{key}")
                        };
                        self.value(inner, &step);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(item, path)),
            _ => {}
        }
    }

    fn found(&mut self, danger: Danger, path: &str) {
        if self.facts.suspects.len() < self.max {
            let path = path.chars().take(200).collect();
            self.facts.suspects.push(Suspect { danger, path });
        }
    }

    fn object(&mut self, class: &str, object: &Map<String, Value>, path: &str) {
        let config = object.get("config").unwrap_or(&Value::Null);
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let module = text("module");
        let name = config.get("name").or_else(|| object.get("name")).and_then(Value::as_str).unwrap_or("");
        if name.split(['/', '\\']).any(|part| part == "..") {
            self.found(Danger::Climbs { name: name.chars().take(200).collect() }, path);
        }
        let base = class.rsplit(['>', '.']).next().unwrap_or(class);
        match base {
            "Lambda" => self.lambda(config, path),
            "__lambda__" => {
                let code = config.get("code").or_else(|| config.get("value")).and_then(Value::as_str);
                self.code(code.unwrap_or_default(), path);
                return;
            }
            "TFSMLayer" | "TorchModuleWrapper" => {
                let file = ["filepath", "module"].iter().find_map(|key| config.get(key)?.as_str());
                let file = file.unwrap_or_default().chars().take(200).collect();
                self.found(Danger::LoadsModel { class: base.into(), path: file }, path);
            }
            "StringLookup" | "IntegerLookup" | "TextVectorization" | "IndexLookup" => {
                for key in ["vocabulary", "idf_weights"] {
                    if let Some(file) = config.get(key).and_then(Value::as_str) {
                        let file = file.chars().take(200).collect();
                        self.found(Danger::ReadsFile { class: base.into(), path: file }, path);
                    }
                }
            }
            _ => {}
        }
        let function = matches!(class, "function" | "__function__" | "builtin_function_or_method");
        let name = if function {
            config
                .as_str()
                .or_else(|| object.get("registered_name").and_then(Value::as_str))
                .unwrap_or("function")
        } else {
            class
        };
        self.import(module, name, function, path);
    }

    /// A name that the loader imports.
    fn import(&mut self, module: &str, name: &str, function: bool, path: &str) {
        let full = if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") };
        if names::is_keras(&full) || module.is_empty() && !name.contains('.') {
            if let Some(name) = names::dangerous(&full) {
                self.found(Danger::Keras(name.to_owned()), path);
            }
            return;
        }
        // A function of the user's own, registered with the loading program, is written as a builtin.
        let (module, name) = full.rsplit_once('.').unwrap_or(("builtins", &full));
        let effect = pickle::effect_of(self.effects, module, name);
        if module == "builtins" && function && effect == Effect::Unknown {
            return;
        }
        let (module, name) = (module.chars().take(100).collect(), name.chars().take(100).collect());
        self.found(Danger::Foreign { module, name, effect, function }, path);
    }

    fn lambda(&mut self, config: &Value, path: &str) {
        for key in ["function", "output_shape", "mask"] {
            match config.get(key) {
                // Byte code, defaults, closure.
                Some(Value::Array(parts)) => {
                    if let Some(code) = parts.first().and_then(Value::as_str) {
                        self.code(code, path);
                    }
                }
                Some(Value::Object(inner)) => {
                    let class = inner.get("class_name").and_then(Value::as_str);
                    // A tuple as it is written beside a SavedModel: byte code, defaults, closure.
                    let items = inner.get("items").and_then(Value::as_array);
                    if let (Some("__tuple__"), Some(code)) =
                        (class, items.and_then(|items| items.first()?.as_str()))
                    {
                        self.code(code, path);
                        continue;
                    }
                    if class != Some("__lambda__") && key == "function" {
                        let name = inner.get("config").and_then(Value::as_str).or(class).unwrap_or("?");
                        self.found(Danger::NamedCode(name.chars().take(100).collect()), path);
                    }
                }
                Some(Value::String(name)) if key == "function" => {
                    let encoded = config.get("function_type").and_then(Value::as_str) == Some("lambda");
                    let module = config.get("module").and_then(Value::as_str).unwrap_or_default();
                    let effect = pickle::effect_of(self.effects, module, name);
                    if encoded {
                        self.code(name, path);
                    } else if !effect.is_allowed() && effect != Effect::Unknown {
                        // Older versions import the function from the module beside it.
                        let (module, name) =
                            (module.chars().take(100).collect(), name.chars().take(100).collect());
                        self.found(Danger::Foreign { module, name, effect, function: true }, path);
                    } else {
                        self.found(Danger::NamedCode(name.chars().take(100).collect()), path);
                    }
                }
                _ => {}
            }
        }
    }

    fn code(&mut self, encoded: &str, path: &str) {
        let names = names::of_code(encoded);
        let reaches = names.iter().any(|name| names::reaches(name));
        self.found(Danger::Code { names, reaches }, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn dangers(text: &str) -> Vec<Danger> {
        let facts = analyse(&MemorySource::new(text.as_bytes()), &Bounds::default());
        assert!(facts.limits.is_empty(), "{:?}", facts.limits);
        facts.suspects.into_iter().map(|suspect| suspect.danger).collect()
    }

    #[test]
    fn nodes_are_judged_however_deep() {
        let wrap = |inner: &str| {
            format!(
                r#"{{"class_name":"Sequential","config":{{"layers":[{{"class_name":"TimeDistributed","config":{{"layer":{inner}}}}}]}}}}"#
            )
        };
        assert_eq!(
            dangers(&wrap(r#"{"class_name":"Dense","module":"keras.layers","config":{"units":1}}"#)),
            []
        );
        assert!(matches!(
            &dangers(&wrap(
                r#"{"class_name":"Lambda","config":{"function":["4wEAAABvc3N5c3RlbQ==",null,null]}}"#
            ))[..],
            [Danger::Code { .. }]
        ));
        let foreign = dangers(&wrap(r#"{"class_name":"function","module":"os","config":"system"}"#));
        assert!(matches!(&foreign[..], [Danger::Foreign { effect: Effect::Executes, .. }]));
        let fetch = dangers(&wrap(r#"{"class_name":"function","module":"keras.utils","config":"get_file"}"#));
        assert_eq!(fetch, [Danger::Keras("get_file".into())]);
        assert_eq!(dangers(&wrap(r#"{"class_name":"function","module":"builtins","config":"my_loss"}"#)), []);
    }
}
