//! The messages of Anthropic's interface: requests, replies and the events of a stream.
//!
//! Source: the reference of the Messages API, `anthropic-version: 2023-06-01`.

use mantlet_vocab::Kind;

use super::openai::{TOOL, USAGE};
use super::shape::Node::{self, Echo, Free, Index, Json, Media, Numbers, Object, Say, Word};
use super::shape::{Scope, Shape, UNKNOWN, Voice};

const CALL: Voice = Voice::Is(Kind::ToolCall);
const RESULT_OF: Voice = Voice::Is(Kind::ToolResult);
const THOUGHT: Voice = Voice::Is(Kind::Reasoning);
const DOCUMENT: Voice = Voice::Is(Kind::Document);

const TYPES: Node = Word(&[
    "text",
    "image",
    "document",
    "search_result",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "web_search_tool_result",
    "thinking",
    "redacted_thinking",
    "text_delta",
    "input_json_delta",
    "thinking_delta",
    "signature_delta",
    "citations_delta",
    "message",
    "base64",
    "url",
    "content",
    "ephemeral",
    "enabled",
    "disabled",
    "adaptive",
]);

static CACHE: Shape = Shape::of(CACHE_MEMBERS);
const CACHE_MEMBERS: &[(&str, Node)] = &[("type", TYPES), ("ttl", Word(&["5m", "1h"]))];

static SOURCE: Shape = Shape::of(&SOURCE_MEMBERS).rest(DOCUMENT);
static SOURCE_MEMBERS: [(&str, Node); 5] = [
    ("type", TYPES),
    (
        "media_type",
        Word(&["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain"]),
    ),
    ("data", Media),
    ("url", Media),
    ("content", Object(&RESULT)),
];

/// What stands inside a tool's result or a document.
static RESULT: Shape = Shape::of(&RESULT_MEMBERS).text(Say(RESULT_OF, "result")).rest(RESULT_OF);
static RESULT_MEMBERS: [(&str, Node); 6] = [
    ("type", TYPES),
    ("text", Say(RESULT_OF, "result")),
    ("content", Object(&RESULT)),
    ("source", Object(&SOURCE)),
    ("cache_control", Object(&CACHE)),
    ("encrypted_content", Numbers),
];

const BLOCK: Shape = Shape::of(BLOCK_MEMBERS).text(Say(Voice::Role, "text"));
const BLOCK_MEMBERS: &[(&str, Node)] = &[
    ("type", TYPES),
    ("text", Say(Voice::Role, "text")),
    ("thinking", Say(THOUGHT, "thinking")),
    ("signature", Numbers),
    ("data", Numbers),
    ("id", Echo),
    ("tool_use_id", Echo),
    ("name", Say(CALL, "name")),
    ("input", Free(CALL)),
    ("content", Object(&RESULT)),
    ("source", Object(&SOURCE)),
    ("title", Free(DOCUMENT)),
    ("context", Free(DOCUMENT)),
    ("citations", Free(DOCUMENT)),
    ("cache_control", Object(&CACHE)),
    ("is_error", UNKNOWN),
];
static BLOCK_ASKED: Shape = BLOCK;
static BLOCK_ANSWERED: Shape = BLOCK.scope(Scope::Message(Kind::Assistant));
static BLOCK_SYSTEM: Shape =
    BLOCK.scope(Scope::Message(Kind::System)).text(Say(Voice::Is(Kind::System), "text"));

static MESSAGE: Shape = Shape::of(MESSAGE_MEMBERS).scope(Scope::Message(Kind::Unknown));
const MESSAGE_MEMBERS: &[(&str, Node)] = &[("role", Node::Role), ("content", Object(&BLOCK_ASKED))];
static THINKING: Shape = Shape::of(THINKING_MEMBERS);
const THINKING_MEMBERS: &[(&str, Node)] = &[("type", TYPES), ("budget_tokens", Numbers)];

/// A request, also to count its tokens.
pub(super) static REQUEST: Shape = Shape::of(REQUEST_MEMBERS);
const REQUEST_MEMBERS: &[(&str, Node)] = &[
    ("model", Node::Model),
    ("messages", Object(&MESSAGE)),
    ("system", Object(&BLOCK_SYSTEM)),
    ("max_tokens", Node::MaxTokens),
    ("stream", Node::Stream),
    ("tools", Object(&TOOL)),
    ("thinking", Object(&THINKING)),
    ("temperature", UNKNOWN),
    ("top_p", UNKNOWN),
    ("top_k", UNKNOWN),
    ("tool_choice", UNKNOWN),
    ("metadata", UNKNOWN),
    ("stop_sequences", UNKNOWN),
    ("service_tier", UNKNOWN),
];

const REPLY_SHAPE: Shape = Shape::of(REPLY_SHAPE_MEMBERS);
const REPLY_SHAPE_MEMBERS: &[(&str, Node)] = &[
    ("id", Echo),
    ("type", TYPES),
    ("role", Node::Role),
    ("model", Echo),
    ("content", Object(&BLOCK_ASKED)),
    ("stop_reason", Node::Finish),
    ("stop_sequence", UNKNOWN),
    ("usage", Object(&USAGE)),
];
pub(super) static REPLY: Shape = REPLY_SHAPE.scope(Scope::Message(Kind::Assistant));

static DELTA: Shape = Shape::of(DELTA_MEMBERS);
const DELTA_MEMBERS: &[(&str, Node)] = &[
    ("type", TYPES),
    ("text", Say(Voice::Is(Kind::Assistant), "text")),
    ("partial_json", Json(CALL, "input")),
    ("thinking", Say(THOUGHT, "thinking")),
    ("signature", Numbers),
    ("citation", Free(DOCUMENT)),
    ("stop_reason", Node::Finish),
    ("stop_sequence", UNKNOWN),
];

/// An event of a stream.
pub(super) static EVENT: Shape = Shape::of(EVENT_MEMBERS).scope(Scope::Event);
const EVENT_MEMBERS: &[(&str, Node)] = &[
    ("type", Node::Type),
    ("index", Index(0)),
    ("message", Object(&REPLY)),
    ("content_block", Object(&BLOCK_ANSWERED)),
    ("delta", Object(&DELTA)),
    ("usage", Object(&USAGE)),
    ("error", Node::Failure),
];
