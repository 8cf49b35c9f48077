//! Symbolic values in eight bytes, so that millions of plain items cost little.

use std::collections::HashMap;

use super::Effects;
use super::effect::{self, Effect, Special};

/// A symbolic value: a tag in the low four bits, a payload above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Val(u64);

/// A value taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    None,
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// A float or an integer that does not fit.
    Number,
    /// A text literal, by the offset of its opcode.
    Text(u64),
    /// A bytes literal, by the offset of its opcode.
    Bytes(u64),
    Global(u32),
    /// A tuple: where its size word sits in the pool, and its length.
    Tuple(usize, usize),
    Node(u32),
    /// An object of an allowed class of which nothing more is kept.
    Instance(u32),
    /// Not known: the result of a call that was not evaluated.
    Unknown,
    /// Plain data that was dropped to stay within memory.
    Dropped,
}

const INT_BITS: u32 = 59;

impl Val {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NUMBER: Self = Self(3);
    pub(crate) const UNKNOWN: Self = Self(10);
    pub(crate) const DROPPED: Self = Self(11);
    pub(crate) const ABSENT: Self = Self(u64::MAX);

    pub(crate) const fn boolean(value: bool) -> Self {
        Self(1 | (value as u64) << 4)
    }

    pub(crate) const fn int(value: i64) -> Self {
        if value >> INT_BITS == 0 || value >> INT_BITS == -1 {
            Self(2 | (value as u64) << 4)
        } else {
            Self::NUMBER
        }
    }

    pub(crate) const fn text(offset: u64) -> Self {
        Self(4 | offset << 4)
    }

    pub(crate) const fn bytes(offset: u64) -> Self {
        Self(5 | offset << 4)
    }

    pub(crate) const fn global(id: u32) -> Self {
        Self(6 | (id as u64) << 4)
    }

    const fn tuple(start: usize, len: usize) -> Self {
        Self(7 | (len as u64) << 4 | (start as u64) << 28)
    }

    const fn node(id: u32) -> Self {
        Self(8 | (id as u64) << 4)
    }

    pub(crate) const fn instance(id: u32) -> Self {
        Self(9 | (id as u64) << 4)
    }

    #[inline]
    pub(crate) const fn view(self) -> View {
        let payload = self.0 >> 4;
        match self.0 & 15 {
            0 => View::None,
            1 => View::Bool(payload != 0),
            2 => View::Int((self.0 as i64) >> 4),
            3 => View::Number,
            4 => View::Text(payload),
            5 => View::Bytes(payload),
            6 => View::Global(payload as u32),
            7 => View::Tuple((payload >> 24) as usize, (payload & 0xff_ffff) as usize),
            8 => View::Node(payload as u32),
            9 => View::Instance(payload as u32),
            11 => View::Dropped,
            _ => View::Unknown,
        }
    }

    /// Whether it is a literal that can reach nothing by itself.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self.0 & 15, 0..=5 | 11)
    }
}

/// What a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    List,
    Dict,
    Set,
    FrozenSet,
}

/// A value with identity or inner structure.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// `more` items were not kept; `lost` says that some of them could reach a call.
    Container {
        shape: Shape,
        kept: Vec<Val>,
        more: u64,
        lost: bool,
        size: u64,
    },
    Call {
        callee: Val,
        args: Val,
        state: Val,
    },
    Attribute {
        object: Val,
        name: Box<str>,
    },
    Module(Box<str>),
    /// The names of a module or object as a mapping.
    Namespace(Val),
    Text(Box<str>),
    Blob(Box<[u8]>),
    Extension(i64),
    /// A storage of torch: its number of elements, and which of those that are remembered it is.
    Storage(u64, Option<u32>),
    /// A tensor of whole numbers: the storage it views, from where, its extents and strides.
    Indices(u32, u64, Box<[(u64, u64)]>),
}

/// A named import.
#[derive(Debug, Clone)]
pub(crate) struct Global {
    pub(crate) module: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) effect: Effect,
    pub(crate) special: Special,
    pub(crate) offset: u64,
    pub(crate) called: bool,
    pub(crate) count: u64,
    /// The name was computed or looked up at load time, not written as a literal import.
    pub(crate) resolved: bool,
}

impl Global {
    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

const MAX_NODES: usize = 150_000;
const MAX_POOL: usize = 1_000_000;
const MAX_KEPT: usize = 1_000_000;
const MAX_GLOBALS: usize = 20_000;
/// Bytes of names and computed texts that are kept, half of it for long ones. What finds no room is not known, as what
/// is too long to be followed: reaching a name or a decoder with it is told.
const MAX_TEXTS: usize = 24 << 20;
/// Bytes that are copied and looked up for texts and names beyond `FREE` each: a reference of two bytes to a long one
/// must not cost what it is long again and again.
const MAX_WORK: u64 = 32 << 20;
/// Bytes of one text or name that cost nothing: no name of a library is longer.
const FREE: usize = 512;
/// Plain items a list keeps for the reader, and keys and values a dict keeps to be looked up; structured items
/// are kept up to `KEEP_STRUCTURED`.
const KEEP_PLAIN: usize = 32;
const KEEP_ENTRIES: usize = 512;
const KEEP_STRUCTURED: usize = 4_096;

/// Where symbolic values live.
#[derive(Default)]
pub(crate) struct Heap {
    /// What globals do.
    pub(crate) effects: Effects,
    nodes: Vec<Node>,
    pool: Vec<Val>,
    kept: usize,
    pub(crate) globals: Vec<Global>,
    index: HashMap<(Box<str>, Box<str>), u32>,
    /// The largest number of items a value would have if every shared part were copied.
    pub(crate) largest: u64,
    /// There were more imports than are kept.
    pub(crate) untold: bool,
    /// Bytes of texts that are kept: those longer than `FREE`, and all.
    texts: [usize; 2],
    work: u64,
}

impl Heap {
    pub(crate) fn judging_by(effects: Effects) -> Self {
        Self { effects, ..Self::default() }
    }

    /// Whether a text of this length may still be worked on; short ones always may. What may not is not known.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        self.work = self.work.saturating_add(bytes.saturating_sub(FREE) as u64);
        bytes <= FREE || self.work <= MAX_WORK
    }

    /// How long a text may be that is read: `whole`, until the work is used up.
    pub(crate) fn most(&self, whole: usize) -> usize {
        if self.work <= MAX_WORK { whole } else { FREE }
    }

    /// Whether there is room to keep a text.
    fn keep(&mut self, bytes: usize) -> bool {
        let [long, all] = &mut self.texts;
        let fits = if bytes > FREE { *long + bytes <= MAX_TEXTS / 2 } else { *all + bytes <= MAX_TEXTS };
        if fits {
            *all += bytes;
            *long += if bytes > FREE { bytes } else { 0 };
        }
        fits
    }

    pub(crate) fn intern(&mut self, module: &str, name: &str, offset: u64, resolved: bool) -> Val {
        let (module, name) = effect::python3_name(module, name);
        if !self.spend(module.len() + name.len()) {
            return Val::UNKNOWN;
        }
        let key = (Box::from(module), Box::from(name));
        if let Some(&id) = self.index.get(&key) {
            let global = &mut self.globals[id as usize];
            global.count += 1;
            global.resolved |= resolved;
            return Val::global(id);
        }
        // Kept twice: in the list and to be found again.
        if self.globals.len() >= MAX_GLOBALS || !self.keep(2 * (module.len() + name.len())) {
            self.untold = true;
            return Val::UNKNOWN;
        }
        let (effect, special) = self.effects.lookup(module, name);
        let id = self.globals.len() as u32;
        self.globals.push(Global {
            module: key.0.clone(),
            name: key.1.clone(),
            effect,
            special,
            offset,
            called: false,
            count: 1,
            resolved,
        });
        self.index.insert(key, id);
        Val::global(id)
    }

    /// An object of a class that the stream itself did not name.
    pub(crate) fn intern_instance(&mut self, module: &str, name: &str, offset: u64) -> Val {
        let value = self.intern(module, name, offset, false);
        let View::Global(id) = value.view() else { return value };
        let global = &mut self.globals[id as usize];
        global.count -= 1;
        Val::instance(id)
    }

    pub(crate) fn global(&self, value: Val) -> Option<&Global> {
        match value.view() {
            View::Global(id) | View::Instance(id) => self.globals.get(id as usize),
            _ => None,
        }
    }

    pub(crate) fn node(&self, value: Val) -> Option<&Node> {
        match value.view() {
            View::Node(id) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    pub(crate) fn node_mut(&mut self, value: Val) -> Option<&mut Node> {
        match value.view() {
            View::Node(id) => self.nodes.get_mut(id as usize),
            _ => None,
        }
    }

    /// A new node, or `otherwise` when memory is used up.
    pub(crate) fn add(&mut self, node: Node, otherwise: Val) -> Val {
        let bytes = match &node {
            Node::Text(text) | Node::Module(text) | Node::Attribute { name: text, .. } => text.len(),
            Node::Blob(bytes) => bytes.len(),
            _ => 0,
        };
        if self.nodes.len() >= MAX_NODES || bytes > 0 && !self.keep(bytes) {
            return otherwise;
        }
        self.nodes.push(node);
        Val::node((self.nodes.len() - 1) as u32)
    }

    pub(crate) fn container(&mut self, shape: Shape, items: &[Val]) -> Val {
        let node = Node::Container { shape, kept: Vec::new(), more: 0, lost: false, size: 1 };
        let value = self.add(node, Val::DROPPED);
        self.extend(value, items);
        value
    }

    /// Puts items (for a dict: keys and values in turn) into a container.
    pub(crate) fn extend(&mut self, container: Val, items: &[Val]) {
        let View::Node(id) = container.view() else { return };
        let mut added = 0_u64;
        for &item in items {
            added = added.saturating_add(self.size(item));
        }
        let room = MAX_KEPT.saturating_sub(self.kept);
        let Some(Node::Container { shape, kept, more, lost, size }) = self.nodes.get_mut(id as usize) else {
            return;
        };
        *size = size.saturating_add(added);
        self.largest = self.largest.max(*size);
        let before = kept.len();
        // Keys stay with their values.
        let (width, plain_limit) = if *shape == Shape::Dict { (2, KEEP_ENTRIES) } else { (1, KEEP_PLAIN) };
        for group in items.chunks(width) {
            let plain = group.iter().all(|item| item.is_plain());
            let fits = if plain {
                kept.len() < plain_limit && kept.len() - before < room
            } else {
                kept.len() < KEEP_STRUCTURED && kept.len() - before < room + MAX_KEPT
            };
            if fits {
                kept.extend_from_slice(group);
            } else {
                *more += group.len() as u64;
                *lost |= !plain;
            }
        }
        self.kept += kept.len() - before;
    }

    pub(crate) fn tuple(&mut self, items: &[Val]) -> Val {
        let size = items.iter().fold(1_u64, |size, &item| size.saturating_add(self.size(item)));
        self.largest = self.largest.max(size);
        if self.pool.len() + items.len() >= MAX_POOL || items.len() > 0xff_fffe {
            return if items.iter().all(|item| item.is_plain()) { Val::DROPPED } else { Val::UNKNOWN };
        }
        let start = self.pool.len();
        self.pool.push(Val(size));
        self.pool.extend_from_slice(items);
        Val::tuple(start, items.len())
    }

    /// The items of a tuple, or what was kept of a list or set.
    pub(crate) fn items(&self, value: Val) -> &[Val] {
        match value.view() {
            View::Tuple(start, len) => self.pool.get(start + 1..start + 1 + len).unwrap_or(&[]),
            View::Node(id) => match self.nodes.get(id as usize) {
                Some(Node::Container { kept, .. }) => kept,
                _ => &[],
            },
            _ => &[],
        }
    }

    fn size(&self, value: Val) -> u64 {
        match value.view() {
            View::Tuple(start, _) => self.pool.get(start).map_or(1, |size| size.0),
            View::Node(id) => match self.nodes.get(id as usize) {
                Some(Node::Container { size, .. }) => *size,
                _ => 1,
            },
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_packing() {
        for value in [0, 1, -1, (1 << 58), -(1 << 58)] {
            assert_eq!(Val::int(value).view(), View::Int(value));
        }
        assert_eq!(Val::int(i64::MAX), Val::NUMBER);
        assert_eq!(Val::text(1 << 50).view(), View::Text(1 << 50));
        assert_eq!(Val::tuple(999_999, 7).view(), View::Tuple(999_999, 7));
        assert!(Val::boolean(true).is_plain() && !Val::UNKNOWN.is_plain());
    }
}
