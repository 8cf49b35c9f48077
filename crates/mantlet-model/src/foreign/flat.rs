//! Flatbuffers in memory: tables, their fields and vectors, every offset checked.

use prost::bytes::Bytes;

/// The bytes of a flatbuffer, and how many items may still be read from it: vectors may share them.
pub(super) struct Flat {
    pub(super) bytes: Bytes,
    left: usize,
}

/// Items that are read from one file.
const MAX_ITEMS: usize = 1 << 22;

/// A table: where it is, and where its list of fields is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    at: usize,
    fields: usize,
    size: usize,
}

impl Flat {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, left: MAX_ITEMS }
    }

    pub(super) fn number(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn reference(&self, at: usize) -> Option<usize> {
        at.checked_add(usize::try_from(self.number(at, 4)?).ok()?)
    }

    pub(super) fn root(&self) -> Option<Table> {
        self.table(self.reference(0)?)
    }

    fn table(&self, at: usize) -> Option<Table> {
        let back = (self.number(at, 4)? as u32).cast_signed();
        let fields = at.checked_add_signed(isize::try_from(back).ok()?.checked_neg()?)?;
        let size = self.number(fields, 2)? as usize;
        Some(Table { at, fields, size })
    }

    /// The place of a field, if the table has it.
    fn field(&self, table: Table, index: usize) -> Option<usize> {
        let entry = 4 + 2 * index;
        if entry + 2 > table.size {
            return None;
        }
        let offset = self.number(table.fields.checked_add(entry)?, 2)? as usize;
        (offset > 0).then(|| table.at.checked_add(offset)).flatten()
    }

    /// A number in a field, or its default.
    pub(super) fn value(&self, table: Table, index: usize, width: usize, none: u64) -> u64 {
        self.field(table, index).and_then(|at| self.number(at, width)).unwrap_or(none)
    }

    /// A whole number with a sign, of four bytes.
    pub(super) fn signed(&self, table: Table, index: usize) -> i64 {
        (self.value(table, index, 4, 0) as u32).cast_signed().into()
    }

    pub(super) fn float(&self, table: Table, index: usize) -> Option<f32> {
        self.field(table, index).and_then(|at| self.number(at, 4)).map(|bits| f32::from_bits(bits as u32))
    }

    pub(super) fn child(&self, table: Table, index: usize) -> Option<Table> {
        self.table(self.reference(self.field(table, index)?)?)
    }

    /// Where the items of a vector begin, and how many there are.
    fn vector(&self, table: Table, index: usize, width: usize) -> Option<(usize, usize)> {
        let at = self.reference(self.field(table, index)?)?;
        let count = usize::try_from(self.number(at, 4)?).ok()?;
        let first = at.checked_add(4)?;
        let end = first.checked_add(count.checked_mul(width)?)?;
        (end <= self.bytes.len()).then_some((first, count))
    }

    /// Whether a table has a field.
    pub(super) fn has(&self, table: Table, index: usize) -> bool {
        self.field(table, index).is_some()
    }

    /// The bytes of a vector of bytes.
    pub(super) fn raw(&self, table: Table, index: usize) -> Option<Bytes> {
        let (first, count) = self.vector(table, index, 1)?;
        Some(self.bytes.slice(first..first + count))
    }

    pub(super) fn text(&self, table: Table, index: usize) -> String {
        let raw = self.raw(table, index).unwrap_or_default();
        String::from_utf8_lossy(&raw[..raw.len().min(200)]).into_owned()
    }

    /// The tables of a vector; `None` when one of them cannot be read or there are too many.
    pub(super) fn tables(&mut self, table: Table, index: usize) -> Option<Vec<Table>> {
        let Some((first, count)) = self.vector(table, index, 4) else {
            return (!self.has(table, index)).then(Vec::new);
        };
        self.left = self.left.checked_sub(count)?;
        (0..count).map(|item| self.table(self.reference(first + 4 * item)?)).collect()
    }

    /// A vector of whole numbers of four bytes with signs; `None` when it cannot be read.
    pub(super) fn numbers(&mut self, table: Table, index: usize) -> Option<Vec<i64>> {
        let Some((first, count)) = self.vector(table, index, 4) else {
            return (!self.has(table, index)).then(Vec::new);
        };
        self.left = self.left.checked_sub(count)?;
        (0..count)
            .map(|item| self.number(first + 4 * item, 4).map(|bits| (bits as u32).cast_signed().into()))
            .collect()
    }

    /// A vector of whole numbers of eight bytes.
    pub(super) fn long(&mut self, table: Table, index: usize) -> Option<Vec<i64>> {
        let (first, count) = self.vector(table, index, 8)?;
        self.left = self.left.checked_sub(count)?;
        (0..count).map(|item| self.number(first + 8 * item, 8).map(u64::cast_signed)).collect()
    }
}
