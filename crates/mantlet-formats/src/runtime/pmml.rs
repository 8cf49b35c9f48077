//! PMML: functions that an evaluator looks up as classes by their name.

use mantlet_vocab::{Source, read_window};

use super::openvino::{attribute, tags};
use crate::structure::{Power, Structure};

const MAX_TEXT: usize = 16 << 20;

/// Whether text is PMML.
#[must_use]
pub fn is_pmml(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(4_096)]);
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<') && text.contains("<PMML")
}

/// The facts of PMML. Its document type is judged with that of all XML.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("PMML");
    let bytes = read_window(source, 0, MAX_TEXT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut defined: Vec<&str> = Vec::new();
    for (name, tag, _) in tags(&text) {
        if name == "DefineFunction" && defined.len() < 4_096 {
            defined.extend(attribute(tag, "name"));
        }
    }
    for (name, tag, at) in tags(&text) {
        let local = name.rsplit(':').next().unwrap_or(name);
        match local {
            "Apply" => {
                let function = attribute(tag, "function").unwrap_or_default();
                let class = function.contains('.')
                    && function.split('.').all(|part| {
                        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
                    });
                if class && !defined.contains(&function) {
                    facts.names(Power::Class, "function", function, at);
                }
            }
            "script" | "Script" => facts.names(Power::Class, "script element", local, at),
            _ => {}
        }
    }
    facts
}
