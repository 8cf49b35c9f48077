//! Forms of several parts (`multipart/form-data`, RFC 7578), as files are sent to a language model's server.
//!
//! Forms are passed on as they came. Reading is strict where servers differ: text before the first part and after the
//! last, a part named twice over, a second way to write a file's name, encodings of parts and lines that end in
//! anything but `\r\n` are refused.

use mantlet_vocab::{Kind, Piece};
use memchr::memmem;

use crate::text::{TextRequest, UNESCAPED, push_token, unescaped};
use crate::{Defect, Limits};

/// Parts of a form, and bytes of a part's head.
const PARTS: usize = 64;
const HEAD: usize = 4096;

/// Reads a form: fields and files that are text become pieces, as do names; other files are counted as opaque. The
/// field `model` is the model. Pieces of a form cannot be edited.
///
/// # Errors
/// The first defect, in the order of the message; also when `content_type` is no form or has no boundary.
pub fn read_form(content_type: &str, body: &[u8], limits: &Limits) -> Result<TextRequest, Defect> {
    if body.len() > limits.bytes {
        return Err(Defect::TooLarge { found: body.len(), limit: limits.bytes });
    }
    let boundary = boundary(content_type).ok_or(Defect::Missing { field: "boundary" })?;
    let opening = format!("--{boundary}\r\n");
    let between = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(between.as_bytes());
    let syntax = |offset: usize, expected: &'static str| Defect::Syntax { offset, expected };
    if !body.starts_with(opening.as_bytes()) {
        return Err(syntax(0, "the first part"));
    }
    let mut request = TextRequest { choices: 1, ..TextRequest::default() };
    let mut names: Vec<String> = Vec::new();
    let mut at = opening.len();
    loop {
        if names.len() >= PARTS {
            return Err(Defect::TooMany { what: "parts of a form", limit: PARTS });
        }
        let rest = body.get(at..).unwrap_or(&[]);
        let head_end = memmem::find(rest.get(..rest.len().min(HEAD + 4)).unwrap_or(rest), b"\r\n\r\n")
            .ok_or(syntax(at, "the head of a part"))?;
        let head = std::str::from_utf8(&rest[..head_end])
            .map_err(|e| Defect::NotUtf8 { offset: at + e.valid_up_to() })?;
        let part = head_of(head, at)?;
        let start = head_end + 4;
        let found = rest.get(start..).and_then(|content| finder.find(content));
        let end = start + found.ok_or(syntax(at, "the end of a part"))?;
        let content = rest.get(start..end).unwrap_or(&[]);
        take(&mut request, &part, content, names.len(), limits)?;
        if names.contains(&part.name) && !part.name.ends_with("[]") {
            return Err(Defect::DuplicateKey { offset: at, key: part.name.chars().take(100).collect() });
        }
        names.push(part.name);
        let after = end + between.len();
        let tail = rest.get(after..).unwrap_or(&[]);
        if tail.starts_with(b"\r\n") {
            at += after + 2;
        } else if matches!(tail, b"--" | b"--\r\n") {
            return Ok(request);
        } else {
            return Err(syntax(at + after, "another part or the end of the form"));
        }
    }
}

struct Part {
    name: String,
    file: Option<String>,
    kind: Option<String>,
}

fn head_of(head: &str, at: usize) -> Result<Part, Defect> {
    let syntax = |expected: &'static str| Defect::Syntax { offset: at, expected };
    let (mut disposition, mut kind) = (None, None);
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(syntax("a line `name: value`"))?;
        if line.starts_with([' ', '\t']) || line.contains(['\n', '\r', '\0']) {
            return Err(syntax("a head without folded lines"));
        }
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut kind,
            _ => return Err(syntax("Content-Disposition or Content-Type")),
        };
        if slot.replace(value.trim()).is_some() {
            return Err(Defect::DuplicateKey { offset: at, key: name.chars().take(100).collect() });
        }
    }
    let disposition = disposition.ok_or(Defect::Missing { field: "Content-Disposition" })?;
    let parameters = disposition.strip_prefix("form-data").ok_or(syntax("form-data"))?;
    let (mut name, mut file) = (None, None);
    let mut rest = parameters.trim_start();
    while !rest.is_empty() {
        let parameter = rest.strip_prefix(';').ok_or(syntax("`;`"))?.trim_start();
        let (key, value) = parameter.split_once('=').ok_or(syntax("`name=\"value\"`"))?;
        // A quote inside is written as %22 (RFC 7578 by way of the HTML standard); a backslash is read in two ways.
        let value = value.strip_prefix('"').ok_or(syntax("a name in quotes"))?;
        let (value, after) = value.split_once('"').ok_or(syntax("the end of a name"))?;
        if value.contains('\\') {
            return Err(syntax("a name without a backslash"));
        }
        let slot = match key {
            "name" => &mut name,
            "filename" => &mut file,
            _ => return Err(syntax("name or filename")),
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(Defect::DuplicateKey { offset: at, key: key.to_owned() });
        }
        rest = after.trim_start();
    }
    let name = name.ok_or(Defect::Missing { field: "name" })?;
    Ok(Part { name, file, kind: kind.map(str::to_owned) })
}

fn take(
    request: &mut TextRequest,
    part: &Part,
    content: &[u8],
    place: usize,
    limits: &Limits,
) -> Result<(), Defect> {
    let mut pointer = format!("/{place}/");
    push_token(&mut pointer, &part.name);
    let mut piece = |kind: Kind, end: &str, text: &str| {
        if request.pieces.len() >= limits.pieces {
            return Err(Defect::TooMany { what: "texts", limit: limits.pieces });
        }
        if !text.is_empty() {
            request.pieces.push(Piece { kind, pointer: format!("{pointer}{end}"), text: text.to_owned() });
        }
        Ok(())
    };
    piece(Kind::Unknown, "~#", &part.name)?;
    piece(Kind::Unknown, "/filename", part.file.as_deref().unwrap_or(""))?;
    let words = ["text/plain", "application/json", "application/jsonl", "application/octet-stream"];
    let kind = part.kind.as_deref().unwrap_or("");
    piece(Kind::Unknown, "/content-type", if words.contains(&kind) { "" } else { kind })?;
    match std::str::from_utf8(content) {
        Ok(text) => {
            let kind = if part.file.is_some() { Kind::Document } else { Kind::Unknown };
            piece(kind, "", text)?;
            if text.contains('\\') {
                piece(kind, UNESCAPED, &lines(text, limits))?;
            }
            if part.name == "model" && part.file.is_none() {
                request.model = Some(text.to_owned());
            }
        }
        Err(_) if part.file.is_some() => request.opaque = request.opaque.saturating_add(1),
        Err(error) => return Err(Defect::NotUtf8 { offset: error.valid_up_to() }),
    }
    Ok(())
}

/// The lines of a text that are JSON, with their escapes undone: `\u0041` is an A to whoever reads the file.
fn lines(text: &str, limits: &Limits) -> String {
    if let Some(whole) = unescaped(text, limits) {
        return whole;
    }
    let mut out = String::new();
    for line in text.lines().filter(|line| line.contains('\\')) {
        out.push_str(&unescaped(line, limits).unwrap_or_default());
    }
    out
}

/// The boundary that a content type of a form says (RFC 2046, section 5.1.1).
fn boundary(content_type: &str) -> Option<&str> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut found = None;
    for parameter in parameters.split(';') {
        let (name, value) = parameter.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("boundary") {
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            // Two boundaries are two forms.
            if found.replace(quoted.unwrap_or(value)).is_some() {
                return None;
            }
        }
    }
    found.filter(|boundary| {
        (1..=70).contains(&boundary.len())
            && boundary.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b))
    })
}
