//! OpenVINO's graphs in XML: layers of extensions, and constants whose bytes lie in the `.bin` beside.

use mantlet_vocab::{Source, read_window};

use crate::structure::{Power, Structure};

const MAX_TEXT: usize = 32 << 20;

/// Whether text is a graph of OpenVINO.
#[must_use]
pub fn is_openvino(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(4_096)]);
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
        && text.contains("<net ")
        && text.contains("<layers>")
}

/// The elements of XML: name, everything within the brackets, offset. Comments are stepped over.
pub(crate) fn tags(text: &str) -> impl Iterator<Item = (&str, &str, u64)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr::memchr(b'<', text.as_bytes().get(at..)?)?;
            let rest = text.get(at..)?;
            let start = at;
            if rest.starts_with("<!--") {
                at += rest.find("-->")?;
                continue;
            }
            let mut quote = 0;
            let end = rest.bytes().position(|byte| {
                match byte {
                    b'"' | b'\'' if quote == 0 => quote = byte,
                    _ if byte == quote => quote = 0,
                    _ => {}
                }
                byte == b'>' && quote == 0
            })?;
            at += end + 1;
            let tag = rest.get(1..end)?;
            if tag.starts_with(['/', '?', '!']) {
                continue;
            }
            let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or("");
            return Some((name, tag, start as u64));
        }
    })
}

/// The value of an attribute.
pub(crate) fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    loop {
        let found = rest.find(name)?;
        let before = rest[..found].chars().next_back();
        let after = rest[found + name.len()..].trim_start();
        rest = &rest[found + name.len()..];
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else { continue };
        if !before.is_some_and(char::is_whitespace) {
            continue;
        }
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        return value[1..].split(quote).next();
    }
}

/// The facts of a graph, and how long the file of constants must be.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("OpenVINO");
    let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
    if source.len() > MAX_TEXT as u64 {
        facts.limit(format!("only the first {MAX_TEXT} bytes are examined"));
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut constant = false;
    for (name, tag, at) in tags(&text) {
        match name {
            "layer" => {
                let version = attribute(tag, "version").unwrap_or("");
                let kind = attribute(tag, "type").unwrap_or("");
                constant = kind == "Const";
                let known =
                    version.is_empty() || version.starts_with("opset") || version.starts_with("ie_internal");
                if !known {
                    facts.names(Power::Native, "layer", &format!("{version}.{kind}"), at);
                } else if matches!(kind, "FrameworkNode" | "PythonOp") {
                    facts.names(Power::Native, "layer", kind, at);
                }
            }
            "data" if constant => {
                constant = false;
                blob(tag, at, &mut facts);
            }
            // The oldest graphs name their extensions beside the layers.
            "extension" | "custom_kernel" | "CustomLayer" => {
                let path = ["library", "path", "file", "kernel"].iter().find_map(|key| attribute(tag, key));
                facts.names(Power::Native, "extension", path.unwrap_or(name), at);
            }
            "Source" | "Kernel" => {
                facts.reads("file of a kernel", attribute(tag, "filename").unwrap_or(""), at)
            }
            _ => {}
        }
    }
    facts
}

/// A constant: where it lies in the `.bin`, and whether its shape fits its bytes.
fn blob(tag: &str, at: u64, facts: &mut Structure) {
    let number = |name: &str| attribute(tag, name).map(|value| value.trim().parse::<u64>());
    let (Some(offset), Some(size)) = (number("offset"), number("size")) else { return };
    let (Ok(offset), Ok(size)) = (offset, size) else {
        facts.defect("the place of a constant is no number", at);
        return;
    };
    let Some(end) = offset.checked_add(size) else {
        facts.defect("the place of a constant overflows", at);
        return;
    };
    facts.needs = facts.needs.max(end);
    let bits: Option<u64> = match attribute(tag, "element_type").unwrap_or("") {
        "f64" | "i64" | "u64" => Some(64),
        "f32" | "i32" | "u32" => Some(32),
        "f16" | "bf16" | "i16" | "u16" => Some(16),
        "i8" | "u8" | "boolean" | "f8e4m3" | "f8e5m2" | "f8e8m0" => Some(8),
        "i4" | "u4" | "nf4" | "f4e2m1" => Some(4),
        "u3" | "u6" | "string" | "" => None,
        "u2" => Some(2),
        "u1" => Some(1),
        _ => None,
    };
    let shape = attribute(tag, "shape").unwrap_or("");
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    let items = axes.map(|axis| axis.parse::<u64>().ok()).try_fold(1_u64, |all, axis| all.checked_mul(axis?));
    match (items, bits) {
        (None, _) => {
            facts.defect(format!("the shape `{}` makes no sense", crate::structure::shown(shape)), at)
        }
        (Some(items), Some(bits)) => {
            let wanted = items.checked_mul(bits).map(|all| all.div_ceil(8));
            if wanted != Some(size) {
                facts.defect(
                    format!("a constant of shape `{}` has {size} bytes", crate::structure::shown(shape)),
                    at,
                );
            }
        }
        _ => {}
    }
}
