//! What a call of the service brings.

use mantlet_vocab::Kind;

use super::{Examine, Policy, PolicyAction, Service};
use crate::json::Reader;
use crate::text::shapes::{ASKED, Node, TOOL, TOOL_CALL, Voice, Walk};
use crate::text::{KEYS, UNESCAPED, pieces};
use crate::{Defect, Limits};

/// The most texts of a call, and policies it brings.
const TEXTS: usize = 4096;
const POLICIES: usize = 64;

/// Reads a call's body. Calls without one ([`Service::ArgusVerifyKey`], [`Service::ArgusVerifyAsset`]) give nothing.
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_service(service: Service, body: &[u8], limits: &Limits) -> Result<Examine, Defect> {
    if body.len() > limits.bytes {
        return Err(Defect::TooLarge { found: body.len(), limit: limits.bytes });
    }
    let mut examine = Examine { save: true, reply: service == Service::ArgusResponse, ..Examine::default() };
    if matches!(service, Service::ArgusVerifyKey | Service::ArgusVerifyAsset) {
        return if body.is_empty() { Ok(examine) } else { Err(Defect::TrailingData { offset: 0 }) };
    }
    let mut reader = Reader::new(body, limits)?;
    let mut walk = Walk::new(limits, false);
    let mut scanned = false;
    reader.object(|reader, key| match service {
        Service::Analyze => analyze(reader, &mut walk, &mut examine, key, &mut scanned),
        Service::LiteLlm => litellm(reader, &mut walk, &mut examine, key, &mut scanned),
        _ => argus(service, reader, &mut walk, &mut examine, key, &mut scanned),
    })?;
    reader.finish()?;
    if !scanned {
        let field = match service {
            Service::Analyze => "text",
            Service::LiteLlm => "input_type",
            _ => "scan_data",
        };
        return Err(Defect::Missing { field });
    }
    if service.argus() && service != Service::ArgusEvent && examine.system.is_none() {
        return Err(Defect::Missing { field: "asset_id" });
    }
    walk.keys_as_pieces();
    examine.opaque = walk.facts.opaque;
    examine.tools = std::mem::take(&mut walk.facts.tools);
    examine.pieces = pieces(walk.found);
    // Texts that stand alone are said by who the whole call is about, which may stand after them.
    let kind = if examine.reply { Kind::Assistant } else { Kind::User };
    for piece in &mut examine.pieces {
        let alone = ["/text", "/texts/", "/scan_data/"].iter().any(|start| piece.pointer.starts_with(start));
        if alone
            && piece.kind == Kind::Unknown
            && piece.pointer != KEYS
            && !piece.pointer.ends_with(UNESCAPED)
        {
            piece.kind = kind;
        }
    }
    Ok(examine)
}

const PLAIN: Node = Node::Free(Voice::Is(Kind::Unknown));

fn analyze(
    reader: &mut Reader<'_>,
    walk: &mut Walk<'_>,
    examine: &mut Examine,
    key: &str,
    scanned: &mut bool,
) -> Result<(), Defect> {
    match key {
        "direction" => examine.reply = direction(reader, "request", "reply")?,
        "text" | "texts" => {
            *scanned = true;
            walk.member(reader, key, PLAIN)?;
        }
        "messages" => {
            *scanned = true;
            walk.member(reader, key, Node::Object(&ASKED))?;
        }
        "tools" => {
            *scanned = true;
            walk.member(reader, key, Node::Object(&TOOL))?;
        }
        "tool_calls" => {
            *scanned = true;
            walk.member(reader, key, Node::Object(&TOOL_CALL))?;
        }
        "tool_results" => {
            *scanned = true;
            walk.member(reader, key, Node::Free(Voice::Is(Kind::ToolResult)))?;
        }
        "documents" => {
            *scanned = true;
            walk.member(reader, key, Node::Free(Voice::Is(Kind::Document)))?;
        }
        "system" => examine.system = word(reader)?,
        "model" => examine.model = word(reader)?,
        "user" => examine.user = word(reader)?,
        "session" => examine.session = word(reader)?,
        other => walk.stranger(reader, other)?,
    }
    Ok(())
}

fn litellm(
    reader: &mut Reader<'_>,
    walk: &mut Walk<'_>,
    examine: &mut Examine,
    key: &str,
    scanned: &mut bool,
) -> Result<(), Defect> {
    match key {
        "input_type" => {
            *scanned = true;
            examine.reply = direction(reader, "request", "response")?;
        }
        "texts" => {
            if reader.peek() == Some(b'[') {
                let (at, depth) = (reader.at, reader.depth());
                reader.array(|reader| {
                    if examine.texts.len() >= TEXTS {
                        return Err(Defect::TooMany { what: "texts", limit: TEXTS });
                    }
                    examine.texts.push(reader.string()?.into_owned());
                    Ok(())
                })?;
                reader.rewind(at, depth);
            }
            walk.member(reader, key, PLAIN)?;
        }
        "structured_messages" => walk.member(reader, key, Node::Object(&ASKED))?,
        "tools" => walk.member(reader, key, Node::Object(&TOOL))?,
        "tool_calls" => walk.member(reader, key, Node::Object(&TOOL_CALL))?,
        "images" => walk.member(reader, key, Node::Media)?,
        "model" => examine.model = word(reader)?,
        "litellm_trace_id" => examine.session = word(reader)?,
        "request_data" => identities(reader, examine)?,
        "additional_provider_specific_params" => options(reader, examine)?,
        // The proxy's own words about the call, none of which goes to the model.
        "request_headers" | "litellm_call_id" | "litellm_version" => drop(reader.any()?),
        other => walk.stranger(reader, other)?,
    }
    Ok(())
}

/// Who asks, as LiteLLM knows it: the end user, else the user of its key, else the key's digest.
fn identities(reader: &mut Reader<'_>, examine: &mut Examine) -> Result<(), Defect> {
    let mut best = usize::MAX;
    const BEST: [&str; 3] = ["user_api_key_end_user_id", "user_api_key_user_id", "user_api_key_hash"];
    if reader.peek() != Some(b'{') {
        return reader.any().map(drop);
    }
    reader.object(|reader, key| {
        let Some(rank) = BEST.iter().position(|name| *name == key) else { return reader.any().map(drop) };
        if let Some(name) = word(reader)?.filter(|_| rank < best) {
            best = rank;
            examine.user = Some(name);
        }
        Ok(())
    })
}

/// What the proxy's configuration says to us: `system`.
fn options(reader: &mut Reader<'_>, examine: &mut Examine) -> Result<(), Defect> {
    if reader.peek() != Some(b'{') {
        return reader.any().map(drop);
    }
    reader.object(|reader, key| {
        if key == "system" {
            examine.system = word(reader)?;
            return Ok(());
        }
        reader.any().map(drop)
    })
}

fn argus(
    service: Service,
    reader: &mut Reader<'_>,
    walk: &mut Walk<'_>,
    examine: &mut Examine,
    key: &str,
    scanned: &mut bool,
) -> Result<(), Defect> {
    match key {
        "asset_id" => examine.system = word(reader)?,
        "user_id" => examine.user = word(reader)?,
        "session_id" => examine.session = word(reader)?,
        "save" => examine.save = reader.boolean()?,
        "metadata" if service != Service::ArgusEvent => drop(reader.any()?),
        "policies" if service != Service::ArgusEvent => policies(reader, examine)?,
        "scan_data" if service != Service::ArgusEvent => {
            let wanted = if service == Service::ArgusPrompt { "prompt" } else { "response" };
            let mut found = false;
            walk.inside(reader, key, |reader, walk, key| {
                if key == wanted && reader.peek() == Some(b'"') {
                    found = true;
                }
                if key == wanted { walk.member(reader, key, PLAIN) } else { walk.stranger(reader, key) }
            })?;
            if !found {
                return Err(Defect::Missing { field: "scan_data" });
            }
            *scanned = true;
        }
        other => {
            *scanned |= service == Service::ArgusEvent;
            walk.stranger(reader, other)?;
        }
    }
    Ok(())
}

fn policies(reader: &mut Reader<'_>, examine: &mut Examine) -> Result<(), Defect> {
    if reader.peek() == Some(b'n') {
        return reader.any().map(drop);
    }
    reader.array(|reader| {
        if examine.policies.len() >= POLICIES {
            return Err(Defect::TooMany { what: "policies", limit: POLICIES });
        }
        reader.peek();
        let start = reader.at;
        let (mut name, mut action) = (None, None);
        reader.object(|reader, key| {
            match key {
                "policy_name" => name = word(reader)?,
                "action" => {
                    let offset = reader.at;
                    action = Some(match &*reader.string()? {
                        "block" => PolicyAction::Block,
                        "flag" => PolicyAction::Flag,
                        "disabled" => PolicyAction::Disabled,
                        _ => return Err(Defect::Syntax { offset, expected: "block, flag or disabled" }),
                    });
                }
                _ => drop(reader.any()?),
            }
            Ok(())
        })?;
        let details = reader.text().get(start..reader.at).unwrap_or("").to_owned();
        let name = name.ok_or(Defect::Missing { field: "policy_name" })?;
        let action = action.ok_or(Defect::Missing { field: "action" })?;
        examine.policies.push(Policy { name, action, details });
        Ok(())
    })
}

/// Which of two words a string is.
fn direction(reader: &mut Reader<'_>, first: &str, second: &'static str) -> Result<bool, Defect> {
    let offset = reader.at;
    let said = reader.string()?;
    if said == second {
        Ok(true)
    } else if said == first {
        Ok(false)
    } else {
        Err(Defect::Syntax { offset, expected: "a direction" })
    }
}

/// A name, which may be `null`.
fn word(reader: &mut Reader<'_>) -> Result<Option<String>, Defect> {
    if reader.peek() == Some(b'n') {
        return reader.any().map(|_| None);
    }
    let offset = reader.at;
    let said = reader.string()?;
    if said.len() > 512 {
        return Err(Defect::OutOfRange { offset, datatype: "a name of at most 512 bytes" });
    }
    Ok(Some(said.into_owned()))
}
