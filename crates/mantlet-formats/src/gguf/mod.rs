//! GGUF: typed metadata, a list of tensors, and their bytes at aligned offsets.
//!
//! Versions 1 to 3, both byte orders. Every count and length is checked against what is left of the file
//! before it is believed; sizes are computed with overflow checks as readers have been made to overflow.
//!
//! Long because what the entries say and what readers make of it is checked in the one pass over them.

mod ggml;
mod reader;
mod types;

pub use ggml::{Ggml, analyse as analyse_ggml};

use std::collections::HashSet;

use mantlet_vocab::{Source, read_window};

use crate::Bounds;
use crate::weights::{Listing, MAX_TENSORS, TensorInfo};
use reader::{Reader, Wide};

/// A text among the metadata and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The key.
    pub key: String,
    /// Offset of its first byte.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
}

/// The facts of a GGUF file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gguf {
    /// The version of the format.
    pub version: u32,
    /// `general.architecture`.
    pub architecture: String,
    /// Number of metadata entries read.
    pub entries: u64,
    /// Number of tensors read.
    pub tensors: u64,
    /// Chat templates: programs that the loader renders.
    pub templates: Vec<Text>,
    /// Other texts of the metadata, arrays excluded.
    pub texts: Vec<Text>,
    /// What is wrong, in words, with offsets.
    pub defects: Vec<(String, u64)>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const MAX_ENTRIES: u64 = 1 << 20;
const MAX_TEXTS: usize = 4_096;
/// Layers that no model has; llama.cpp keeps what it knows of each in arrays of 512.
const MAX_LAYERS: u32 = 1_024;

/// The facts of a GGUF file. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Gguf {
    walk(source, bounds, &mut |_| {})
}

/// The tensors of a GGUF file.
#[must_use]
pub fn tensors(source: &dyn Source, bounds: &Bounds) -> Listing {
    let mut listing = Listing::default();
    let facts = walk(source, bounds, &mut |tensor| listing.tensors.push(tensor));
    listing.limits = facts.limits;
    listing.limits.extend(facts.defects.into_iter().map(|(what, _)| what));
    listing
}

fn walk(source: &dyn Source, bounds: &Bounds, each: &mut dyn FnMut(TensorInfo)) -> Gguf {
    let mut walk = Walk {
        source,
        reader: Reader::new(source),
        facts: Gguf::default(),
        alignment: 32,
        max: bounds.max_facts,
        lists: Vec::new(),
        tokens: false,
    };
    if let Err((what, at)) = walk.file(each) {
        walk.defect(what, at);
    }
    if let Some(error) = walk.reader.failed() {
        walk.facts.limits.push(error);
    }
    walk.facts
}

struct Walk<'a> {
    source: &'a dyn Source,
    reader: Reader<'a>,
    facts: Gguf,
    alignment: u64,
    max: usize,
    /// Lists of the vocabulary that go side by side, and how long they are.
    lists: Vec<(String, u64)>,
    /// The list that is read is that of the tokens.
    tokens: bool,
}

type Fault = (String, u64);

impl Walk<'_> {
    fn defect(&mut self, what: impl Into<String>, at: u64) {
        if self.facts.defects.len() < self.max {
            self.facts.defects.push((what.into(), at));
        }
    }

    fn file(&mut self, each: &mut dyn FnMut(TensorInfo)) -> Result<(), Fault> {
        let cut = |at| ("the file ends within its header".to_owned(), at);
        self.reader.skip(4);
        let mut version = self.reader.u32().ok_or_else(|| cut(4))?;
        if version > 0xffff {
            version = version.swap_bytes();
            self.reader.big = true;
        }
        self.facts.version = version;
        if !(1..=3).contains(&version) {
            return Err((format!("version {version} of the format does not exist"), 4));
        }
        self.reader.wide = if version == 1 { Wide::Four } else { Wide::Eight };
        let tensors = self.reader.count().ok_or_else(|| cut(8))?;
        let entries = self.reader.count().ok_or_else(|| cut(8))?;
        let rest = self.reader.rest();
        // The smallest entry and the smallest tensor take this many bytes.
        if entries > rest / 13 || tensors > rest / 24 {
            let what = format!("{tensors} tensors and {entries} entries are declared in {rest} bytes");
            return Err((what, 8));
        }
        self.entries(entries)?;
        self.list(tensors, each)
    }

    fn entries(&mut self, entries: u64) -> Result<(), Fault> {
        let mut keys = HashSet::new();
        for index in 0..entries {
            if index >= MAX_ENTRIES {
                self.facts.limits.push(format!("only the first {MAX_ENTRIES} metadata entries are read"));
                return Err(("more metadata than any model has".into(), self.reader.offset()));
            }
            let at = self.reader.offset();
            let cut = || (format!("metadata entry {index} is cut or its length lies"), at);
            let (key, whole) = self.reader.string(256).ok_or_else(cut)?;
            if whole > 65_535 {
                self.defect(format!("a key of {whole} bytes"), at);
            }
            if !keys.insert(key.clone()) {
                self.defect(
                    format!("`{}` is there twice; readers differ in which they take", shown(&key)),
                    at,
                );
            }
            let kind = self.reader.u32().ok_or_else(cut)?;
            if let Some(wrong) = types::wrong(&key, kind) {
                self.defect(format!("`{key}` is not {wrong}, as it must be"), at);
            }
            if kind == types::STRING {
                let len = self.reader.count().ok_or_else(cut)?;
                let start = self.reader.offset();
                if len > self.reader.rest() {
                    return Err(cut());
                }
                self.text(&key, start, len);
                self.reader.skip(len);
            } else if key == "general.alignment" && kind == types::U32 {
                self.alignment = u64::from(self.reader.u32().ok_or_else(cut)?);
                if !self.alignment.is_power_of_two() || self.alignment > 1 << 20 {
                    let what = format!("an alignment of {} bytes", self.alignment);
                    self.alignment = 32;
                    self.defect(what, at);
                }
            } else {
                let before = self.reader.offset();
                if kind == types::ARRAY && key.starts_with("tokenizer.ggml.") {
                    let count = read_window(self.source, before + 4, 8).unwrap_or_default();
                    let count = count.try_into().map_or(0, u64::from_le_bytes);
                    self.lists.push((key.clone(), count));
                    self.vocabulary(&key, before, at);
                }
                if kind == types::U32 && key.ends_with(".block_count") {
                    let bytes = read_window(self.source, before, 4).unwrap_or_default();
                    let layers = self.number(&bytes);
                    if layers > MAX_LAYERS {
                        self.defect(format!("`{key}` is {layers}; readers have room for 512 layers"), at);
                    }
                }
                self.tokens = key == "tokenizer.ggml.tokens";
                self.value(kind, 0).ok_or_else(|| {
                    (format!("the value of `{}` is cut, or its type or length lies", shown(&key)), at)
                })?;
            }
            self.facts.entries += 1;
        }
        let of = |lists: &[(String, u64)], name: &str| {
            lists.iter().find(|(key, _)| key == name).map(|(_, count)| *count)
        };
        let tokens = of(&self.lists, "tokenizer.ggml.tokens");
        for name in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] {
            if let (Some(tokens), Some(count)) = (tokens, of(&self.lists, name))
                && count < tokens
                && tokens < 1 << 24
            {
                let what = format!("`{name}` has {count} values for {tokens} tokens; readers read on");
                self.defect(what, self.reader.offset());
            }
        }
        Ok(())
    }

    fn number(&self, bytes: &[u8]) -> u32 {
        let Ok(bytes) = bytes.try_into() else { return 0 };
        if self.reader.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// What a list of the vocabulary, whose type stands at `start`, must be: readers take it for that without asking.
    fn vocabulary(&mut self, key: &str, start: u64, at: u64) {
        let inner = self.number(&read_window(self.source, start, 4).unwrap_or_default());
        if let Some(wrong) = types::wrong_items(key, inner) {
            self.defect(format!("the items of `{key}` are not {wrong}, as they must be"), at);
        }
        let wide = if matches!(self.reader.wide, Wide::Four) { 8 } else { 12 };
        let count = self.lists.last().map_or(0, |(_, count)| *count);
        if key == "tokenizer.ggml.precompiled_charsmap" && matches!(inner, 0 | 1) && count > 0 {
            let head = read_window(self.source, start + wide, count.min(4) as usize).unwrap_or_default();
            // The bytes of the first table stand before it.
            if count < 4 || u64::from(self.number(&head)) > count - 4 {
                self.defect(format!("`{key}` has {count} bytes, fewer than its own table needs"), at);
            }
        }
    }

    fn text(&mut self, key: &str, start: u64, len: u64) {
        if key == "general.architecture" {
            let text = read_window(self.source, start, len.min(100) as usize).unwrap_or_default();
            self.facts.architecture = shown(&String::from_utf8_lossy(&text));
        }
        let text = Text { key: key.to_owned(), start, len };
        if key.contains("chat_template") {
            self.facts.templates.push(text);
        } else if self.facts.texts.len() < MAX_TEXTS {
            self.facts.texts.push(text);
        } else {
            let limit = format!("only the first {MAX_TEXTS} texts of its metadata are examined");
            if !self.facts.limits.contains(&limit) {
                self.facts.limits.push(limit);
            }
        }
    }

    /// A token; those that stand for a byte say which, and readers count with what they say.
    fn token(&mut self) -> Option<()> {
        let at = self.reader.offset();
        let (token, _) = self.reader.string(12)?;
        let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        if let Some(byte) = byte
            && (byte.len() != 2 || !byte.bytes().all(|digit| digit.is_ascii_hexdigit()))
        {
            self.defect(format!("the token `{}` stands for no byte", shown(&token)), at);
        }
        Some(())
    }

    /// Steps over a value; `None` when it does not fit the file.
    fn value(&mut self, kind: u32, depth: u8) -> Option<()> {
        if let Some(width) = types::width(kind) {
            return self.reader.skip(width).then_some(());
        }
        match kind {
            types::STRING => {
                let len = self.reader.count()?;
                self.reader.skip(len).then_some(())
            }
            types::ARRAY => {
                let inner = self.reader.u32()?;
                let count = self.reader.count()?;
                if let Some(width) = types::width(inner) {
                    let bytes = count.checked_mul(width)?;
                    return self.reader.skip(bytes).then_some(());
                }
                // Each text and each array takes at least its length.
                if count > self.reader.rest() / 4 || depth > 4 {
                    return None;
                }
                for _ in 0..count {
                    if self.tokens && inner == types::STRING {
                        self.token()?;
                    } else {
                        self.value(inner, depth + 1)?;
                    }
                }
                Some(())
            }
            _ => None,
        }
    }

    fn list(&mut self, tensors: u64, each: &mut dyn FnMut(TensorInfo)) -> Result<(), Fault> {
        let mut names = HashSet::new();
        let mut runs: Vec<(u64, u64, u32)> = Vec::new();
        let mut infos = Vec::new();
        for index in 0..tensors {
            if infos.len() >= MAX_TENSORS {
                self.facts.limits.push(format!("only the first {MAX_TENSORS} tensors are read"));
                return Ok(());
            }
            let at = self.reader.offset();
            let cut = || (format!("the entry of tensor {index} is cut or its length lies"), at);
            let (name, whole) = self.reader.string(128).ok_or_else(cut)?;
            if whole > 127 {
                self.defect(format!("a tensor name of {whole} bytes; readers keep 64"), at);
            }
            if !names.insert(name.clone()) {
                self.defect(format!("tensor `{}` is there twice", shown(&name)), at);
            }
            let axes = self.reader.u32().ok_or_else(cut)?;
            if axes > 8 {
                return Err((format!("tensor `{}` has {axes} axes", shown(&name)), at));
            }
            if axes > 4 {
                self.defect(
                    format!("tensor `{}` has {axes} axes; readers have room for 4", shown(&name)),
                    at,
                );
            }
            let mut shape = Vec::new();
            for _ in 0..axes {
                shape.push(self.reader.count().ok_or_else(cut)?);
            }
            let kind = self.reader.u32().ok_or_else(cut)?;
            let offset = self.reader.u64().ok_or_else(cut)?;
            let size = types::size(kind, &shape);
            match size {
                types::Size::Bytes(len) => {
                    runs.push((offset, len, infos.len() as u32));
                    infos.push(TensorInfo { name, dtype: types::dtype(kind), shape, start: offset, len });
                }
                types::Size::Overflow => {
                    let what = format!("the shape of tensor `{}` overflows: {shape:?}", shown(&name));
                    self.defect(what, at);
                }
                types::Size::Uneven => {
                    let what = format!("the rows of tensor `{}` are no whole blocks", shown(&name));
                    self.defect(what, at);
                }
                types::Size::Unknown => {
                    let what = format!("tensor `{}` is of unknown type {kind}", shown(&name));
                    if kind > 255 {
                        self.defect(what, at)
                    } else {
                        self.facts.limits.push(what)
                    }
                    runs.push((offset, 0, u32::MAX));
                }
            }
            if offset % self.alignment != 0 {
                self.defect(format!("the offset of tensor {index} is not aligned"), at);
            }
            self.facts.tensors += 1;
        }
        self.layout(runs, infos, each);
        Ok(())
    }

    /// Whether the tensors tile the rest of the file, padding aside.
    fn layout(
        &mut self,
        mut runs: Vec<(u64, u64, u32)>,
        infos: Vec<TensorInfo>,
        each: &mut dyn FnMut(TensorInfo),
    ) {
        let Some(data) = self.reader.offset().checked_next_multiple_of(self.alignment) else { return };
        let whole = self.source.len().saturating_sub(data);
        let unknown = runs.iter().any(|run| run.2 == u32::MAX);
        self.padding(self.reader.offset(), data.min(self.source.len()), "after the list of tensors");
        runs.sort_unstable();
        let mut end = 0_u64;
        for (offset, len, index) in runs {
            let Some(info) = infos.get(index as usize) else {
                end = end.max(offset);
                continue;
            };
            let name = shown(&info.name);
            if len == 0 {
                continue;
            }
            let Some(stop) = offset.checked_add(len).filter(|&stop| stop <= whole) else {
                self.defect(
                    format!("tensor `{name}` reaches past the end of the file"),
                    data.saturating_add(offset),
                );
                continue;
            };
            if offset < end {
                self.defect(format!("tensor `{name}` shares bytes with another"), data + offset);
            } else if offset > end && !unknown {
                self.padding(data + end, data + offset, &format!("before tensor `{name}`"));
            }
            end = end.max(stop);
        }
        if end < whole && !unknown && self.facts.tensors > 0 {
            self.tail(data + end, data + whole);
        } else if self.facts.tensors == 0 && whole > self.alignment {
            self.padding(data, data + whole, "after the metadata");
        }
        for mut info in infos {
            if let Some(start) = data.checked_add(info.start) {
                info.start = start;
                each(info);
            }
        }
    }

    /// What follows the tensors: nothing but zeros, as files that were laid out in blocks have, or a defect.
    fn tail(&mut self, from: u64, to: u64) {
        const MOST: u64 = 1 << 20;
        let len = to.saturating_sub(from);
        let zeros = len <= MOST
            && read_window(self.source, from, len as usize)
                .is_ok_and(|bytes| bytes.len() as u64 == len && bytes.iter().all(|&byte| byte == 0));
        if !zeros {
            self.padding(from, to, "after the last tensor");
        }
    }

    /// Bytes between parts: less than one alignment, and zero.
    fn padding(&mut self, from: u64, to: u64, place: &str) {
        let len = to.saturating_sub(from);
        let zero = || {
            let bytes = read_window(self.source, from, len as usize).unwrap_or_default();
            bytes.iter().all(|&byte| byte == 0)
        };
        if len > self.alignment || len > 0 && !zero() {
            self.defect(format!("{len} bytes {place} belong to no tensor"), from);
        }
    }
}

fn shown(text: &str) -> String {
    crate::pickle::clean(&text.chars().take(80).collect::<String>())
}
