//! Flatbuffers without a schema compiler: tables, vectors and texts, every offset checked.

use crate::structure::Structure;
use crate::window::Window;

/// Reads one flatbuffer that begins at `base` of the window's source.
pub(crate) struct Flat<'a> {
    pub(crate) window: Window<'a>,
    base: u64,
    /// Offset after the flatbuffer; nothing in it may lie beyond.
    limit: u64,
    /// The furthest byte that something refers to.
    pub(crate) end: u64,
    /// Tables that may still be opened.
    steps: u64,
    /// Items of vectors that may still be read one by one.
    items: u64,
    /// Bytes of texts that may still be read: tables may share a long one.
    texts: u64,
    pub(crate) facts: Structure,
}

/// A table and its list of fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) at: u64,
    fields: u64,
    count: u64,
}

const MAX_TABLES: u64 = 1 << 20;
const MAX_ITEMS: u64 = 1 << 24;
const MAX_TEXT: u64 = 8 << 10;
const MAX_TEXTS: u64 = 64 << 20;

impl<'a> Flat<'a> {
    pub(crate) fn new(window: Window<'a>, base: u64, limit: u64, facts: Structure) -> Self {
        Self { window, base, limit, end: base, steps: MAX_TABLES, items: MAX_ITEMS, texts: MAX_TEXTS, facts }
    }

    pub(crate) fn root(&mut self) -> Option<Table> {
        let at = self.reference(self.base)?;
        self.table(at)
    }

    /// A number in little endian; `None` outside the flatbuffer.
    pub(crate) fn number(&mut self, at: u64, width: usize) -> Option<u64> {
        let end = at.checked_add(width as u64).filter(|&end| end <= self.limit)?;
        self.window.seek(at);
        let bytes = self.window.take(width)?;
        let value = bytes.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        self.end = self.end.max(end);
        Some(value)
    }

    pub(crate) fn reference(&mut self, at: u64) -> Option<u64> {
        at.checked_add(self.number(at, 4)?)
    }

    pub(crate) fn table(&mut self, at: u64) -> Option<Table> {
        if self.steps == 0 {
            self.facts.limit(format!("only the first {MAX_TABLES} tables are read"));
            return None;
        }
        self.steps -= 1;
        let back = i64::from((self.number(at, 4)? as u32).cast_signed());
        let fields = at.checked_add_signed(back.checked_neg()?)?;
        let size = self.number(fields, 2)?;
        let own = self.number(fields + 2, 2)?;
        let end = at.checked_add(own)?.max(fields + size);
        let count = (size / 2).checked_sub(2).filter(|_| size % 2 == 0 && end <= self.limit)?;
        self.end = self.end.max(end);
        Some(Table { at, fields, count })
    }

    /// The place of a field, if the table has it.
    pub(crate) fn field(&mut self, table: Table, index: u64) -> Option<u64> {
        if index >= table.count {
            return None;
        }
        let offset = self.number(table.fields + 4 + 2 * index, 2)?;
        (offset > 0).then_some(table.at + offset)
    }

    /// A number in a field, or its default.
    pub(crate) fn value(&mut self, table: Table, index: u64, width: usize) -> u64 {
        self.field(table, index).and_then(|at| self.number(at, width)).unwrap_or(0)
    }

    /// A table in a field.
    pub(crate) fn child(&mut self, table: Table, index: u64) -> Option<Table> {
        let field = self.field(table, index)?;
        let child = self.reference(field).and_then(|at| self.table(at));
        if child.is_none() && self.facts.limits.is_empty() {
            self.facts.defect("a table lies outside the file", field);
        }
        child
    }

    /// The first item of a vector and how many there are; what lies outside is a defect.
    pub(crate) fn vector(&mut self, table: Table, index: u64, width: u64) -> Option<(u64, u64)> {
        let field = self.field(table, index)?;
        let found = self.reference(field).and_then(|at| Some((at, self.number(at, 4)?)));
        let end = found.and_then(|(at, count)| at.checked_add(4)?.checked_add(count.checked_mul(width)?));
        match (found, end.filter(|&end| end <= self.limit)) {
            (Some((at, count)), Some(end)) => {
                self.end = self.end.max(end);
                Some((at + 4, count))
            }
            _ => {
                self.facts.defect("a vector reaches past the end", field);
                None
            }
        }
    }

    /// Takes items from those that may still be read, since vectors may be shared; how many there are.
    pub(crate) fn allow(&mut self, count: u64) -> u64 {
        if count > self.items {
            self.facts.limit(format!("only the first {MAX_ITEMS} items of its lists are read"));
        }
        let allowed = count.min(self.items);
        self.items -= allowed;
        allowed
    }

    /// How many items a vector has; 0 when it is not there.
    pub(crate) fn count(&mut self, table: Table, index: u64, width: u64) -> u64 {
        self.vector(table, index, width).map_or(0, |(_, count)| count)
    }

    /// A text in a field, cut at a bound.
    pub(crate) fn text(&mut self, table: Table, index: u64) -> Option<String> {
        let (at, len) = self.vector(table, index, 1)?;
        Some(self.text_at(at, len))
    }

    fn text_at(&mut self, at: u64, len: u64) -> String {
        // The terminating zero belongs to the text.
        self.end = self.end.max((at + len + 1).min(self.limit));
        let kept = len.min(MAX_TEXT);
        if kept > self.texts {
            self.facts.limit(format!("only the first {MAX_TEXTS} bytes of its texts are read"));
            return String::new();
        }
        self.texts -= kept;
        self.window.seek(at);
        let bytes = self.window.take(kept as usize).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The texts of a vector of texts, each with its offset.
    pub(crate) fn texts(&mut self, table: Table, index: u64, max: u64) -> Vec<(String, u64)> {
        let Some((first, count)) = self.vector(table, index, 4) else { return Vec::new() };
        if count > max {
            self.facts.limit(format!("only the first {max} texts of a list are read"));
        }
        let mut texts = Vec::new();
        for item in 0..count.min(max) {
            let found = self.reference(first + 4 * item).and_then(|at| Some((at + 4, self.number(at, 4)?)));
            match found.filter(|(at, len)| at.checked_add(*len).is_some_and(|end| end <= self.limit)) {
                Some((at, len)) => {
                    let text = self.text_at(at, len);
                    texts.push((text, at));
                }
                None => self.facts.defect("a text lies outside the file", first + 4 * item),
            }
        }
        texts
    }

    /// The tables of a vector; those that cannot be read are defects.
    pub(crate) fn tables(&mut self, table: Table, index: u64) -> Vec<Table> {
        const MAX: u64 = 1 << 17;
        let Some((first, count)) = self.vector(table, index, 4) else { return Vec::new() };
        if count > MAX {
            self.facts.limit(format!("only the first {MAX} tables of a list are read"));
        }
        let mut tables = Vec::new();
        for item in 0..count.min(MAX) {
            match self.reference(first + 4 * item).and_then(|at| self.table(at)) {
                Some(table) => tables.push(table),
                None if self.steps == 0 => break,
                None => self.facts.defect("a table lies outside the file", first + 4 * item),
            }
        }
        tables
    }
}

/// Flatbuffers for tests: tables whose fields are all of four bytes.
#[cfg(test)]
pub(crate) mod forge {
    /// An empty table at the end; where it is.
    pub(crate) fn table(bytes: &mut Vec<u8>, fields: u16) -> usize {
        let start = bytes.len();
        bytes.extend((4 + 2 * fields).to_le_bytes());
        bytes.extend((4 + 4 * fields).to_le_bytes());
        (0..fields).for_each(|field| bytes.extend((4 + 4 * field).to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let at = bytes.len();
        bytes.extend((at as u32 - start as u32).to_le_bytes());
        bytes.resize(bytes.len() + 4 * usize::from(fields), 0);
        at
    }

    /// Puts a vector at the end and into a field of a table.
    pub(crate) fn vector(bytes: &mut Vec<u8>, table: usize, field: usize, items: &[u32]) {
        let (at, place) = (bytes.len(), table + 4 + 4 * field);
        bytes[place..place + 4].copy_from_slice(&((at - place) as u32).to_le_bytes());
        bytes.extend((items.len() as u32).to_le_bytes());
        items.iter().for_each(|item| bytes.extend(item.to_le_bytes()));
    }

    /// What a field holds.
    pub(crate) enum Field {
        /// It is not there.
        Nothing,
        Number(u32),
        Double(f64),
        Table(Vec<Field>),
        Tables(Vec<Vec<Field>>),
        Numbers(Vec<u32>),
        Bytes(Vec<u8>),
    }

    /// A flatbuffer with this root and mark.
    pub(crate) fn build(mark: &[u8], root: Vec<Field>) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(mark);
        put(&mut bytes, 0, Field::Table(root));
        bytes
    }

    fn refer(bytes: &mut [u8], place: usize, to: usize) {
        bytes[place..place + 4].copy_from_slice(&((to - place) as u32).to_le_bytes());
    }

    fn put(bytes: &mut Vec<u8>, place: usize, field: Field) {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        match field {
            Field::Nothing => {}
            Field::Number(number) => bytes[place..place + 4].copy_from_slice(&number.to_le_bytes()),
            Field::Double(number) => bytes[place..place + 8].copy_from_slice(&number.to_le_bytes()),
            Field::Table(fields) => {
                // Eight bytes a field, whatever is in it.
                let (start, count) = (bytes.len(), fields.len() as u16);
                bytes.extend((4 + 2 * count).to_le_bytes());
                bytes.extend((8 + 8 * count).to_le_bytes());
                for (index, field) in fields.iter().enumerate() {
                    let there = !matches!(field, Field::Nothing);
                    bytes.extend((if there { 8 + 8 * index as u16 } else { 0 }).to_le_bytes());
                }
                bytes.resize(bytes.len().next_multiple_of(8), 0);
                let at = bytes.len();
                refer(bytes, place, at);
                bytes.extend((at as u32 - start as u32).to_le_bytes());
                bytes.resize(at + 8 + 8 * usize::from(count), 0);
                fields
                    .into_iter()
                    .enumerate()
                    .for_each(|(index, field)| put(bytes, at + 8 + 8 * index, field));
            }
            Field::Tables(tables) => {
                let at = bytes.len();
                refer(bytes, place, at);
                bytes.extend((tables.len() as u32).to_le_bytes());
                bytes.resize(at + 4 + 4 * tables.len(), 0);
                for (index, table) in tables.into_iter().enumerate() {
                    put(bytes, at + 4 + 4 * index, Field::Table(table));
                }
            }
            Field::Numbers(items) => {
                let at = bytes.len();
                refer(bytes, place, at);
                bytes.extend((items.len() as u32).to_le_bytes());
                items.iter().for_each(|item| bytes.extend(item.to_le_bytes()));
            }
            Field::Bytes(items) => {
                let at = bytes.len();
                refer(bytes, place, at);
                bytes.extend((items.len() as u32).to_le_bytes());
                bytes.extend(items);
                bytes.push(0);
            }
        }
    }
}
