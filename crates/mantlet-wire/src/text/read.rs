//! Whole messages: a request, a reply.

use mantlet_vocab::{Kind, Piece};

use super::shape::Shape;
use super::walk::{Facts, Found, Walk};
use super::{Surface, TextReply, TextRequest, Usage, anthropic, mcp, openai};
use crate::{Defect, Limits};

/// Reads what a caller asked. Calls without a body ([`Surface::Models`], a `GET`) give no pieces; the multipart bodies
/// of [`Surface::OpenAiFiles`] are read by [`crate::form::read_form`].
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_text_request(surface: Surface, body: &[u8], limits: &Limits) -> Result<TextRequest, Defect> {
    let shape = match surface {
        Surface::OpenAiChat => &openai::CHAT,
        Surface::OpenAiCompletions => &openai::COMPLETIONS,
        Surface::OpenAiResponses => &openai::RESPONSES,
        Surface::OpenAiEmbeddings => &openai::EMBEDDINGS,
        Surface::OpenAiModerations => &openai::MODERATIONS,
        Surface::AnthropicMessages | Surface::AnthropicCountTokens => &anthropic::REQUEST,
        Surface::Mcp if !body.is_empty() => &mcp::RPC,
        Surface::OpenAiFiles | Surface::Models | Surface::Mcp => {
            return if body.is_empty() {
                Ok(TextRequest { choices: 1, ..TextRequest::default() })
            } else {
                Err(Defect::Unserved { name: surface.name() })
            };
        }
    };
    let mut walk = Walk::new(limits, false);
    walk.message(body, shape)?;
    if walk.facts.model.is_none() && !matches!(surface, Surface::OpenAiModerations | Surface::Mcp) {
        return Err(Defect::Missing { field: "model" });
    }
    let Facts {
        model,
        stream,
        include_usage,
        max_tokens,
        choices,
        tools,
        opaque,
        logprobs,
        rpc_id,
        method,
        ..
    } = walk.facts;
    Ok(TextRequest {
        model,
        pieces: pieces(walk.found),
        stream,
        include_usage,
        max_tokens,
        choices: choices.unwrap_or(1),
        tools,
        opaque,
        logprobs,
        rpc_id,
        method,
    })
}

/// Reads what a model answered in one message: JSON, or for [`Surface::OpenAiFiles`] a file of any kind, whose text is
/// one piece when it is text; an error answer is read by the same rules. Streams are read by
/// [`super::StreamReader`].
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_text_reply(surface: Surface, body: &[u8], limits: &Limits) -> Result<TextReply, Defect> {
    let mut walk = Walk::new(limits, false);
    match reply_shape(surface) {
        Some(shape) => walk.message(body, shape)?,
        None if surface == Surface::OpenAiFiles => return file(body, limits),
        // Listings and metadata: anything that is JSON.
        None => walk.node(body, super::shape::UNKNOWN, false)?,
    }
    let usage = usage(&walk.facts);
    Ok(TextReply {
        pieces: pieces(walk.found),
        usage,
        finish: walk.facts.finish,
        tools: walk.facts.tools,
        opaque: walk.facts.opaque,
    })
}

/// A file that a server kept, or what it says about files. A file may be JSON that two readers read differently, so
/// what is no strict JSON is looked at as plain text.
fn file(body: &[u8], limits: &Limits) -> Result<TextReply, Defect> {
    if body.len() > limits.bytes {
        return Err(Defect::TooLarge { found: body.len(), limit: limits.bytes });
    }
    if let Ok(pieces) = free_pieces(body, limits) {
        return Ok(TextReply { pieces, ..TextReply::default() });
    }
    Ok(match std::str::from_utf8(body) {
        Ok(text) => {
            let piece = Piece { kind: Kind::Document, pointer: String::new(), text: text.to_owned() };
            TextReply { pieces: vec![piece], ..TextReply::default() }
        }
        Err(_) => TextReply { opaque: 1, ..TextReply::default() },
    })
}

fn reply_shape(surface: Surface) -> Option<&'static Shape> {
    Some(match surface {
        Surface::OpenAiChat | Surface::OpenAiCompletions => &openai::CHAT_REPLY,
        Surface::OpenAiResponses => &openai::RESPONSES_REPLY,
        Surface::OpenAiEmbeddings => &openai::EMBEDDINGS_REPLY,
        Surface::OpenAiModerations => &openai::MODERATIONS_REPLY,
        Surface::AnthropicMessages => &anthropic::REPLY,
        Surface::AnthropicCountTokens => &openai::USAGE,
        Surface::Mcp => &mcp::RPC,
        Surface::OpenAiFiles | Surface::Models => return None,
    })
}

pub(super) fn usage(facts: &Facts) -> Option<Usage> {
    if facts.input_tokens.is_none() && facts.output_tokens.is_none() {
        return None;
    }
    Some(Usage {
        input_tokens: facts.input_tokens.unwrap_or(0),
        output_tokens: facts.output_tokens.unwrap_or(0),
    })
}

/// Every text of any JSON.
pub(crate) fn free_pieces(body: &[u8], limits: &Limits) -> Result<Vec<Piece>, Defect> {
    let mut walk = Walk::new(limits, false);
    walk.node(body, super::shape::UNKNOWN, false)?;
    Ok(pieces(walk.found))
}

pub(crate) fn pieces(found: Vec<Found>) -> Vec<Piece> {
    found.into_iter().map(|Found { kind, pointer, text, .. }| Piece { kind, pointer, text }).collect()
}
