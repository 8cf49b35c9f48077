//! Columns put together from cells: numbers, texts and truth values, scalars or arrays of one shape a row.

use std::collections::BTreeMap;

use mantlet_vocab::{Kind, NamedValue, Piece, Tensor, Value};

use crate::json::Reader;
use crate::text::push_token;
use crate::{Defect, Limits};

/// The deepest nesting of one cell; no model has tensors of a higher rank.
const RANK: usize = 15;

/// What a column holds.
#[derive(Debug, Default)]
enum Data {
    #[default]
    Nothing,
    Numbers(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

/// A column that is being put together.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    rows: usize,
    /// Items at each depth of a cell, once one cell is whole.
    sizes: [Option<usize>; RANK],
    /// The depth at which values stand, once one was seen.
    leaf: Option<usize>,
    /// A shape the message says for all values together.
    said: Option<Vec<usize>>,
    data: Data,
}

impl Column {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rows: 0, sizes: [None; RANK], leaf: None, said: None, data: Data::Nothing }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn ragged(&self) -> Defect {
        Defect::Ragged { tensor: self.name.chars().take(100).collect() }
    }

    fn at(&mut self, depth: usize) -> Result<(), Defect> {
        if *self.leaf.get_or_insert(depth) == depth { Ok(()) } else { Err(self.ragged()) }
    }

    /// An array at this depth had so many items.
    pub(super) fn close(&mut self, depth: usize, items: usize) -> Result<(), Defect> {
        let fits = self.sizes.get_mut(depth).is_some_and(|size| *size.get_or_insert(items) == items);
        if fits { Ok(()) } else { Err(self.ragged()) }
    }

    pub(super) fn number(&mut self, depth: usize, value: f64) -> Result<(), Defect> {
        self.at(depth)?;
        match &mut self.data {
            Data::Nothing => self.data = Data::Numbers(vec![value]),
            Data::Numbers(all) => all.push(value),
            Data::Bools(all) => {
                let mut numbers: Vec<f64> = all.iter().map(|&value| f64::from(u8::from(value))).collect();
                numbers.push(value);
                self.data = Data::Numbers(numbers);
            }
            Data::Texts(all) => all.push(value.to_string()),
        }
        Ok(())
    }

    pub(super) fn truth(&mut self, depth: usize, value: bool) -> Result<(), Defect> {
        match &mut self.data {
            Data::Numbers(_) => return self.number(depth, f64::from(u8::from(value))),
            Data::Texts(_) => return self.text(depth, value.to_string()),
            Data::Nothing => self.data = Data::Bools(vec![value]),
            Data::Bools(all) => all.push(value),
        }
        self.at(depth)
    }

    pub(super) fn text(&mut self, depth: usize, value: String) -> Result<(), Defect> {
        self.at(depth)?;
        let mut texts = match std::mem::take(&mut self.data) {
            Data::Nothing => Vec::new(),
            Data::Texts(all) => all,
            Data::Numbers(all) => all.iter().map(f64::to_string).collect(),
            Data::Bools(all) => all.iter().map(bool::to_string).collect(),
        };
        texts.push(value);
        self.data = Data::Texts(texts);
        Ok(())
    }

    /// A missing value: not a number among numbers, an empty text among texts.
    pub(super) fn nothing(&mut self, depth: usize) -> Result<(), Defect> {
        match self.data {
            Data::Texts(_) => self.text(depth, String::new()),
            _ => self.number(depth, f64::NAN),
        }
    }

    /// All values together have this shape.
    pub(super) fn shaped(&mut self, shape: Vec<usize>) {
        self.said = Some(shape);
    }

    pub(super) const fn end_row(&mut self) {
        self.rows += 1;
    }

    /// The column as a tensor whose first axis is the rows; a column of one row that is not to be stacked (`single`)
    /// keeps the shape of its cell.
    pub(super) fn finish(self, single: bool) -> Result<NamedValue, Defect> {
        let ragged = self.ragged();
        let mut shape = if single { Vec::new() } else { vec![self.rows] };
        let depth = self.leaf.unwrap_or_else(|| self.sizes.iter().take_while(|size| size.is_some()).count());
        for size in self.sizes.iter().take(depth) {
            shape.push(size.unwrap_or(0));
        }
        let shape = self.said.unwrap_or(shape);
        let value = match self.data {
            Data::Nothing => Tensor::new(shape, Vec::new()).map(Value::F64),
            Data::Numbers(all) => Tensor::new(shape, all).map(Value::F64),
            Data::Bools(all) => Tensor::new(shape, all).map(Value::Bool),
            Data::Texts(all) => Tensor::new(shape, all).map(Value::Text),
        };
        Ok(NamedValue { name: self.name, value: value.map_err(|_| ragged)? })
    }
}

/// What reading cells keeps beside the columns.
pub(super) struct Cells<'l> {
    limits: &'l Limits,
    pub(super) pieces: Vec<Piece>,
    pointer: String,
    left: usize,
    pub(super) columns: Vec<Column>,
    places: BTreeMap<String, usize>,
    /// Names of columns and features, one text.
    names: String,
}

impl<'l> Cells<'l> {
    pub(super) const fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            pieces: Vec::new(),
            pointer: String::new(),
            left: limits.values,
            columns: Vec::new(),
            places: BTreeMap::new(),
            names: String::new(),
        }
    }

    pub(super) fn piece(&mut self, kind: Kind, text: &str) -> Result<(), Defect> {
        if text.is_empty() {
            return Ok(());
        }
        if self.pieces.len() >= self.limits.pieces {
            return Err(Defect::TooMany { what: "texts", limit: self.limits.pieces });
        }
        self.pieces.push(Piece { kind, pointer: self.pointer.clone(), text: text.to_owned() });
        Ok(())
    }

    pub(super) fn below<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self) -> Result<T, Defect>,
    ) -> Result<T, Defect> {
        let length = self.pointer.len();
        if length + key.len() > 2048 {
            return Err(Defect::TooMany { what: "bytes in nested keys", limit: 2048 });
        }
        self.pointer.push('/');
        push_token(&mut self.pointer, key);
        let read = read(self)?;
        self.pointer.truncate(length);
        Ok(read)
    }

    /// The place of the column of this name; the names are texts too.
    pub(super) fn column(&mut self, name: &str) -> Result<usize, Defect> {
        if let Some(at) = self.places.get(name) {
            return Ok(*at);
        }
        if self.columns.len() >= self.limits.tensors {
            return Err(Defect::TooMany { what: "columns", limit: self.limits.tensors });
        }
        if !self.names.is_empty() {
            self.names.push('\n');
        }
        self.names.push_str(name);
        let at = self.columns.len();
        self.places.insert(name.to_owned(), at);
        self.columns.push(Column::new(name));
        Ok(at)
    }

    fn spend(&mut self) -> Result<(), Defect> {
        if self.left == 0 {
            return Err(Defect::TooMany { what: "values", limit: self.limits.values });
        }
        self.left -= 1;
        Ok(())
    }

    /// One cell of a column, wherever it stands: a value, or arrays of them.
    pub(super) fn cell(&mut self, reader: &mut Reader<'_>, at: usize) -> Result<(), Defect> {
        self.level(reader, at, 0)?;
        self.columns[at].end_row();
        Ok(())
    }

    fn level(&mut self, reader: &mut Reader<'_>, at: usize, depth: usize) -> Result<(), Defect> {
        if depth >= RANK {
            return Err(Defect::TooDeep { offset: reader.at, limit: RANK });
        }
        match reader.peek() {
            Some(b'[') => {
                let mut items = 0_usize;
                reader.array(|reader| {
                    let length = self.pointer.len();
                    if matches!(reader.peek(), Some(b'"' | b'{' | b'[')) {
                        self.pointer.push('/');
                        self.pointer.push_str(&items.to_string());
                    }
                    items += 1;
                    self.level(reader, at, depth + 1)?;
                    self.pointer.truncate(length);
                    Ok(())
                })?;
                self.columns[at].close(depth, items)
            }
            Some(b'{') => self.binary(reader, at, depth),
            Some(b'"') => {
                self.spend()?;
                let text = reader.string()?;
                self.piece(Kind::User, &text)?;
                self.columns[at].text(depth, text.into_owned())
            }
            Some(b't' | b'f') => {
                self.spend()?;
                let value = reader.boolean()?;
                self.columns[at].truth(depth, value)
            }
            Some(b'n') => {
                self.spend()?;
                reader.any()?;
                self.columns[at].nothing(depth)
            }
            _ => {
                self.spend()?;
                let number = reader.decimal()?;
                let value = number.to_f64();
                if !value.is_finite() {
                    let offset = reader.at - number.text.len();
                    return Err(Defect::OutOfRange { offset, datatype: "a number" });
                }
                self.columns[at].number(depth, value)
            }
        }
    }

    /// `{"b64": "..."}`: bytes as base64. Bytes that are text are looked at as text.
    fn binary(&mut self, reader: &mut Reader<'_>, at: usize, depth: usize) -> Result<(), Defect> {
        use base64::Engine as _;
        self.spend()?;
        let mut said = None;
        reader.object(|reader, key| {
            if key != "b64" {
                return reader.syntax("a value, an array or an object with `b64` alone");
            }
            let offset = reader.at;
            let text = reader.string()?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
            said = Some(
                match String::from_utf8(bytes.map_err(|_| Defect::Syntax { offset, expected: "base64" })?) {
                    Ok(text) => {
                        self.piece(Kind::User, &text)?;
                        text
                    }
                    Err(_) => text.into_owned(),
                },
            );
            Ok(())
        })?;
        match said {
            Some(text) => self.columns[at].text(depth, text),
            None => reader.syntax("an object with `b64`"),
        }
    }

    /// An array of rows: objects of named cells, or cells of one column of this name.
    pub(super) fn rows(&mut self, reader: &mut Reader<'_>, name: &str) -> Result<(), Defect> {
        let mut row = 0_usize;
        let mut named = None;
        reader.array(|reader| {
            let place = row.to_string();
            let is_named = reader.peek() == Some(b'{') && !next_is_binary(reader);
            if *named.get_or_insert(is_named) != is_named {
                return Err(Defect::Ragged { tensor: name.to_owned() });
            }
            self.below(&place, |cells| {
                if is_named {
                    cells.row(reader)
                } else {
                    let at = cells.column(name)?;
                    cells.cell(reader, at)
                }
            })?;
            row += 1;
            if self.columns.iter().any(|column| column.rows != row) {
                return Err(Defect::Ragged { tensor: name.to_owned() });
            }
            Ok(())
        })
    }

    fn row(&mut self, reader: &mut Reader<'_>) -> Result<(), Defect> {
        reader.object(|reader, key| {
            let at = self.column(key)?;
            self.below(key, |cells| cells.cell(reader, at))
        })
    }

    /// An object of whole columns, or one column of this name; the first axis of each is its rows already.
    pub(super) fn whole(&mut self, reader: &mut Reader<'_>, name: &str) -> Result<(), Defect> {
        if reader.peek() == Some(b'{') && !next_is_binary(reader) {
            self.row(reader)
        } else {
            let at = self.column(name)?;
            self.cell(reader, at)
        }
    }

    /// A field no rule knows: forwarded, so looked at.
    pub(super) fn unknown(&mut self, reader: &mut Reader<'_>, key: &str) -> Result<(), Defect> {
        self.below(key, |cells| {
            let text = reader.any()?;
            cells.piece(Kind::Unknown, key)?;
            cells.piece(Kind::Unknown, text)?;
            if let Some(plain) = crate::text::unescaped(text, cells.limits).filter(|_| text.contains('\\')) {
                cells.piece(Kind::Unknown, &plain)?;
            }
            Ok(())
        })
    }

    /// The columns as tensors; `single` as for [`Column::finish`].
    pub(super) fn finish(mut self, single: bool) -> Result<(Vec<NamedValue>, Vec<Piece>), Defect> {
        if !self.names.is_empty() {
            self.pointer = crate::text::KEYS.to_owned();
            let names = std::mem::take(&mut self.names);
            self.piece(Kind::Unknown, &names)?;
        }
        let values =
            self.columns.into_iter().map(|column| column.finish(single)).collect::<Result<_, _>>()?;
        Ok((values, self.pieces))
    }
}

/// Whether the object that comes is `{"b64": ...}`, which is a value.
fn next_is_binary(reader: &Reader<'_>) -> bool {
    let rest = reader.text().get(reader.at..).unwrap_or("").trim_start_matches(['{', ' ', '\t', '\n', '\r']);
    rest.starts_with("\"b64\"")
}
