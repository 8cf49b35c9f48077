//! Python's marshal format: the code objects of a compiled module.

use std::rc::Rc;

/// A value, as far as code objects need it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A string, or bytes as text.
    Text(Rc<str>),
    /// Bytes as they are.
    Bytes(Rc<[u8]>),
    /// A tuple or another list, and how deep its items are nested.
    Tuple(Rc<[Self]>, u8),
    /// Anything else.
    Other,
}

/// A code object.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) code: Rc<[u8]>,
    pub(super) consts: Rc<[Value]>,
    pub(super) names: Rc<[Value]>,
    pub(super) name: Rc<str>,
    pub(super) line: u32,
}

const MAX_DEPTH: u32 = 120;
/// Lists within lists, those that are referred to included.
const MAX_LISTS: u8 = 64;
const MAX_VALUES: usize = 1 << 20;
const MAX_CODES: usize = 20_000;

impl Value {
    fn lists(&self) -> u8 {
        match self {
            Self::Tuple(_, lists) => *lists,
            _ => 0,
        }
    }
}

/// Reads the code object at the start of the bytes; all that it contains are listed, the outermost last.
pub(super) fn read(bytes: &[u8], version: u8, codes: &mut Vec<Code>) -> Result<(), String> {
    let mut reader = Reader { bytes, at: 0, refs: Vec::new(), values: 0, version, codes, flat: None };
    match reader.value(0) {
        Some(_) if reader.at < bytes.len() => {
            Err(format!("{} bytes follow the code in its file", bytes.len() - reader.at))
        }
        Some(_) => Ok(()),
        None => {
            Err(reader.flat.unwrap_or_else(|| format!("the code cannot be read from {:#x} on", reader.at)))
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    refs: Vec<Value>,
    values: usize,
    version: u8,
    codes: &'a mut Vec<Code>,
    /// Why reading ended, when it is a bound.
    flat: Option<String>,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn int(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn text(&mut self, count: usize) -> Option<Value> {
        let bytes = self.take(count)?;
        Some(Value::Text(String::from_utf8_lossy(bytes).into()))
    }

    fn list(&mut self, count: usize, depth: u32) -> Option<Value> {
        if count > self.bytes.len() - self.at {
            return None;
        }
        let (mut items, mut lists) = (Vec::new(), 0);
        for _ in 0..count {
            let item = self.value(depth + 1)?;
            lists = item.lists().max(lists);
            items.push(item);
        }
        if lists >= MAX_LISTS {
            self.flat = Some("the lists of the code are nested too deep to be read".into());
            return None;
        }
        Some(Value::Tuple(items.into(), lists + 1))
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES || self.codes.len() > MAX_CODES {
            self.flat = Some("the code is nested too deep or too large to be read".into());
            return None;
        }
        let kind = self.byte()?;
        let slot = (kind & 0x80 != 0).then(|| {
            self.refs.push(Value::Other);
            self.refs.len() - 1
        });
        let value = match kind & 0x7f {
            b'N' | b'F' | b'T' | b'S' | b'.' | b'0' => Value::Other,
            b'i' => self.take(4).map(|_| Value::Other)?,
            b'I' | b'g' => self.take(8).map(|_| Value::Other)?,
            b'y' => self.take(16).map(|_| Value::Other)?,
            b'f' => {
                let count = self.byte()?;
                self.take(usize::from(count)).map(|_| Value::Other)?
            }
            b'x' => {
                for _ in 0..2 {
                    let count = self.byte()?;
                    self.take(usize::from(count))?;
                }
                Value::Other
            }
            b'l' => {
                let digits = self.int()?.cast_signed().unsigned_abs();
                self.take((digits as usize).checked_mul(2)?).map(|_| Value::Other)?
            }
            b's' => {
                let count = self.int()? as usize;
                Value::Bytes(self.take(count)?.into())
            }
            b'u' | b't' | b'a' | b'A' => {
                let count = self.int()? as usize;
                self.text(count)?
            }
            b'z' | b'Z' => {
                let count = usize::from(self.byte()?);
                self.text(count)?
            }
            b')' => {
                let count = usize::from(self.byte()?);
                self.list(count, depth)?
            }
            b'(' | b'[' | b'<' | b'>' => {
                let count = self.int()? as usize;
                self.list(count, depth)?
            }
            b'{' => {
                while self.bytes.get(self.at)? & 0x7f != b'0' {
                    self.value(depth + 1)?;
                    self.value(depth + 1)?;
                }
                self.at += 1;
                Value::Other
            }
            b'r' => {
                let index = self.int()? as usize;
                self.refs.get(index)?.clone()
            }
            b'c' => {
                self.code(depth)?;
                Value::Other
            }
            _ => return None,
        };
        if let Some(slot) = slot {
            self.refs[slot] = value.clone();
        }
        Some(value)
    }

    fn code(&mut self, depth: u32) -> Option<()> {
        let numbers = if (8..11).contains(&self.version) { 6 } else { 5 };
        self.take(numbers * 4)?;
        let mut next = || self.value(depth + 1);
        let (code, consts, names) = (next()?, next()?, next()?);
        // Names of variables; before 3.11 in three lists, then with their kinds.
        let (_, _) = (next()?, next()?);
        if self.version < 11 {
            self.value(depth + 1)?;
        }
        let _file = self.value(depth + 1)?;
        let name = self.value(depth + 1)?;
        if self.version >= 11 {
            self.value(depth + 1)?;
        }
        let line = self.int()?;
        self.value(depth + 1)?;
        if self.version >= 11 {
            self.value(depth + 1)?;
        }
        let (Value::Bytes(code), Value::Tuple(consts, _), Value::Tuple(names, _)) = (code, consts, names)
        else {
            return None;
        };
        let name = match name {
            Value::Text(name) => name,
            _ => "".into(),
        };
        self.codes.push(Code { code, consts, names, name, line });
        Some(())
    }
}
