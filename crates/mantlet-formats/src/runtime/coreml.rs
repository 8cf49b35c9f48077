//! Core ML: the protocol buffers of `.mlmodel`, the weights and the manifest of `.mlpackage`.

use mantlet_vocab::{Source, read_window};
use serde_json::Value as Json;

use crate::proto::{Fields, Value, text};
use crate::structure::{Power, Structure, shown};
use crate::window::Window;

const MAX_DEPTH: u32 = 48;
const MAX_FIELDS: u64 = 16 << 20;

/// The kinds of model that the top message can hold.
const TYPES: [u64; 38] = [
    200, 201, 202, 300, 301, 302, 303, 304, 400, 401, 402, 403, 404, 500, 501, 502, 555, 556, 560, 600, 601,
    602, 603, 604, 606, 607, 609, 610, 900, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 3000,
];

/// Whether the bytes are a Core ML model: a version, then a description or a kind of model.
#[must_use]
pub fn is_coreml(source: &dyn Source) -> bool {
    let mut window = Window::new(source, 0);
    let mut fields = Fields::new(0, source.len());
    let version = fields.next(&mut window).filter(|field| field.number == 1).map(|field| field.value);
    if !matches!(version, Some(Value::Number(1..=99))) {
        return false;
    }
    for _ in 0..8 {
        match fields.next(&mut window) {
            Some(field) if TYPES.contains(&field.number) => return field.bytes().is_some(),
            Some(field) if matches!(field.number, 2 | 10) => {}
            _ => return false,
        }
    }
    false
}

/// The messages that are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Description,
    Metadata,
    Pair,
    PipelineHolder,
    Pipeline,
    Network,
    Layer,
    Loop,
    Branch,
    CustomLayer,
    CustomModel,
    Linked,
    LinkedFile,
    LinkedName,
    LinkedPath,
    Serialized,
    Program,
    FunctionPair,
    Function,
    BlockPair,
    Block,
    Operation,
    ArgumentPair,
    Argument,
    Binding,
    ValuePair,
    MilValue,
    BlobFile,
}

use Kind::{
    Argument, ArgumentPair, Binding, BlobFile, Block, BlockPair, Branch, CustomLayer, CustomModel,
    Description, Function, FunctionPair, Layer, Linked, LinkedFile, LinkedName, LinkedPath, Loop, Metadata,
    MilValue, Model, Network, Operation, Pair, Pipeline, PipelineHolder, Program, Serialized, ValuePair,
};

const fn child(kind: Kind, field: u64) -> Option<Kind> {
    Some(match (kind, field) {
        (Model, 2) => Description,
        (Description, 100) => Metadata,
        (Metadata, 100) => Pair,
        (Model, 200 | 201) => PipelineHolder,
        (Model, 202) | (PipelineHolder, 1) => Pipeline,
        (Pipeline, 1) => Model,
        (Model, 303 | 403 | 500) | (Loop, 3 | 4) | (Branch, 1 | 2) => Network,
        (Network, 1) => Layer,
        (Layer, 500) => CustomLayer,
        (Layer, 605) => Branch,
        (Layer, 615) => Loop,
        (Model, 555) => CustomModel,
        (Model, 556) => Linked,
        (Linked, 1) => LinkedFile,
        (LinkedFile, 1) => LinkedName,
        (LinkedFile, 2) => LinkedPath,
        (Model, 3000) => Serialized,
        (Model, 502) => Program,
        (Program, 2) => FunctionPair,
        (FunctionPair, 2) => Function,
        (Function, 3) => BlockPair,
        (BlockPair, 2) | (Operation, 4) => Block,
        (Block, 3) => Operation,
        (Operation, 2) => ArgumentPair,
        (ArgumentPair, 2) => Argument,
        (Argument, 1) => Binding,
        (Operation | Block | Function | Program, 5 | 4) => ValuePair,
        (Binding, 2) | (ValuePair, 2) => MilValue,
        (MilValue, 5) => BlobFile,
        _ => return None,
    })
}

/// The facts of a model. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut walk = Walk {
        window: Window::new(source, 0),
        facts: Structure::of("Core ML"),
        fields: 0,
        key: String::new(),
    };
    walk.message(Model, 0, source.len(), 0);
    if let Some(error) = walk.window.failed {
        walk.facts.limit(error.to_string());
    }
    walk.facts
}

struct Walk<'a> {
    window: Window<'a>,
    facts: Structure,
    fields: u64,
    /// The key of the entry of information that is being read.
    key: String,
}

impl Walk<'_> {
    fn message(&mut self, kind: Kind, start: u64, end: u64, depth: u32) {
        if depth > MAX_DEPTH {
            self.facts.limit(format!("it is nested deeper than {MAX_DEPTH}"));
            return;
        }
        let mut fields = Fields::new(start, end);
        while let Some(field) = fields.next(&mut self.window) {
            self.fields += 1;
            if self.fields > MAX_FIELDS {
                self.facts.limit(format!("only the first {MAX_FIELDS} fields are examined"));
                return;
            }
            let Some((from, to)) = field.bytes() else {
                continue;
            };
            if let Some(inner) = child(kind, field.number) {
                self.message(inner, from, to, depth + 1);
            } else {
                self.leaf(kind, field.number, from, to);
            }
        }
        if let Some(at) = fields.broken {
            self.facts.defect("a message cannot be read to its end", at);
        }
    }

    fn leaf(&mut self, kind: Kind, field: u64, from: u64, to: u64) {
        let role = match (kind, field) {
            (CustomLayer, 10) => "custom layer",
            (CustomModel, 10) => "custom model",
            (Operation, 1) => {
                if text(&mut self.window, from, to) == "custom_layer" {
                    self.facts.names(Power::Class, "operation", "custom_layer", from);
                }
                return;
            }
            (LinkedName, 1) => {
                let path = text(&mut self.window, from, to);
                self.facts.reads("linked model", &path, from);
                return;
            }
            (LinkedPath, 1) => {
                // A list of folders as in PATH.
                let paths = text(&mut self.window, from, to);
                for path in paths.split(':') {
                    self.facts.reads("folder of linked models", path, from);
                }
                return;
            }
            (BlobFile, 1) => {
                let path = text(&mut self.window, from, to);
                let path = path.strip_prefix("@model_path/").unwrap_or(&path);
                let name = shown(path);
                if self.facts.paths.iter().rev().all(|known| known.name != name) {
                    self.facts.reads("file of weights", path, from);
                }
                return;
            }
            (Serialized, 1) => {
                let name = text(&mut self.window, from, to);
                self.facts.limit(format!("a model of the system, `{name}`, is carried in a form of its own"));
                return;
            }
            (Metadata, 1..=4) => {
                let key = ["description", "version", "author", "license"][(field - 1) as usize];
                let value = text(&mut self.window, from, to);
                self.facts.says(key, &value);
                return;
            }
            (Pair, 1) => {
                self.key = text(&mut self.window, from, to);
                return;
            }
            (Pair, 2) => {
                let value = text(&mut self.window, from, to);
                let key = std::mem::take(&mut self.key);
                self.facts.says(&key, &value);
                return;
            }
            _ => return,
        };
        let name = text(&mut self.window, from, to);
        self.facts.names(Power::Class, role, &name, from);
    }
}

const BLOB: [u8; 4] = [0xef, 0xbe, 0xad, 0xde];

/// Whether the bytes begin like the weights of a package.
#[must_use]
pub fn is_weights(head: &[u8]) -> bool {
    head.get(4..8) == Some(&[2, 0, 0, 0])
        && head.get(8..64).is_some_and(|zeros| zeros.iter().all(|&byte| byte == 0))
        && (head.get(64..68) == Some(&BLOB) || head.len() == 64 && head.starts_with(&[0; 4]))
}

/// The facts of the weights of a package: blobs one after the other.
#[must_use]
pub fn weights(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("Core ML weights");
    let mut window = Window::new(source, 0);
    let count = window.array().map_or(0, u32::from_le_bytes);
    let mut at = 64_u64;
    for _ in 0..count {
        window.seek(at);
        let head = (window.array::<4>(), window.array::<4>(), window.array::<8>(), window.array::<8>());
        let (Some(mark), Some(_), Some(size), Some(offset)) = head else {
            facts.defect(format!("it declares {count} blobs and ends early"), at);
            return facts;
        };
        let (size, offset) = (u64::from_le_bytes(size), u64::from_le_bytes(offset));
        let end = offset.checked_add(size).filter(|&end| end <= source.len() && offset >= at + 64);
        let Some(end) = end.filter(|_| mark == BLOB) else {
            facts.defect(format!("a blob of {size} bytes at {offset:#x} is not there"), at);
            return facts;
        };
        at = end.next_multiple_of(64);
        facts.end = end;
    }
    facts
}

/// The facts of `Manifest.json` of a package; `None` for other JSON.
#[must_use]
pub fn manifest(source: &dyn Source) -> Option<Structure> {
    let text = read_window(source, 0, 1 << 20).unwrap_or_default();
    let json: Json = serde_json::from_slice(&text).ok()?;
    let items = json.get("itemInfoEntries")?.as_object()?;
    let mut facts = Structure::of("Core ML package");
    for item in items.values() {
        if let Some(path) = item.get("path").and_then(Json::as_str) {
            facts.reads("path of an item", path, 0);
        }
    }
    let root = json.get("rootModelIdentifier").and_then(Json::as_str);
    if root.is_none_or(|root| !items.contains_key(root)) {
        facts.defect("its root names no item", 0);
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8 | 128, (content.len() >> 7) as u8], content].concat()
    }

    /// Attributes of one program, each a file of weights.
    fn files(paths: impl Iterator<Item = String>) -> Structure {
        let attribute = |path: String| field(5, &field(2, &field(5, &field(1, path.as_bytes()))));
        let program: Vec<u8> = paths.flat_map(attribute).collect();
        let mut window_of = vec![8, 4, 0xb2, 0x1f];
        window_of.extend([
            program.len() as u8 | 128,
            (program.len() >> 7) as u8 | 128,
            (program.len() >> 14) as u8,
        ]);
        window_of.extend(program);
        analyse(&MemorySource::new(&window_of))
    }

    #[test]
    fn files_of_weights_outside_are_told_after_many_others() {
        let ordinary = || "@model_path/weights/weight.bin".to_owned();
        let facts = files((0..256).map(|_| ordinary()));
        assert!(facts.paths.len() == 1 && facts.defects.is_empty(), "{facts:?}");
        let others = (0..256).map(|index| format!("@model_path/weights/{index}.bin"));
        let facts = files(others.chain(["@model_path/../../../etc/x".to_owned()]));
        assert_eq!(facts.paths[256].name, "../../../etc/x");
    }
}
