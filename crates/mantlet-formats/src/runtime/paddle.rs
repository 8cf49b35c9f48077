//! PaddlePaddle: programs in protocol buffers and in JSON, and the parameters beside them.

use mantlet_vocab::Source;

use crate::proto::{Field, Fields, Value, numbers, text};
use crate::structure::{Power, Structure};
use crate::tree::{self, Event};
use crate::window::Window;

const MAX_FIELDS: u64 = 8 << 20;

/// Whether the bytes begin like a program: a first block with its number and its parent.
#[must_use]
pub fn is_program(head: &[u8]) -> bool {
    let mut at = 1;
    while head.get(at).is_some_and(|byte| byte & 0x80 != 0) && at < 6 {
        at += 1;
    }
    head.first() == Some(&10) && head.get(at + 1..at + 4) == Some(&[8, 0, 16])
}

/// Whether the bytes begin like parameters: versions, no levels, a description with a type.
#[must_use]
pub fn is_parameters(head: &[u8]) -> bool {
    head.get(..16) == Some(&[0; 16])
        && head.get(17..20) == Some(&[0; 3])
        && head.get(16).is_some_and(|&len| (2..128).contains(&len))
        && head.get(20) == Some(&8)
}

/// What operators can do beside computing.
fn power(operator: &str) -> Option<(Power, &'static str)> {
    Some(match operator {
        "py_func" | "py_layer" | "pylayer" => (Power::Python, "operator"),
        "save" | "save_combine" | "load" | "load_combine" | "sparse_load" | "sparse_save" | "read_file" => {
            (Power::Files, "operator")
        }
        "send"
        | "recv"
        | "send_barrier"
        | "fetch_barrier"
        | "listen_and_serv"
        | "heter_listen_and_serv"
        | "send_and_recv"
        | "distributed_lookup_table"
        | "distributed_push_sparse"
        | "gen_nccl_id" => (Power::Network, "operator"),
        _ => return None,
    })
}

/// The facts of a program in protocol buffers. Never fails: what is broken is a defect.
#[must_use]
pub fn program(source: &dyn Source) -> Structure {
    let mut walk = Walk { window: Window::new(source, 0), facts: Structure::of("Paddle"), fields: 0 };
    walk.each(0, source.len(), &mut |walk, field| {
        if let (1, Some((from, to))) = (field.number, field.bytes()) {
            walk.each(from, to, &mut |walk, field| {
                if let (4, Some((from, to))) = (field.number, field.bytes()) {
                    walk.operator(from, to, field.at);
                }
            });
        }
    });
    if let Some(error) = walk.window.failed {
        walk.facts.limit(error.to_string());
    }
    walk.facts
}

struct Walk<'a> {
    window: Window<'a>,
    facts: Structure,
    fields: u64,
}

impl Walk<'_> {
    fn each(&mut self, from: u64, to: u64, step: &mut dyn FnMut(&mut Self, Field)) {
        let mut fields = Fields::new(from, to);
        while let Some(field) = fields.next(&mut self.window) {
            self.fields += 1;
            if self.fields > MAX_FIELDS {
                self.facts.limit(format!("only the first {MAX_FIELDS} fields are examined"));
                return;
            }
            step(self, field);
        }
        if let Some(at) = fields.broken {
            self.facts.defect("a message cannot be read to its end", at);
        }
    }

    fn operator(&mut self, from: u64, to: u64, at: u64) {
        let (mut name, mut path) = (String::new(), None);
        self.each(from, to, &mut |walk, field| match (field.number, field.bytes()) {
            (3, Some((from, to))) => name = text(&mut walk.window, from, to),
            (4, Some((from, to))) => {
                let mut attribute = String::new();
                walk.each(from, to, &mut |walk, field| match (field.number, field.bytes()) {
                    (1, Some((from, to))) => attribute = text(&mut walk.window, from, to),
                    (5, Some((from, to))) if attribute == "file_path" || attribute == "filename" => {
                        path = Some(text(&mut walk.window, from, to));
                    }
                    _ => {}
                });
            }
            _ => {}
        });
        if let Some((power, role)) = power(&name) {
            self.facts.names(power, role, &name, at);
        }
        if let Some(path) = path {
            self.facts.reads("file of an operator", &path, at);
        }
    }
}

/// The facts of a program in JSON.
#[must_use]
pub fn json(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("Paddle JSON");
    let (mut key, mut last) = (String::new(), String::new());
    let walked = tree::json(source, &mut |event, at| match event {
        Event::Key(name) => {
            key.clear();
            key.extend(name.chars().take(80));
        }
        Event::Scalar { text, string: true, .. } => {
            if key == "#" {
                let name = text.rsplit('.').next().unwrap_or(text);
                if let Some((power, role)) = power(name) {
                    facts.names(power, role, name, at);
                }
            } else if key == "D" {
                last.clear();
                last.extend(text.chars().take(400));
            } else if key == "N" && matches!(text, "file_path" | "filename") {
                let path = std::mem::take(&mut last);
                facts.reads("file of an operator", &path, at);
            }
        }
        _ => {}
    });
    if let Some(defect) = walked.defect {
        facts.defect(defect, 0);
    }
    for limit in walked.limits {
        facts.limit(limit);
    }
    facts
}

/// The facts of parameters: tensors one after the other.
#[must_use]
pub fn parameters(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("Paddle parameters");
    let mut window = Window::new(source, 0);
    while window.rest() > 0 {
        let at = window.offset();
        if tensor(&mut window, source.len()).is_none() {
            facts.defect("a tensor is not all there or makes no sense", at);
            break;
        }
        facts.end = window.offset();
    }
    if let Some(error) = window.failed {
        facts.limit(error.to_string());
    }
    facts
}

fn tensor(window: &mut Window<'_>, len: u64) -> Option<()> {
    if window.array()? != [0; 4] {
        return None;
    }
    let levels = u64::from_le_bytes(window.array()?);
    for _ in 0..(levels <= 16).then_some(levels)? {
        let bytes = u64::from_le_bytes(window.array()?);
        window.skip(bytes).then_some(())?;
    }
    if window.array()? != [0; 4] {
        return None;
    }
    let size = u64::from(u32::from_le_bytes(window.array()?));
    let start = window.offset();
    let end = start.checked_add(size).filter(|&end| end <= len && size <= 4_096)?;
    let (mut kind, mut dims) = (None, Vec::new());
    let mut fields = Fields::new(start, end);
    while let Some(field) = fields.next(window) {
        match (field.number, field.value) {
            (1, Value::Number(number)) => kind = Some(number),
            (2, value) => numbers(window, value, &mut dims, 64),
            _ => {}
        }
    }
    let width: u64 = match kind? {
        0 | 20 | 21 | 32 | 33 => 1,
        1 | 4 | 22 => 2,
        2 | 5 => 4,
        3 | 6 | 19 | 23 => 8,
        24 => 16,
        _ => return None,
    };
    let bytes = dims.iter().try_fold(width, |all, &dim| all.checked_mul(dim))?;
    window.seek(end);
    window.skip(bytes).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn parameters_follow_each_other_to_the_end() {
        let mut bytes = vec![0; 16];
        bytes.extend([6, 0, 0, 0, 8, 5, 16, 2, 16, 1]);
        bytes.extend([0; 8]);
        let source = MemorySource::new(&bytes);
        assert!(is_parameters(&bytes));
        let facts = parameters(&source);
        assert_eq!((facts.end, facts.defects.len()), (bytes.len() as u64, 0));
        bytes.truncate(bytes.len() - 1);
        assert_eq!(parameters(&MemorySource::new(&bytes)).defects.len(), 1);
    }
}
