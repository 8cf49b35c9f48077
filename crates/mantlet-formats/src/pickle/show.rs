//! Symbolic values as Python source text, cut to what a reader can take in.

use super::machine::Machine;
use super::text;
use super::value::{Node, Shape, Val, View};

const WIDTH: usize = 160;

impl Machine<'_> {
    pub(super) fn show(&self, value: Val) -> String {
        let mut out = String::new();
        self.write(value, 4, &mut out);
        out
    }

    pub(super) fn show_call(&self, callee: Val, args: Val, kwargs: Option<Val>) -> String {
        let mut out = self.show(callee);
        out.push('(');
        self.write_items(self.heap.items(args), 4, &mut out);
        if !matches!(args.view(), View::Tuple(..)) {
            out.push('…');
        }
        if let Some(kwargs) = kwargs.filter(|&kwargs| !self.heap.items(kwargs).is_empty()) {
            out.push_str(", **");
            self.write(kwargs, 3, &mut out);
        }
        out.push(')');
        out
    }

    fn write_items(&self, items: &[Val], depth: u8, out: &mut String) {
        for (index, &item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if out.len() > WIDTH || index >= 12 {
                out.push('…');
                return;
            }
            self.write(item, depth, out);
        }
    }

    fn write(&self, value: Val, depth: u8, out: &mut String) {
        let Some(depth) = depth.checked_sub(1).filter(|_| out.len() <= WIDTH) else {
            out.push('…');
            return;
        };
        match value.view() {
            View::None => out.push_str("None"),
            View::Bool(true) => out.push_str("True"),
            View::Bool(false) => out.push_str("False"),
            View::Int(value) => out.push_str(&value.to_string()),
            View::Number | View::Dropped => out.push('…'),
            View::Unknown => out.push_str("<computed>"),
            View::Text(offset) | View::Bytes(offset) => {
                let prefix = if matches!(value.view(), View::Bytes(_)) { "b" } else { "" };
                match text::read(self.source, offset, 120) {
                    Some(literal) => out.push_str(&text::quote(&literal.bytes, prefix, 120, literal.cut)),
                    None => out.push('…'),
                }
            }
            View::Global(id) => {
                if let Some(global) = self.heap.globals.get(id as usize) {
                    out.push_str(&clean(&global.qualified()));
                }
            }
            View::Instance(id) => {
                if let Some(global) = self.heap.globals.get(id as usize) {
                    out.push_str(&clean(&global.qualified()));
                    out.push_str("(…)");
                }
            }
            View::Tuple(_, len) => {
                out.push('(');
                self.write_items(self.heap.items(value), depth, out);
                out.push_str(if len == 1 { ",)" } else { ")" });
            }
            View::Node(_) => self.write_node(value, depth, out),
        }
    }

    fn write_node(&self, value: Val, depth: u8, out: &mut String) {
        match self.heap.node(value) {
            None => out.push('…'),
            Some(Node::Container { shape, kept, more, .. }) => {
                let (open, close) = match shape {
                    Shape::List => ("[", "]"),
                    Shape::Dict => ("{", "}"),
                    Shape::Set => ("{", "}"),
                    Shape::FrozenSet => ("frozenset({", "})"),
                };
                out.push_str(open);
                if *shape == Shape::Dict {
                    for (index, pair) in kept.chunks(2).enumerate() {
                        if index > 0 {
                            out.push_str(", ");
                        }
                        if index >= 8 || out.len() > WIDTH {
                            out.push('…');
                            break;
                        }
                        self.write(pair[0], depth, out);
                        out.push_str(": ");
                        if let Some(&value) = pair.get(1) {
                            self.write(value, depth, out);
                        }
                    }
                } else {
                    self.write_items(kept, depth, out);
                }
                if *more > 0 {
                    out.push_str(", …");
                }
                out.push_str(close);
            }
            Some(Node::Call { callee, args, .. }) => {
                self.write(*callee, depth, out);
                out.push('(');
                self.write_items(self.heap.items(*args), depth, out);
                out.push(')');
            }
            Some(Node::Attribute { object, name }) => {
                self.write(*object, depth, out);
                out.push('.');
                out.push_str(&clean(name));
            }
            Some(Node::Module(name)) => out.push_str(&clean(name)),
            Some(Node::Namespace(object)) => {
                out.push_str("vars(");
                self.write(*object, depth, out);
                out.push(')');
            }
            Some(Node::Text(text)) => out.push_str(&text::quote(text.as_bytes(), "", 120, false)),
            Some(Node::Blob(bytes)) => out.push_str(&text::quote(bytes, "b", 120, false)),
            Some(Node::Indices(..)) => out.push_str("tensor of whole numbers"),
            Some(Node::Storage(count, _)) => out.push_str(&format!("storage of {count}")),
            Some(Node::Extension(code)) => out.push_str(&format!("extension({code})")),
        }
    }
}

/// A name from the file without characters that would mislead a reader or a terminal.
pub(crate) fn clean(name: &str) -> String {
    let quoted = text::quote(name.as_bytes(), "", 200, false);
    quoted.trim_matches('"').to_owned()
}
