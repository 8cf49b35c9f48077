//! OpenVINO's graphs in XML: layers of extensions, and constants whose bytes lie in the `.bin` beside.

mod graph;

use mantlet_vocab::Source;

use crate::markup::{self, Tag, Tags};
use crate::structure::{Power, Structure};

pub use graph::graph;

const MAX_TEXT: usize = 32 << 20;

/// The facts of a graph, and how long the file of constants must be.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("OpenVINO");
    let text = markup::read(source, MAX_TEXT, &mut facts);
    let mut constant = false;
    let mut tags = Tags::new(&text);
    for tag in tags.by_ref() {
        let at = tag.at;
        match tag.name {
            "layer" => {
                let version = tag.attribute("version").unwrap_or("");
                let kind = tag.attribute("type").unwrap_or("");
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
                blob(&tag, &mut facts);
            }
            // The oldest graphs name their extensions beside the layers.
            "extension" | "custom_kernel" | "CustomLayer" => {
                let path = ["library", "path", "file", "kernel"].iter().find_map(|key| tag.attribute(key));
                facts.names(Power::Native, "extension", path.unwrap_or(tag.name), at);
            }
            "Source" | "Kernel" => {
                facts.reads("file of a kernel", tag.attribute("filename").unwrap_or(""), at)
            }
            _ => {}
        }
    }
    for limit in tags.limits {
        facts.limit(limit);
    }
    facts
}

/// A constant: where it lies in the `.bin`, and whether its shape fits its bytes.
fn blob(tag: &Tag<'_>, facts: &mut Structure) {
    let at = tag.at;
    let number = |name: &str| tag.attribute(name).map(|value| value.trim().parse::<u64>());
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
    let bits: Option<u64> = match tag.attribute("element_type").unwrap_or("") {
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
    let shape = tag.attribute("shape").unwrap_or("");
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

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn layers_cannot_hide_in_values_or_between_instructions() {
        for layer in [
            "<layer name=\" type='Const'\" type=\"PythonOp\" version=\"opset1\"/>",
            "<?x ' ?><layer type=\"PythonOp\" version=\"opset1\"/><?x ' ?>",
            "<layer type=\"Python&#79;p\" version=\"opset1\"/>",
        ] {
            let text = format!("<net name=\"m\" version=\"11\"><layers>{layer}</layers></net>");
            let facts = analyse(&MemorySource::new(text.as_bytes()));
            assert_eq!(facts.code.first().map(|(_, named)| named.name.as_str()), Some("PythonOp"), "{layer}");
            assert_eq!(facts.limits, Vec::<String>::new());
        }
    }
}
