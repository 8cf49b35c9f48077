//! What a pickle turned out to do.

use super::{Effect, Effects};
use crate::weights::Dtype;

/// A global that a pickle imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The module, under its Python 3 name.
    pub module: String,
    /// The attribute path in it.
    pub name: String,
    /// What calling it does.
    pub effect: Effect,
    /// Whether the pickle calls it (directly, through a partial, or by a function that calls its arguments).
    pub called: bool,
    /// Whether its name was computed or looked up at load time.
    pub resolved: bool,
    /// Where it was first imported.
    pub offset: u64,
    /// How often it was imported.
    pub count: u64,
}

impl Import {
    /// `module.name`.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

/// How a call comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// REDUCE.
    Reduce,
    /// NEWOBJ or NEWOBJ_EX.
    New,
    /// OBJ or INST.
    Object,
    /// BUILD.
    Build,
    /// By a function that calls what it is given.
    Proxy,
}

/// A call that loading executes and that is not known to be harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is called.
    pub callee: String,
    /// What that does.
    pub effect: Effect,
    /// How it comes about.
    pub how: How,
    /// The call as source text, cut to a readable length.
    pub text: String,
    /// Offset of the opcode that makes the call.
    pub offset: u64,
}

/// Bytes that reach a decoder while loading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A run of bytes of this source.
    Span {
        /// Where it starts.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// Bytes that were computed.
    Inline(Vec<u8>),
}

/// Something a well-formed pickle does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside a pickle.
    Truncated,
    /// Not an opcode.
    UnknownOpcode(u8),
    /// More is taken from the stack than is there.
    StackUnderflow,
    /// A MARK is missing.
    MarkMissing,
    /// A memo entry is read that was never written.
    MemoMissing(u64),
    /// A memo index, number or string that cannot be read.
    BadArgument,
    /// An opcode crosses the end of its frame.
    FrameStraddled,
    /// A frame begins inside a frame.
    FrameNested,
    /// A frame is longer than the file.
    FrameTooLong,
    /// PROTO after the first opcode.
    ProtocolMisplaced,
    /// A protocol that does not exist.
    ProtocolUnknown(u8),
    /// A name that is not literal text, and not known.
    DynamicName,
    /// A name that is not literal text, but known: whose it is, and whether it belongs to ordinary models.
    ComputedName(String, bool),
    /// An extension code that the pickle itself did not register.
    ExtensionCode(i64),
    /// Values are left over at STOP.
    StackNotEmpty,
    /// Items are put into something that holds none: `SETITEM` on a list or a tensor, `APPEND` on a number.
    ItemTarget,
    /// A tensor reaches beyond its storage.
    TensorOutside,
}

impl Fault {
    /// The fault in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Truncated => "the bytes end inside the pickle".into(),
            Self::UnknownOpcode(byte) => format!("0x{byte:02x} is not an opcode"),
            Self::StackUnderflow => "more is taken from the stack than is on it".into(),
            Self::MarkMissing => "an opcode needs a MARK that is not there".into(),
            Self::MemoMissing(index) => format!("memo entry {index} is read but was never written"),
            Self::BadArgument => "an argument cannot be read".into(),
            Self::FrameStraddled => "an opcode crosses the end of its frame".into(),
            Self::FrameNested => "a frame begins inside another frame".into(),
            Self::FrameTooLong => "a frame is longer than the rest of the file".into(),
            Self::ProtocolMisplaced => "PROTO is not the first opcode".into(),
            Self::ProtocolUnknown(version) => format!("protocol {version} does not exist"),
            Self::DynamicName => "an import takes its name from a computed value".into(),
            Self::ComputedName(name, true) => {
                format!(
                    "the name of an import is put together, which no library does: `{name}`, harmless by itself"
                )
            }
            Self::ComputedName(name, false) => format!("the name of an import is put together: `{name}`"),
            Self::ExtensionCode(code) => {
                format!("extension code {code} means whatever the loading process registered")
            }
            Self::StackNotEmpty => "values are left on the stack at STOP".into(),
            Self::ItemTarget => "items are put into a value that takes none".into(),
            Self::TensorOutside => "a tensor reaches beyond the storage it names".into(),
        }
    }
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// What is wrong.
    pub fault: Fault,
    /// Offset of the opcode.
    pub offset: u64,
}

/// A storage that a pickle of torch names by a persistent id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Its key: the member `data/KEY` of the archive.
    pub key: String,
    /// Bytes of one element, when the class says so.
    pub item: Option<u64>,
    /// The type of an element that is a float.
    pub float: Option<Dtype>,
    /// Elements, as declared.
    pub count: u64,
    /// Elements that are positions in another tensor.
    pub positions: Vec<Positions>,
}

/// Elements of a storage that are positions in another tensor, and have to lie inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// The first element.
    pub first: u64,
    /// Elements from one to the next.
    pub step: u64,
    /// How many.
    pub count: u64,
    /// All are below this.
    pub below: u64,
}

/// The facts of one pickle file or member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pickle {
    /// The table that says what its imports do.
    pub effects: Effects,
    /// Pickles that follow each other.
    pub streams: u32,
    /// How many of them ended with STOP.
    pub stopped: u32,
    /// Opcodes executed symbolically.
    pub opcodes: u64,
    /// The highest protocol announced.
    pub protocol: Option<u8>,
    /// Distinct imports, in order of first appearance.
    pub imports: Vec<Import>,
    /// Calls that are not known to be harmless.
    pub calls: Vec<Call>,
    /// Modules whose source lies in the same package and is judged as code: what they define is known there.
    pub carried: Vec<String>,
    /// All calls made, harmless ones included.
    pub call_count: u64,
    /// Bytes that reach a decoder.
    pub payloads: Vec<Payload>,
    /// Which opcodes were met, as a set of 256 bits.
    pub opcodes_used: [u64; 4],
    /// Persistent ids of the form torch writes.
    pub storages: u64,
    /// The first distinct ones of them.
    pub storage_list: Vec<Storage>,
    /// Other persistent ids, the first of them as text.
    pub persistent: u64,
    /// Text of the first persistent id that is not a torch storage.
    pub persistent_example: Option<String>,
    /// Where it deviates from the format.
    pub defects: Vec<Defect>,
    /// Items the largest value would have if every shared part were copied.
    pub expanded: u64,
    /// A size handed to a constructor that would allocate at least a gigabyte, and where.
    pub huge_size: Option<(u64, i64)>,
    /// First byte that belongs to no pickle.
    pub end: u64,
    /// Bytes after `end` that belong to nothing.
    pub trailing: u64,
    /// Bytes after `end` that are torch tensor data.
    pub torch_legacy: bool,
    /// Raw arrays between opcodes, as joblib writes them.
    pub joblib_arrays: u64,
    /// Why something was not followed, in words.
    pub limits: Vec<String>,
}
