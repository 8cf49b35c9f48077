//! Counts the messages of a model file before they are decoded: two bytes of file can become a message of
//! hundreds of bytes in memory, so their number is bounded first.

use crate::fields::{Raw, field};
use crate::{Limits, ModelError};

/// Messages a file may hold beyond those its nodes need.
const SLACK: usize = 1 << 20;
/// Messages a node may bring: itself, its attributes, the tensors in them.
const PER_NODE: usize = 64;
/// Strings that weigh as much as a message.
const STRINGS: usize = 16;

/// Where fields with nested messages are: `(field, kind of the nested message)`.
type Nest = &'static [(u64, Kind)];

/// Messages that nest others or repeat.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    /// Another message: counted, not entered.
    Leaf,
    /// A string: counted, and light.
    Text,
}

fn nested(kind: Kind) -> Nest {
    use Kind::{Attribute, Graph, Leaf, Model, Node, Text};
    match kind {
        Model => &[(7, Graph), (8, Leaf), (14, Leaf), (20, Leaf), (25, Node)],
        Graph => {
            &[(1, Node), (5, Leaf), (11, Leaf), (12, Leaf), (13, Leaf), (14, Leaf), (15, Leaf), (16, Leaf)]
        }
        // A function nests nodes in field 7 where a node has strings; both are entered.
        Node => &[
            (1, Text),
            (2, Text),
            (4, Text),
            (5, Attribute),
            (6, Text),
            (7, Leaf),
            (9, Leaf),
            (11, Attribute),
        ],
        Attribute => &[(5, Leaf), (6, Graph), (9, Text), (10, Leaf), (11, Graph), (15, Leaf), (23, Leaf)],
        Leaf | Text => &[],
    }
}

/// Refuses files with more messages than a model of the allowed size has. Malformed bytes are left to the
/// decoder, which names the place.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<(), ModelError> {
    let limit = limits.max_nodes.saturating_mul(PER_NODE).saturating_add(SLACK);
    let mut left = limit.saturating_mul(STRINGS);
    // Depth-first over (window, kind); the decoder refuses deep nesting, so this stack stays small.
    let mut todo = vec![(bytes, Kind::Model, 0_u32)];
    while let Some((window, kind, depth)) = todo.pop() {
        let mut at = 0;
        while at < window.len() {
            let Some((number, value)) = field(window, &mut at) else { break };
            if let Raw::Span(span) = value
                && let Some(&(_, nested)) = nested(kind).iter().find(|(field, _)| *field == number)
            {
                let weight = if matches!(nested, Kind::Text) { 1 } else { STRINGS };
                left = left.checked_sub(weight).ok_or_else(|| ModelError::NotOnnx {
                    reason: format!("more than {limit} messages in the file (raise `max_nodes`)"),
                })?;
                if !matches!(nested, Kind::Leaf | Kind::Text) && depth < 100 {
                    todo.push((&window[span], nested, depth + 1));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_of_empty_messages_are_refused_before_decoding() {
        let limits = Limits { max_nodes: 10, ..Limits::default() };
        let nodes = vec![[0x0a, 0x00]; SLACK + 1000].concat();
        let mut file = vec![0x3a];
        let mut len = nodes.len();
        while len >= 0x80 {
            file.push((len & 0x7f) as u8 | 0x80);
            len >>= 7;
        }
        file.push(len as u8);
        file.extend(nodes);
        assert!(matches!(check(&file, &limits), Err(ModelError::NotOnnx { .. })));
        assert!(check(&file[..1000], &limits).is_ok());
    }
}
