//! The dialects endpoints speak: what a caller or a model server sent, read strictly into the vocabulary,
//! and answers in the dialect's own shape.
//!
//! This crate has the Open Inference Protocol v2 over REST (also called the KServe v2 protocol), in JSON and
//! in the binary tensor extension. What is read is a view: an allowed message is forwarded as the bytes that
//! came in, so whatever a reader of those bytes could see must have been read here or refused. Reading is
//! therefore strict, and everything it refuses has a name ([`Defect`]).

mod call;
pub mod classic;
mod datatype;
mod defect;
pub mod form;
pub mod grpc;
mod infer;
mod json;
mod number;
mod refusal;
pub mod service;
mod tensor;
pub mod text;
mod write;

pub use call::{Call, Verb, call};
pub use datatype::Datatype;
pub use defect::Defect;
pub use infer::{InferReply, InferRequest, Output, Wire, read_reply, read_request};
pub use refusal::{Refusal, refuse};
pub use write::{Encoded, write_reply, write_request};

/// The header that gives the length of the JSON head before binary tensors.
pub const HEAD_LENGTH_HEADER: &str = "Inference-Header-Content-Length";

/// What reading foreign bytes may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message. Whoever receives it should stop there; reading checks again.
    pub bytes: usize,
    /// Values over all tensors of a message.
    pub values: usize,
    /// Tensors in a message.
    pub tensors: usize,
    /// Nesting of JSON.
    pub depth: usize,
    /// Keys in one object of JSON.
    pub keys: usize,
    /// Strings of a text message, and channels of a stream.
    pub pieces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, values: 4 << 20, tensors: 1024, depth: 32, keys: 4096, pieces: 65_536 }
    }
}
