//! TensorFlow Lite: a flatbuffer read table by table, every offset checked.

mod graph;

use std::collections::BTreeMap;

pub use graph::graph;

use mantlet_vocab::Source;

use crate::Bounds;
use crate::window::Window;

/// The facts of a TensorFlow Lite model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tflite {
    /// Operators that are not built in, with the offset of their name.
    pub custom: BTreeMap<String, u64>,
    /// Tensors.
    pub tensors: u64,
    /// Operators in all graphs.
    pub operators: u64,
    /// Bytes after everything the model refers to, unless they are an archive of labels.
    pub trailing: u64,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const CUSTOM: u64 = 32;
const MAX_ITEMS: u64 = 1 << 20;
const MAX_CUSTOM: usize = 1_024;
const MAX_GRAPHS: u64 = 4_096;

/// Whether the bytes begin like a TensorFlow Lite model.
#[must_use]
pub fn is_tflite(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"TFL3")
}

/// The facts of a TensorFlow Lite model. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Tflite {
    let mut walk = Walk {
        window: Window::new(source, 0),
        facts: Tflite::default(),
        end: 8,
        max: bounds.max_facts,
        steps: 0,
    };
    if walk.model().is_none() && walk.facts.limits.is_empty() {
        walk.defect("the root table cannot be read", 0);
    }
    let rest = source.len().saturating_sub(walk.end);
    walk.window.seek(walk.end);
    // Writers of metadata put an archive of label files behind the model.
    let mut ahead = [0_u8; 40];
    let read = source.read_at(walk.end, &mut ahead).unwrap_or(0);
    let archive = memchr::memmem::find(&ahead[..read], b"PK\x03\x04").is_some();
    if rest > 64 && !archive && walk.facts.defects.is_empty() && walk.facts.limits.is_empty() {
        walk.facts.trailing = rest;
    }
    if let Some(error) = walk.window.failed {
        walk.facts.limits.push(error.to_string());
    }
    walk.facts
}

struct Walk<'a> {
    window: Window<'a>,
    facts: Tflite,
    /// The furthest byte that something refers to.
    end: u64,
    max: usize,
    steps: u64,
}

/// A table and its list of fields.
#[derive(Clone, Copy)]
struct Table {
    at: u64,
    fields: u64,
    count: u64,
}

impl Walk<'_> {
    fn limit(&mut self, limit: String) {
        if !self.facts.limits.contains(&limit) {
            self.facts.limits.push(limit);
        }
    }

    fn defect(&mut self, what: &str, at: u64) {
        if self.facts.defects.len() < self.max {
            self.facts.defects.push((what.to_owned(), at));
        }
    }

    fn number(&mut self, at: u64, width: usize) -> Option<u64> {
        self.window.seek(at);
        let bytes = self.window.take(width)?;
        let value = bytes.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        self.end = self.end.max(at + width as u64);
        Some(value)
    }

    fn reference(&mut self, at: u64) -> Option<u64> {
        at.checked_add(self.number(at, 4)?)
    }

    fn table(&mut self, at: u64) -> Option<Table> {
        let back = i64::from((self.number(at, 4)? as u32).cast_signed());
        let fields = at.checked_add_signed(back.checked_neg()?)?;
        let size = self.number(fields, 2)?;
        let own = self.number(fields + 2, 2)?;
        self.end = self.end.max(at + own).max(fields + size);
        let count = (size / 2).checked_sub(2).filter(|_| size % 2 == 0)?;
        Some(Table { at, fields, count })
    }

    /// The place of a field, if the table has it.
    fn field(&mut self, table: Table, index: u64) -> Option<u64> {
        if index >= table.count {
            return None;
        }
        let offset = self.number(table.fields + 4 + 2 * index, 2)?;
        (offset > 0).then_some(table.at + offset)
    }

    /// The first item of a vector and how many there are.
    fn vector(&mut self, table: Table, index: u64, width: u64) -> Option<(u64, u64)> {
        let field = self.field(table, index)?;
        let at = self.reference(field)?;
        let count = self.number(at, 4)?;
        let bytes = count.checked_mul(width)?;
        self.window.seek(at + 4);
        if bytes > self.window.rest() {
            self.defect("a vector reaches past the end of the file", at);
            return None;
        }
        self.end = self.end.max(at + 4 + bytes);
        Some((at + 4, count))
    }

    fn each(&mut self, table: Table, index: u64, step: fn(&mut Self, Table)) {
        let Some((first, count)) = self.vector(table, index, 4) else { return };
        for item in 0..count {
            self.steps += 1;
            if self.steps > MAX_ITEMS {
                self.limit(format!("only the first {MAX_ITEMS} tables are read"));
                return;
            }
            let at = first + 4 * item;
            match self.reference(at).and_then(|at| self.table(at)) {
                Some(inner) => step(self, inner),
                None => self.defect("a table cannot be read", at),
            }
        }
    }

    fn model(&mut self) -> Option<()> {
        let root = self.number(0, 4)?;
        let model = self.table(root)?;
        self.each(model, 1, |walk, code| {
            let old = walk.field(code, 0).and_then(|at| walk.number(at, 1)).unwrap_or(0);
            let new = walk.field(code, 3).and_then(|at| walk.number(at, 4)).unwrap_or(0);
            let name = walk.vector(code, 1, 1);
            if old.max(new) == CUSTOM {
                let (at, len) = name.unwrap_or((code.at, 0));
                walk.window.seek(at);
                let name = walk.window.take(len.min(120) as usize).unwrap_or_default().to_vec();
                if walk.facts.custom.len() < MAX_CUSTOM {
                    walk.facts.custom.entry(String::from_utf8_lossy(&name).into_owned()).or_insert(at);
                } else {
                    walk.limit(format!("only the first {MAX_CUSTOM} custom operators are told"));
                }
            }
        });
        self.vector(model, 3, 1);
        self.each(model, 4, |walk, buffer| {
            walk.vector(buffer, 0, 1);
            // Large models keep the bytes outside the flatbuffer.
            let offset = walk.field(buffer, 1).and_then(|at| walk.number(at, 8)).unwrap_or(0);
            let size = walk.field(buffer, 2).and_then(|at| walk.number(at, 8)).unwrap_or(0);
            if offset > 1 {
                let end = offset.checked_add(size);
                walk.window.seek(0);
                match end.filter(|&end| end <= walk.window.rest()) {
                    Some(end) => walk.end = walk.end.max(end),
                    None => walk.defect("a buffer reaches past the end of the file", buffer.at),
                }
            }
        });
        let buffers = self.vector(model, 4, 4).map_or(0, |(_, count)| count);
        self.steps = self.steps.max(buffers);
        let subgraphs = self.vector(model, 2, 4)?;
        if subgraphs.1 > MAX_GRAPHS {
            self.limit(format!("only the first {MAX_GRAPHS} graphs are read"));
        }
        for item in 0..subgraphs.1.min(MAX_GRAPHS) {
            let Some(graph) = self.reference(subgraphs.0 + 4 * item).and_then(|at| self.table(at)) else {
                self.defect("a graph cannot be read", subgraphs.0 + 4 * item);
                continue;
            };
            self.graph(graph, buffers);
        }
        self.each(model, 6, |walk, metadata| {
            walk.vector(metadata, 0, 1);
        });
        self.each(model, 7, |walk, signature| {
            for field in 0..3 {
                walk.vector(signature, field, 1);
            }
        });
        Some(())
    }

    fn graph(&mut self, graph: Table, buffers: u64) {
        for field in [1, 2] {
            self.vector(graph, field, 4);
        }
        self.vector(graph, 4, 1);
        if let Some((first, count)) = self.vector(graph, 0, 4) {
            for item in 0..count.min(MAX_ITEMS) {
                let Some(tensor) = self.reference(first + 4 * item).and_then(|at| self.table(at)) else {
                    self.defect("a tensor cannot be read", first + 4 * item);
                    continue;
                };
                self.facts.tensors += 1;
                self.vector(tensor, 0, 4);
                self.vector(tensor, 3, 1);
                let buffer = self.field(tensor, 2).and_then(|at| self.number(at, 4)).unwrap_or(0);
                if buffer >= buffers {
                    self.defect("a tensor names a buffer that is not there", tensor.at);
                }
            }
        }
        if let Some((_, count)) = self.vector(graph, 3, 4) {
            self.facts.operators += count;
        }
        self.each(graph, 3, |walk, operator| {
            walk.vector(operator, 1, 4);
            walk.vector(operator, 2, 4);
            walk.vector(operator, 5, 1);
        });
    }
}
