//! The messages of OpenAI's interface and of the many servers that speak it: chat, completions, responses,
//! embeddings, moderations.
//!
//! Source: the OpenAPI description of the OpenAI API; `reasoning_content` and `reasoning` as DeepSeek, vLLM and
//! OpenRouter write them.

use mantlet_vocab::Kind;

use super::shape::Node::{self, Echo, Free, Index, Json, Media, Numbers, Object, Say, Word};
use super::shape::{Scope, Shape, UNKNOWN, Voice};

const CALL: Voice = Voice::Is(Kind::ToolCall);
const THOUGHT: Voice = Voice::Is(Kind::Reasoning);

/// `type` of parts and items, the values that mean nothing but themselves.
const TYPES: Node = Word(&[
    "text",
    "image_url",
    "input_audio",
    "file",
    "refusal",
    "function",
    "custom",
    "message",
    "input_text",
    "input_image",
    "input_file",
    "output_text",
    "function_call",
    "function_call_output",
    "reasoning",
    "reasoning_text",
    "summary_text",
    "item_reference",
    "json_schema",
    "json_object",
]);
const STATUS: Node = Word(&["completed", "in_progress", "incomplete", "failed", "queued", "cancelled"]);
const DETAIL: Node = Word(&["low", "high", "auto"]);

pub(super) static USAGE: Shape = Shape::of(USAGE_MEMBERS);
const USAGE_MEMBERS: &[(&str, Node)] = &[
    ("prompt_tokens", Node::InputTokens),
    ("completion_tokens", Node::OutputTokens),
    ("input_tokens", Node::InputTokens),
    ("output_tokens", Node::OutputTokens),
    ("total_tokens", Numbers),
];

static IMAGE: Shape = Shape::of(IMAGE_MEMBERS).text(Media);
const IMAGE_MEMBERS: &[(&str, Node)] = &[("url", Media), ("detail", DETAIL)];
static AUDIO: Shape = Shape::of(AUDIO_MEMBERS);
const AUDIO_MEMBERS: &[(&str, Node)] = &[
    ("data", Media),
    ("format", Word(&["wav", "mp3", "flac", "opus", "pcm16"])),
    ("transcript", Say(Voice::Role, "transcript")),
    ("id", Echo),
    ("expires_at", Numbers),
];
static FILE: Shape = Shape::of(FILE_MEMBERS);
const FILE_MEMBERS: &[(&str, Node)] = &[("file_data", Media)];

/// A part of `content`, in chat and in responses.
static PART: Shape = Shape::of(PART_MEMBERS).text(Say(Voice::Role, "content"));
const PART_MEMBERS: &[(&str, Node)] = &[
    ("type", TYPES),
    ("text", Say(Voice::Role, "content")),
    ("refusal", Say(Voice::Role, "refusal")),
    ("image_url", Object(&IMAGE)),
    ("input_audio", Object(&AUDIO)),
    ("file", Object(&FILE)),
    ("file_data", Media),
    ("file_url", Media),
    ("detail", DETAIL),
    ("logprobs", Node::Logprobs),
    ("annotations", Free(Voice::Is(Kind::Document))),
    ("filename", UNKNOWN),
    ("file_id", UNKNOWN),
];

static FUNCTION_CALL: Shape = Shape::of(FUNCTION_CALL_MEMBERS).rest(CALL);
const FUNCTION_CALL_MEMBERS: &[(&str, Node)] =
    &[("name", Say(CALL, "name")), ("arguments", Json(CALL, "arguments")), ("input", Say(CALL, "arguments"))];
pub(crate) static TOOL_CALL: Shape = Shape::of(TOOL_CALL_MEMBERS).rest(CALL).scope(Scope::Indexed(1));
const TOOL_CALL_MEMBERS: &[(&str, Node)] = &[
    ("index", Index(1)),
    ("id", Echo),
    ("type", TYPES),
    ("function", Object(&FUNCTION_CALL)),
    ("custom", Object(&FUNCTION_CALL)),
];

const MESSAGE: Shape = Shape::of(MESSAGE_MEMBERS);
const MESSAGE_MEMBERS: &[(&str, Node)] = &[
    ("role", Node::Role),
    ("content", Object(&PART)),
    ("refusal", Say(Voice::Role, "refusal")),
    ("tool_calls", Object(&TOOL_CALL)),
    ("function_call", Object(&FUNCTION_CALL)),
    ("reasoning_content", Say(THOUGHT, "reasoning")),
    ("reasoning", Say(THOUGHT, "reasoning")),
    ("reasoning_details", Free(THOUGHT)),
    ("thinking", Say(THOUGHT, "reasoning")),
    ("audio", Object(&AUDIO)),
    ("name", UNKNOWN),
    ("tool_call_id", UNKNOWN),
    ("annotations", Free(Voice::Is(Kind::Document))),
];
pub(crate) static ASKED: Shape = MESSAGE.scope(Scope::Message(Kind::Unknown));
static ANSWERED: Shape = MESSAGE.scope(Scope::Message(Kind::Assistant)).text(Say(Voice::Role, "content"));

/// A tool offered to the model, in any dialect: its name, and everything else as its definition.
pub(crate) static TOOL: Shape = Shape::of(TOOL_MEMBERS).rest(Voice::Is(Kind::ToolDefinition));
const TOOL_MEMBERS: &[(&str, Node)] =
    &[("type", TYPES), ("function", Object(&FUNCTION)), ("name", Node::Tool)];
static FUNCTION: Shape = Shape::of(FUNCTION_MEMBERS).rest(Voice::Is(Kind::ToolDefinition));
const FUNCTION_MEMBERS: &[(&str, Node)] = &[("name", Node::Tool)];

static STREAM_OPTIONS: Shape = Shape::of(STREAM_OPTIONS_MEMBERS);
const STREAM_OPTIONS_MEMBERS: &[(&str, Node)] = &[("include_usage", Node::IncludeUsage)];
static PREDICTION: Shape = Shape::of(PREDICTION_MEMBERS).scope(Scope::Message(Kind::Assistant));
const PREDICTION_MEMBERS: &[(&str, Node)] = &[("type", Word(&["content"])), ("content", Object(&PART))];

pub(super) static CHAT: Shape = Shape::of(CHAT_MEMBERS);
const CHAT_MEMBERS: &[(&str, Node)] = &[
    ("model", Node::Model),
    ("messages", Object(&ASKED)),
    ("stream", Node::Stream),
    ("stream_options", Object(&STREAM_OPTIONS)),
    ("max_tokens", Node::MaxTokens),
    ("max_completion_tokens", Node::MaxTokens),
    ("n", Node::Choices),
    ("tools", Object(&TOOL)),
    ("functions", Object(&FUNCTION)),
    ("prediction", Object(&PREDICTION)),
    ("response_format", Free(Voice::Is(Kind::ToolDefinition))),
    ("logprobs", Node::AskLogprobs),
    ("top_logprobs", Node::AskLogprobs),
    ("temperature", UNKNOWN),
    ("top_p", UNKNOWN),
    ("user", UNKNOWN),
    ("stop", UNKNOWN),
    ("seed", UNKNOWN),
    ("frequency_penalty", UNKNOWN),
    ("presence_penalty", UNKNOWN),
    ("parallel_tool_calls", UNKNOWN),
    ("tool_choice", UNKNOWN),
    ("metadata", UNKNOWN),
    ("store", UNKNOWN),
    ("service_tier", UNKNOWN),
    ("reasoning_effort", UNKNOWN),
    ("modalities", UNKNOWN),
    ("logit_bias", UNKNOWN),
];

static CHOICE: Shape = Shape::of(CHOICE_MEMBERS).scope(Scope::Indexed(0));
const CHOICE_MEMBERS: &[(&str, Node)] = &[
    ("index", Index(0)),
    ("message", Object(&ANSWERED)),
    ("delta", Object(&ANSWERED)),
    ("text", Say(Voice::Is(Kind::Assistant), "content")),
    ("finish_reason", Node::Finish),
    ("logprobs", Node::Logprobs),
];

/// A reply or a chunk of a stream, of chat and of completions.
pub(super) static CHAT_REPLY: Shape = Shape::of(CHAT_REPLY_MEMBERS);
const CHAT_REPLY_MEMBERS: &[(&str, Node)] = &[
    ("id", Echo),
    ("object", Word(&["chat.completion", "chat.completion.chunk", "text_completion"])),
    ("created", Numbers),
    ("model", Echo),
    ("system_fingerprint", Echo),
    ("service_tier", Echo),
    ("choices", Object(&CHOICE)),
    ("usage", Object(&USAGE)),
    ("error", Node::Failure),
];

pub(super) static COMPLETIONS: Shape = Shape::of(COMPLETIONS_MEMBERS);
const COMPLETIONS_MEMBERS: &[(&str, Node)] = &[
    ("model", Node::Model),
    ("prompt", Node::Prompt(Voice::Is(Kind::User))),
    ("suffix", Free(Voice::Is(Kind::User))),
    ("stream", Node::Stream),
    ("stream_options", Object(&STREAM_OPTIONS)),
    ("max_tokens", Node::MaxTokens),
    ("n", Node::Choices),
    ("best_of", Node::Choices),
    ("logprobs", Node::AskLogprobs),
];

pub(super) static EMBEDDINGS: Shape = Shape::of(EMBEDDINGS_MEMBERS);
const EMBEDDINGS_MEMBERS: &[(&str, Node)] = &[
    ("model", Node::Model),
    ("input", Node::Prompt(Voice::Is(Kind::User))),
    ("encoding_format", Word(&["float", "base64"])),
];
static EMBEDDING: Shape = Shape::of(EMBEDDING_MEMBERS);
const EMBEDDING_MEMBERS: &[(&str, Node)] =
    &[("object", Word(&["embedding"])), ("embedding", Numbers), ("index", Numbers)];
pub(super) static EMBEDDINGS_REPLY: Shape = Shape::of(EMBEDDINGS_REPLY_MEMBERS);
const EMBEDDINGS_REPLY_MEMBERS: &[(&str, Node)] =
    &[("object", Word(&["list"])), ("model", Echo), ("data", Object(&EMBEDDING)), ("usage", Object(&USAGE))];

static MODERATED: Shape = Shape::of(PART_MEMBERS).text(Say(Voice::Is(Kind::User), "content"));
pub(super) static MODERATIONS: Shape = Shape::of(MODERATIONS_MEMBERS).scope(Scope::Message(Kind::User));
const MODERATIONS_MEMBERS: &[(&str, Node)] = &[("model", Node::Model), ("input", Object(&MODERATED))];
static MODERATION: Shape = Shape::of(MODERATION_MEMBERS);
const MODERATION_MEMBERS: &[(&str, Node)] = &[("category_scores", Numbers)];
pub(super) static MODERATIONS_REPLY: Shape = Shape::of(MODERATIONS_REPLY_MEMBERS);
const MODERATIONS_REPLY_MEMBERS: &[(&str, Node)] =
    &[("id", Echo), ("model", Echo), ("results", Object(&MODERATION))];

/// An item of a responses call: a message, a call of a tool, its output, a line of reasoning.
const ITEM: Shape = Shape::of(ITEM_MEMBERS);
const ITEM_MEMBERS: &[(&str, Node)] = &[
    ("id", Echo),
    ("type", TYPES),
    ("status", STATUS),
    ("role", Node::Role),
    ("content", Object(&PART)),
    ("name", Say(CALL, "name")),
    ("arguments", Json(CALL, "arguments")),
    ("input", Free(CALL)),
    ("action", Free(CALL)),
    ("code", Say(CALL, "arguments")),
    ("output", Object(&OUTPUT)),
    ("outputs", Free(Voice::Is(Kind::ToolResult))),
    ("results", Free(Voice::Is(Kind::ToolResult))),
    ("result", Media),
    ("tools", Object(&TOOL)),
    ("summary", Object(&SUMMARY)),
    ("encrypted_content", Numbers),
    ("call_id", UNKNOWN),
];
static OUTPUT: Shape = Shape::of(OUTPUT_MEMBERS)
    .text(Say(Voice::Is(Kind::ToolResult), "output"))
    .rest(Voice::Is(Kind::ToolResult));
const OUTPUT_MEMBERS: &[(&str, Node)] = &[("type", TYPES), ("image_url", Media), ("file_data", Media)];
static SUMMARY: Shape = Shape::of(SUMMARY_MEMBERS).text(Say(THOUGHT, "reasoning")).rest(THOUGHT);
const SUMMARY_MEMBERS: &[(&str, Node)] = &[("type", TYPES), ("text", Say(THOUGHT, "reasoning"))];
static ITEM_ASKED: Shape =
    ITEM.scope(Scope::Message(Kind::Unknown)).text(Say(Voice::Is(Kind::User), "content"));
static ITEM_ANSWERED: Shape = ITEM.scope(Scope::Message(Kind::Assistant));
static PART_ANSWERED: Shape = Shape::of(PART_MEMBERS).scope(Scope::Message(Kind::Assistant));
static PROMPT: Shape = Shape::of(PROMPT_MEMBERS);
const PROMPT_MEMBERS: &[(&str, Node)] = &[("variables", Free(Voice::Is(Kind::User)))];

pub(super) static RESPONSES: Shape = Shape::of(RESPONSES_MEMBERS);
const RESPONSES_MEMBERS: &[(&str, Node)] = &[
    ("model", Node::Model),
    ("input", Object(&ITEM_ASKED)),
    ("instructions", Free(Voice::Is(Kind::System))),
    ("prompt", Object(&PROMPT)),
    ("stream", Node::Stream),
    ("max_output_tokens", Node::MaxTokens),
    ("tools", Object(&TOOL)),
    ("text", Free(Voice::Is(Kind::ToolDefinition))),
    ("top_logprobs", Node::AskLogprobs),
    ("temperature", UNKNOWN),
    ("top_p", UNKNOWN),
    ("user", UNKNOWN),
    ("include", UNKNOWN),
    ("metadata", UNKNOWN),
    ("parallel_tool_calls", UNKNOWN),
    ("previous_response_id", UNKNOWN),
    ("reasoning", UNKNOWN),
    ("store", UNKNOWN),
    ("tool_choice", UNKNOWN),
    ("truncation", UNKNOWN),
    ("service_tier", UNKNOWN),
];

pub(super) static RESPONSES_REPLY: Shape = Shape::of(RESPONSES_REPLY_MEMBERS);
const RESPONSES_REPLY_MEMBERS: &[(&str, Node)] = &[
    ("id", Echo),
    ("object", Word(&["response"])),
    ("created_at", Numbers),
    ("completed_at", Numbers),
    ("model", Echo),
    ("status", Node::Finish),
    ("output", Object(&ITEM_ANSWERED)),
    ("instructions", Free(Voice::Is(Kind::System))),
    ("tools", Object(&TOOL)),
    ("text", Free(Voice::Is(Kind::ToolDefinition))),
    ("usage", Object(&USAGE)),
    ("error", UNKNOWN),
    ("incomplete_details", UNKNOWN),
    ("temperature", UNKNOWN),
    ("top_p", UNKNOWN),
    ("user", UNKNOWN),
    ("metadata", UNKNOWN),
    ("parallel_tool_calls", UNKNOWN),
    ("previous_response_id", UNKNOWN),
    ("reasoning", UNKNOWN),
    ("store", UNKNOWN),
    ("tool_choice", UNKNOWN),
    ("truncation", UNKNOWN),
    ("service_tier", UNKNOWN),
    ("max_output_tokens", UNKNOWN),
    ("background", UNKNOWN),
];

/// An event of a stream of responses.
pub(super) static RESPONSES_EVENT: Shape = Shape::of(RESPONSES_EVENT_MEMBERS).scope(Scope::Event);
const RESPONSES_EVENT_MEMBERS: &[(&str, Node)] = &[
    ("type", Node::Type),
    ("sequence_number", Numbers),
    ("item_id", Echo),
    ("output_index", Index(0)),
    ("content_index", Index(1)),
    ("summary_index", Index(1)),
    ("delta", Say(Voice::Event, "delta")),
    ("text", Say(Voice::Event, "text")),
    ("refusal", Say(Voice::Event, "refusal")),
    ("transcript", Say(Voice::Event, "transcript")),
    ("arguments", Json(CALL, "whole-arguments")),
    ("code", Say(CALL, "whole-code")),
    ("input", Say(CALL, "whole-input")),
    ("name", Say(CALL, "name")),
    ("partial_image_b64", Media),
    ("logprobs", Node::Logprobs),
    ("part", Object(&PART_ANSWERED)),
    ("item", Object(&ITEM_ANSWERED)),
    ("response", Object(&RESPONSES_REPLY)),
];
