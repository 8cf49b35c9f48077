//! Graphs of TensorFlow in protobuf's text form (`.pbtxt`): the operators that matter, line by line.

use super::operators::reach;
use super::{File, Operator, TensorFlow};
use crate::structure::shown;

/// Operators of one file that are listed.
const MAX_OPERATORS: usize = 1_000;

/// The facts of a graph in text form; `None` for other text.
#[must_use]
pub fn readable(text: &str) -> Option<TensorFlow> {
    let graph = ["node {", "node{", "node_def {", "node_def{"].iter().any(|open| text.contains(open));
    if !graph || !text.contains("op:") {
        return None;
    }
    let mut facts = TensorFlow { file: File::Graph, ..TensorFlow::default() };
    let (mut name, mut at) = (String::new(), 0_u64);
    for line in text.split_inclusive('\n') {
        // Fields may share a line.
        for part in line.split([';', ',']).flat_map(|part| part.split_inclusive('{')) {
            let part = part.trim().trim_end_matches('}').trim();
            if let Some(value) = quoted(part, "name:") {
                name = shown(value);
            }
            if let Some(operator) = quoted(part, "op:") {
                facts.nodes += 1;
                let reach = reach(operator);
                if reach.is_some() && facts.operators.len() < MAX_OPERATORS {
                    facts.operators.push(Operator {
                        name: shown(operator),
                        node: name.clone(),
                        function: String::new(),
                        reach,
                        texts: Vec::new(),
                        at,
                    });
                }
            }
        }
        at += line.len() as u64;
    }
    Some(facts)
}

fn quoted<'t>(part: &'t str, key: &str) -> Option<&'t str> {
    let at = part.find(key)?;
    if part[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    part[at + key.len()..].split(['"', '\'']).nth(1)
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn operators_are_listed_wherever_their_fields_stand() {
        for text in [
            "node {\n  name: \"p\"\n  op: \"ReadFile\"\n}\n",
            "node { name: \"p\" op: \"ReadFile\" }",
            "library { function { node_def {\n op:'ReadFile'\n} } }",
        ] {
            assert_eq!(readable(text).unwrap().operators.len(), 1, "{text}");
        }
        assert_eq!(readable("node {\n  op: \"Relu\"\n}\n").unwrap().operators.len(), 0);
        assert_eq!(readable("see op: \"ReadFile\""), None);
    }
}
