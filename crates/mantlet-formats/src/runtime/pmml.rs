//! PMML: functions that an evaluator looks up as classes by their name.

use mantlet_vocab::Source;

use crate::markup::{self, Tags};
use crate::structure::{Power, Structure};

const MAX_TEXT: usize = 16 << 20;

/// The facts of PMML. Its document type is judged with that of all XML.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("PMML");
    let text = markup::read(source, MAX_TEXT, &mut facts);
    let mut defined: Vec<String> = Vec::new();
    for tag in Tags::new(&text) {
        if tag.name.rsplit(':').next() == Some("DefineFunction") && defined.len() < 4_096 {
            defined.extend(tag.attribute("name").map(str::to_owned));
        }
    }
    let mut tags = Tags::new(&text);
    for tag in tags.by_ref() {
        let (local, at) = (tag.name.rsplit(':').next().unwrap_or(tag.name), tag.at);
        match local {
            "Apply" => {
                let function = tag.attribute("function").unwrap_or_default();
                let class = function.contains('.')
                    && function.split('.').all(|part| {
                        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
                    });
                if class && !defined.iter().any(|known| known == function) {
                    facts.names(Power::Class, "function", function, at);
                }
            }
            "script" | "Script" => facts.names(Power::Class, "script element", local, at),
            _ => {}
        }
    }
    for limit in tags.limits {
        facts.limit(limit);
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn a_function_is_what_its_own_attribute_says() {
        let text = "<PMML version=\"4.4\"><Apply x=\" function='a'\" function=\"com.evil.F\"/></PMML>";
        let facts = analyse(&MemorySource::new(text.as_bytes()));
        assert_eq!(facts.code[0].1.name, "com.evil.F");
    }
}
