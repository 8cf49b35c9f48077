//! What can be wrong with a message, each with a name and a place.

/// Why a message was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum Defect {
    #[error("the message has {found} bytes, more than the limit of {limit}")]
    TooLarge { found: usize, limit: usize },
    #[error("byte {offset} is not UTF-8")]
    NotUtf8 { offset: usize },
    #[error("expected {expected} at byte {offset}")]
    Syntax { offset: usize, expected: &'static str },
    #[error("the key `{key}` appears twice at byte {offset}")]
    DuplicateKey { offset: usize, key: String },
    #[error("nested more than {limit} deep at byte {offset}")]
    TooDeep { offset: usize, limit: usize },
    #[error("data follows the message at byte {offset}")]
    TrailingData { offset: usize },
    #[error("the head is said to be {head} bytes, the body has {body}")]
    HeadLength { head: usize, body: usize },
    #[error("`{field}` is missing")]
    Missing { field: &'static str },
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("two tensors are called `{name}`")]
    DuplicateTensor { name: String },
    #[error("`{name}` is no datatype of the protocol, or none this reader knows")]
    Datatype { name: String },
    #[error("the number at byte {offset} does not fit {datatype}")]
    OutOfRange { offset: usize, datatype: &'static str },
    #[error("the shape of `{tensor}` overflows")]
    ShapeOverflow { tensor: String },
    #[error("`{tensor}` holds {found} values, its shape {expected}")]
    Count { tensor: String, expected: usize, found: usize },
    #[error("the rows of `{tensor}` differ from its shape")]
    Ragged { tensor: String },
    #[error("`{tensor}` has {found} bytes of binary data, its shape and datatype need {expected}")]
    BinarySize { tensor: String, expected: usize, found: usize },
    #[error("the tensors account for {expected} bytes of binary data, {found} were sent")]
    BinaryTail { expected: usize, found: usize },
    #[error("`{tensor}` has both `data` and binary data, or neither")]
    BothForms { tensor: String },
    #[error("a string of `{tensor}` runs past its data or is not UTF-8")]
    Text { tensor: String },
    #[error("`{tensor}` lies in shared memory, which cannot be inspected and is refused")]
    SharedMemory { tensor: String },
    #[error("`{name}` asks for something this endpoint does not serve")]
    Unserved { name: &'static str },
    #[error("the text at `{pointer}` cannot be replaced")]
    NotEditable { pointer: String },
    #[error("the stream ended without its last event")]
    Unfinished,
    #[error("an event is called `{name}` and says it is `{found}`")]
    EventName { name: String, found: String },
}

impl Defect {
    /// The defect's stable name, used in records and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "wire-too-large",
            Self::NotUtf8 { .. } => "wire-not-utf8",
            Self::Syntax { .. } => "wire-syntax",
            Self::DuplicateKey { .. } => "wire-duplicate-key",
            Self::TooDeep { .. } => "wire-too-deep",
            Self::TrailingData { .. } => "wire-trailing-data",
            Self::HeadLength { .. } => "wire-head-length",
            Self::Missing { .. } => "wire-missing-field",
            Self::TooMany { .. } => "wire-too-many",
            Self::DuplicateTensor { .. } => "wire-duplicate-tensor",
            Self::Datatype { .. } => "wire-datatype",
            Self::OutOfRange { .. } => "wire-out-of-range",
            Self::ShapeOverflow { .. } => "wire-shape-overflow",
            Self::Count { .. } => "wire-count",
            Self::Ragged { .. } => "wire-ragged",
            Self::BinarySize { .. } => "wire-binary-size",
            Self::BinaryTail { .. } => "wire-binary-tail",
            Self::BothForms { .. } => "wire-both-forms",
            Self::Text { .. } => "wire-text",
            Self::SharedMemory { .. } => "wire-shared-memory",
            Self::Unserved { .. } => "wire-unserved",
            Self::NotEditable { .. } => "wire-not-editable",
            Self::Unfinished => "wire-unfinished-stream",
            Self::EventName { .. } => "wire-event-name",
        }
    }
}
