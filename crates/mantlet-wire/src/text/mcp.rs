//! The JSON-RPC messages of the Model Context Protocol, in both directions: lists of tools, calls and results,
//! resources, prompts and what servers ask of the client's model.
//!
//! Source: the specification of 2025-06-18, which has no batches; a batch is refused.

use mantlet_vocab::Kind;

use super::openai::{ASKED, TOOL};
use super::shape::Node::{self, Free, Media, Numbers, Object, Say, Word};
use super::shape::{Shape, UNKNOWN, Voice};

const CALL: Voice = Voice::Is(Kind::ToolCall);
const RESULT_OF: Voice = Voice::Is(Kind::ToolResult);
const DEFINITION: Voice = Voice::Is(Kind::ToolDefinition);
const DOCUMENT: Voice = Voice::Is(Kind::Document);

const TYPES: Node = Word(&["text", "image", "audio", "resource", "resource_link"]);
const MIME: Node = Word(&["text/plain", "text/markdown", "application/json", "image/png", "image/jpeg"]);

static PARAMS: Shape = Shape::of(PARAMS_MEMBERS);
const PARAMS_MEMBERS: &[(&str, Node)] = &[
    ("name", Node::Called),
    ("arguments", Free(CALL)),
    ("argument", Free(CALL)),
    ("uri", Free(CALL)),
    ("messages", Object(&ASKED)),
    ("systemPrompt", Free(Voice::Is(Kind::System))),
    ("message", Free(RESULT_OF)),
    ("data", Free(RESULT_OF)),
    ("requestedSchema", Free(DEFINITION)),
    ("protocolVersion", Node::Echo),
];

static CONTENT: Shape = Shape::of(CONTENT_MEMBERS).text(Say(RESULT_OF, "result")).rest(RESULT_OF);
const CONTENT_MEMBERS: &[(&str, Node)] = &[
    ("type", TYPES),
    ("text", Say(RESULT_OF, "result")),
    ("data", Media),
    ("mimeType", MIME),
    ("resource", Object(&RESOURCE)),
];

static RESOURCE: Shape = Shape::of(RESOURCE_MEMBERS).text(Free(DOCUMENT)).rest(DOCUMENT);
const RESOURCE_MEMBERS: &[(&str, Node)] =
    &[("text", Say(DOCUMENT, "document")), ("blob", Media), ("mimeType", MIME)];

static RESULT: Shape = Shape::of(RESULT_MEMBERS).rest(RESULT_OF);
const RESULT_MEMBERS: &[(&str, Node)] = &[
    ("tools", Object(&TOOL)),
    ("prompts", Free(DEFINITION)),
    ("resources", Free(DEFINITION)),
    ("resourceTemplates", Free(DEFINITION)),
    ("instructions", Free(DEFINITION)),
    ("serverInfo", Free(DEFINITION)),
    ("content", Object(&CONTENT)),
    ("structuredContent", Free(RESULT_OF)),
    ("contents", Object(&RESOURCE)),
    ("messages", Object(&ASKED)),
    ("protocolVersion", Node::Echo),
    ("role", Word(&["user", "assistant"])),
    ("isError", UNKNOWN),
    ("nextCursor", UNKNOWN),
];

static ERROR: Shape = Shape::of(ERROR_MEMBERS).rest(RESULT_OF);
const ERROR_MEMBERS: &[(&str, Node)] = &[("code", Numbers), ("message", Free(RESULT_OF))];

/// A request, a notification or a response.
pub(super) static RPC: Shape = Shape::of(RPC_MEMBERS);
const RPC_MEMBERS: &[(&str, Node)] = &[
    ("jsonrpc", Word(&["2.0"])),
    ("id", Node::RpcId),
    ("method", Node::Method),
    ("params", Object(&PARAMS)),
    ("result", Object(&RESULT)),
    ("error", Object(&ERROR)),
];
