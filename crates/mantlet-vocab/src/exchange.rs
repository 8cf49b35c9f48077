//! A request to a model and its reply, whatever dialect carried them.

use serde::{Deserialize, Serialize};

use crate::{Decision, Millis, Value};

/// What a piece of text is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the roles")]
pub enum Kind {
    System,
    User,
    Assistant,
    Document,
    ToolCall,
    ToolResult,
    /// A tool's name, description or schema: text about what could be asked, not a request.
    ToolDefinition,
    /// What a model wrote while it thought.
    Reasoning,
    /// A field no dialect rule knows; forwarded, so scanned.
    Unknown,
}

/// A part of an exchange that is text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its role.
    pub kind: Kind,
    /// Where in the message it stands, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The text.
    pub text: String,
}

/// A part of a reply that is still being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Fragments of one channel, put together in order, are one text: a choice's content, the arguments of one
    /// tool call, one block of reasoning.
    pub channel: u32,
    /// What the text is to the model.
    pub kind: Kind,
    /// What came now, which may end in the middle of a word.
    pub text: String,
}

/// A named input or output of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedValue {
    /// The name in the model's signature.
    pub name: String,
    /// The values.
    pub value: Value,
}

/// What the caller sent, decoded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Request {
    /// The model the path or body names.
    pub model: String,
    /// The version it names, if any.
    pub version: Option<String>,
    /// Named tensors, for classic inference.
    pub inputs: Vec<NamedValue>,
    /// Text, for language models and unknown fields.
    pub pieces: Vec<Piece>,
}

/// What the model answered, decoded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Named tensors.
    pub outputs: Vec<NamedValue>,
    /// Text.
    pub pieces: Vec<Piece>,
}

/// One request and its reply, with who asked, when, where and what was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Unique id, also in logs and records.
    pub id: String,
    /// When the request arrived.
    pub at: Millis,
    /// The system of the configuration.
    pub system: String,
    /// The route of the configuration.
    pub route: String,
    /// The caller's key id (never the key).
    pub caller: String,
    /// The model version that answered or would have.
    pub version: String,
    /// The configuration generation that decided.
    pub generation: u64,
    /// The request.
    pub request: Request,
    /// The reply, when the model was asked.
    pub reply: Option<Reply>,
    /// The decision.
    pub decision: Decision,
    /// HTTP status sent.
    pub status: u16,
    /// Milliseconds from first byte in to last byte out.
    pub took_ms: f64,
}
