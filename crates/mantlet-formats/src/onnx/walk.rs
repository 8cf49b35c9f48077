//! A streaming walk over an ONNX model's protobuf: operators, functions and external data, weights skipped.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_vocab::Source;

use super::functions::Calls;
use super::texts::MAX_SEARCHED;
use crate::Bounds;
use crate::metadata::Text;
use crate::proto::varint;
use crate::window::{MAX_FIELDS, Window};

/// A tensor whose bytes are in another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The tensor's name.
    pub tensor: String,
    /// The file as written, relative to the model.
    pub location: String,
    /// Offset of the tensor message.
    pub offset: u64,
    /// Where its bytes begin in that file, and how many there are, as far as it says.
    pub span: (u64, Option<u64>),
    /// Where a link leads that is on the way to the file, when it leaves the model's folder. Only who sees the
    /// file system can say.
    pub leads: Option<String>,
}

/// The facts of an ONNX model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onnx {
    /// `ir_version`.
    pub ir_version: u64,
    /// Who wrote it.
    pub producer: String,
    /// Number of nodes, subgraphs and functions included.
    pub nodes: u64,
    /// Operators by (domain, name), with the offset of the first use.
    pub operators: BTreeMap<(String, String), u64>,
    /// Functions the model itself defines, by (domain, name).
    pub functions: BTreeSet<(String, String)>,
    /// Tensors stored elsewhere.
    pub external: Vec<External>,
    /// Tensors stored in the file.
    pub tensors: u64,
    /// What it says about itself: descriptions and properties, each with the offset of its value and its length.
    pub texts: Vec<(Text, u64, u64)>,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Function,
    Training,
    /// A key and a value.
    Property,
}

const MAX_DEPTH: u8 = 48;
const MAX_OPERATORS: usize = 4_096;
const MAX_EXTERNAL: usize = 100_000;

/// The facts of an ONNX model. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Onnx {
    let mut walk = Walk {
        window: Window::new(source, 0),
        facts: Onnx::default(),
        max: bounds.max_facts,
        calls: Calls::default(),
        searched: MAX_SEARCHED,
    };
    walk.message(Kind::Model, source.len(), 0);
    for defect in walk.calls.defects() {
        walk.defect(&defect, 0);
    }
    if let Some(error) = walk.window.failed {
        walk.facts.limits.push(error.to_string());
    }
    walk.facts
}

pub(super) struct Walk<'a> {
    pub(super) window: Window<'a>,
    pub(super) facts: Onnx,
    max: usize,
    calls: Calls,
    /// Bytes of long texts that may still be searched.
    pub(super) searched: u64,
}

#[derive(Default)]
struct Message {
    name: String,
    domain: String,
    operator: String,
    location: Option<String>,
    dims: Option<u64>,
    data_type: u64,
    raw: Option<u64>,
    /// Bytes of numbers that are written in fields of their type.
    typed: Option<u64>,
    elsewhere: bool,
    span: (u64, Option<u64>),
    value: Option<(String, u64, u64)>,
}

impl Walk<'_> {
    fn defect(&mut self, what: &str, at: u64) {
        if self.facts.defects.len() < self.max {
            self.facts.defects.push((what.to_owned(), at));
        }
    }

    fn text(&mut self, len: u64) -> String {
        let keep = len.min(1_024);
        let text = self.window.take(keep as usize).map(|b| String::from_utf8_lossy(b).into_owned());
        self.window.skip(len - keep);
        text.unwrap_or_default()
    }

    pub(super) fn limit(&mut self, limit: String) {
        if !self.facts.limits.contains(&limit) {
            self.facts.limits.push(limit);
        }
    }

    /// The next number, unless there were too many already.
    fn next(&mut self) -> Option<u64> {
        if self.window.fields == 0 {
            return None;
        }
        self.window.fields -= 1;
        if self.window.fields == 0 {
            self.facts.limits.push(format!("only the first {MAX_FIELDS} fields are read"));
            self.window.seek(u64::MAX);
            return None;
        }
        varint(&mut self.window)
    }

    /// Reads the fields of a message up to `end`; false when the bytes do not make sense.
    fn message(&mut self, kind: Kind, end: u64, depth: u8) -> bool {
        let start = self.window.offset();
        if depth > MAX_DEPTH {
            self.facts.limits.push(format!("graphs are nested deeper than {MAX_DEPTH} at {start:#x}"));
            self.window.seek(end);
            return true;
        }
        let mut message = Message { dims: Some(1), ..Message::default() };
        if kind == Kind::Function {
            self.calls.open();
        }
        while self.window.offset() < end {
            let at = self.window.offset();
            let Some(key) = self.next() else {
                if self.window.fields > 0 {
                    self.defect("a field is cut", at);
                }
                return false;
            };
            let field = key >> 3;
            let fits = match key & 7 {
                _ if field == 0 => false,
                0 => match varint(&mut self.window) {
                    Some(value) => {
                        self.number(kind, field, value, &mut message);
                        true
                    }
                    None => false,
                },
                1 => self.window.skip(8),
                5 => self.window.skip(4),
                2 => match varint(&mut self.window) {
                    Some(len) if len <= end.saturating_sub(self.window.offset()) => {
                        let stop = self.window.offset() + len;
                        let fine = self.field(kind, field, len, stop, depth, &mut message);
                        self.window.seek(stop);
                        fine
                    }
                    _ => false,
                },
                _ => false,
            };
            if !fits {
                self.defect("a field is longer than its message or has no known wire type", at);
                self.window.seek(end);
                return false;
            }
        }
        self.close(kind, start, message);
        true
    }

    fn number(&mut self, kind: Kind, field: u64, value: u64, message: &mut Message) {
        match (kind, field) {
            (Kind::Model, 1) => self.facts.ir_version = value,
            (Kind::Tensor, 1) => message.dims = message.dims.and_then(|dims| dims.checked_mul(value)),
            (Kind::Tensor, 2) => message.data_type = value,
            (Kind::Tensor, 14) => message.elsewhere = value == 1,
            (Kind::Tensor, 4 | 5 | 7 | 10 | 11) => {
                message.typed = Some(message.typed.unwrap_or(0).saturating_add(1));
            }
            _ => {}
        }
    }

    fn field(
        &mut self,
        kind: Kind,
        field: u64,
        len: u64,
        stop: u64,
        depth: u8,
        message: &mut Message,
    ) -> bool {
        let inner = match (kind, field) {
            (Kind::Model, 7) => Some(Kind::Graph),
            (Kind::Model | Kind::Function, 14) | (Kind::Graph, 16) | (Kind::Node, 9) | (Kind::Tensor, 16) => {
                Some(Kind::Property)
            }
            (Kind::Model, 20) => Some(Kind::Training),
            (Kind::Model, 25) => Some(Kind::Function),
            (Kind::Training, 1 | 2) => Some(Kind::Graph),
            (Kind::Graph, 1) | (Kind::Function, 7) => Some(Kind::Node),
            (Kind::Graph, 5) => Some(Kind::Tensor),
            (Kind::Graph, 15) => Some(Kind::Sparse),
            (Kind::Sparse, 1 | 2) => Some(Kind::Tensor),
            (Kind::Node, 5) | (Kind::Function, 11) => Some(Kind::Attribute),
            (Kind::Attribute, 5 | 10) => Some(Kind::Tensor),
            (Kind::Attribute, 6 | 11) => Some(Kind::Graph),
            (Kind::Attribute, 22 | 23) => Some(Kind::Sparse),
            _ => None,
        };
        if let Some(inner) = inner {
            // The inner message has said what is wrong with it; the fields after it are still read.
            self.message(inner, stop, depth + 1);
            return true;
        }
        match (kind, field) {
            (Kind::Model, 6) | (Kind::Graph, 10) => {
                let at = self.window.offset();
                let text = self.text(len);
                self.says("doc_string", &text, at, len);
            }
            (Kind::Property | Kind::Attribute, 1) => message.name = self.text(len),
            // A text of an attribute that is short enough for the name of a file.
            (Kind::Attribute, 4) if len <= 1_024 => {
                let at = self.window.offset();
                message.value = Some((self.text(len), at, len));
            }
            (Kind::Property, 2) => {
                let at = self.window.offset();
                message.value = Some((self.text(len), at, len));
            }
            (Kind::Tensor, 4 | 5 | 6 | 7 | 10 | 11) => {
                message.typed = Some(message.typed.unwrap_or(0).saturating_add(len));
            }
            (Kind::Model, 2) => self.facts.producer = self.text(len),
            (Kind::Node, 4) => message.operator = self.text(len),
            (Kind::Node, 7) | (Kind::Function, 10) => message.domain = self.text(len),
            (Kind::Tensor, 8) | (Kind::Function, 1) => message.name = self.text(len),
            (Kind::Tensor, 9) => message.raw = Some(len),
            (Kind::Tensor, 1) => {
                while self.window.offset() < stop {
                    let Some(axis) = self.next() else { return false };
                    message.dims = message.dims.and_then(|dims| dims.checked_mul(axis));
                }
            }
            (Kind::Tensor, 13) => {
                let (mut entry, mut value) = (String::new(), String::new());
                while self.window.offset() < stop {
                    let Some(key) = self.next() else { return false };
                    let Some(len) = varint(&mut self.window).filter(|_| key & 7 == 2) else { return false };
                    if len > stop.saturating_sub(self.window.offset()) {
                        return false;
                    }
                    let text = self.text(len);
                    if key >> 3 == 1 { entry = text } else { value = text }
                }
                match entry.as_str() {
                    "location" => message.location = Some(value),
                    "offset" => message.span.0 = value.parse().unwrap_or(u64::MAX),
                    "length" => message.span.1 = Some(value.parse().unwrap_or(u64::MAX)),
                    _ => {}
                }
            }
            _ => {}
        }
        true
    }

    fn close(&mut self, kind: Kind, start: u64, message: Message) {
        match kind {
            Kind::Node => {
                self.facts.nodes += 1;
                let key = (message.domain, message.operator);
                self.calls.node(&key);
                if self.facts.operators.len() < MAX_OPERATORS {
                    self.facts.operators.entry(key).or_insert(start);
                } else if !self.facts.operators.contains_key(&key) {
                    self.limit(format!("more than {MAX_OPERATORS} different operators"));
                }
            }
            Kind::Function => {
                self.calls.close((&message.domain, &message.name));
                if self.facts.functions.len() < MAX_OPERATORS {
                    self.facts.functions.insert((message.domain, message.name));
                } else {
                    self.limit(format!("more than {MAX_OPERATORS} functions"));
                }
            }
            Kind::Property => {
                if let Some((value, at, len)) = message.value {
                    self.says(&message.name, &value, at, len);
                }
            }
            // ONNX Runtime loads what it compiled earlier from the file of this name.
            Kind::Attribute if message.name == "ep_cache_context" => {
                let Some((location, ..)) = message.value else { return };
                let path = location.replace('\\', "/");
                let leaves = path.starts_with('/') || path.split('/').any(|part| part == "..");
                if leaves && self.facts.external.len() < MAX_EXTERNAL {
                    let (tensor, span) = (message.name, (0, None));
                    self.facts.external.push(External { tensor, location, offset: start, span, leads: None });
                }
            }
            Kind::Tensor => {
                self.facts.tensors += 1;
                if let Some(location) = message.location {
                    if self.facts.external.len() < MAX_EXTERNAL {
                        self.facts.external.push(External {
                            tensor: message.name,
                            location,
                            offset: start,
                            span: message.span,
                            leads: None,
                        });
                    } else {
                        self.limit(format!("only the first {MAX_EXTERNAL} tensors in other files are told"));
                    }
                    return;
                }
                if message.elsewhere {
                    self.defect("a tensor is stored elsewhere, but no file is named", start);
                }
                let bits = match message.data_type {
                    2 | 3 | 9 | 17..=20 => 8,
                    4 | 5 | 10 | 16 => 16,
                    1 | 6 | 12 => 32,
                    7 | 11 | 13 | 14 => 64,
                    15 => 128,
                    21..=23 => 4,
                    _ => 0,
                };
                let bytes = message.dims.and_then(|dims| dims.checked_mul(bits)).map(|bits| bits.div_ceil(8));
                let stated = message.raw.or(message.typed);
                // Numbers in fields of their type take a byte at least, or the width of the type.
                let short = match (message.raw, message.typed, message.dims) {
                    (None, typed, Some(items)) => bits > 0 && typed.unwrap_or(0) < items.min(1 << 62) / 2,
                    (None, _, None) => true,
                    _ => false,
                };
                if short {
                    let what = format!(
                        "tensor `{}` declares a shape for which it has {} bytes",
                        crate::pickle::clean(&message.name),
                        stated.unwrap_or(0)
                    );
                    self.defect(&what, start);
                } else if bits > 0 && message.raw.is_some() && message.raw != bytes {
                    let what = format!(
                        "the bytes of tensor `{}` do not fit its shape",
                        crate::pickle::clean(&message.name)
                    );
                    self.defect(&what, start);
                }
            }
            _ => {}
        }
    }
}
