//! The text of language-model traffic: what a caller asked and what a model answered, as pieces.
//!
//! A dialect is a table (`shape::Shape`) that says what the members of its messages mean; one walk over the JSON
//! turns a message into pieces by that table. What a table does not name is forwarded, so it becomes a piece of
//! [`mantlet_vocab::Kind::Unknown`]: every string of a message ends in a piece, except words that are constants of
//! the dialect at their place (`"role": "user"`). Reading is as strict as everywhere in this crate (no key twice,
//! UTF-8 without a byte order mark, bounded depth, nothing after the message), so that no other reader of the same
//! bytes sees another text.

mod anthropic;
mod edit;
mod inner;
mod mcp;
mod openai;
mod read;
mod refuse;
mod shape;
mod stream;
mod surface;
mod walk;

pub use edit::{Edit, rewrite};
pub use read::{read_text_reply, read_text_request};
pub use refuse::{refuse, refuse_call, refuse_call_stream, refuse_stream};
pub use stream::{Frame, StreamReader, event_data, event_with};
pub use surface::{Surface, surface};

pub(crate) use inner::unescaped;
pub(crate) use read::{free_pieces, pieces};
pub(crate) use refuse::named;
pub(crate) use walk::push_token;

/// What readers of other messages with texts in them build on.
pub(crate) mod shapes {
    pub(crate) use super::openai::{ASKED, TOOL, TOOL_CALL};
    pub(crate) use super::shape::{Node, Voice};
    pub(crate) use super::walk::Walk;
}

use mantlet_vocab::Piece;

/// Ends the pointer of a piece that is the keys of free-form objects, which no edit can replace. A `~` that is not
/// followed by `0` or `1` is no JSON pointer (RFC 6901), so no value has such a pointer.
pub const KEYS: &str = "~#";

/// Ends the pointer of a piece that is a string's JSON with its escapes undone; edit the string itself instead.
pub const UNESCAPED: &str = "~%";

/// What a caller asked of a language model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextRequest {
    /// The model the body names.
    pub model: Option<String>,
    /// Every text of the body, in the order of the message.
    pub pieces: Vec<Piece>,
    /// Whether the answer shall come as a stream of events.
    pub stream: bool,
    /// Whether the stream shall end with a count of tokens (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The most tokens the answer may have, when the body says so.
    pub max_tokens: Option<u64>,
    /// How many answers are made (`n`, or `best_of` when it is more); 1 when the body does not say.
    pub choices: u32,
    /// Names of the tools offered to the model or, in MCP, called.
    pub tools: Vec<String>,
    /// Parts that are no text and were not looked at: images, sound, files, prompts that are already token numbers.
    pub opaque: u32,
    /// Whether probabilities of tokens are asked for, which repeat the answer in another form.
    pub logprobs: bool,
    /// The id of a JSON-RPC call, as JSON, which its answer must repeat.
    pub rpc_id: Option<String>,
    /// The method of a JSON-RPC call.
    pub method: Option<String>,
}

/// What a language model answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextReply {
    /// Every text of the body, in the order of the message.
    pub pieces: Vec<Piece>,
    /// Tokens counted by the model's server.
    pub usage: Option<Usage>,
    /// Why each choice ended, in the dialect's words.
    pub finish: Vec<String>,
    /// Names of tools that a list of tools defines (MCP) or that the reply repeats.
    pub tools: Vec<String>,
    /// Parts that are no text and were not looked at.
    pub opaque: u32,
}

/// Tokens counted by the model's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}
