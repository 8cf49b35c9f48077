//! MXNet: the graph in JSON and the arrays of `.params`.

mod graph;

pub use graph::graph;

use mantlet_vocab::{Source, read_window};
use serde_json::Value;

use crate::structure::{Power, Structure};
use crate::window::Window;

const MAX_JSON: usize = 8 << 20;
/// Graphs within graphs.
const MAX_DEPTH: u8 = 16;

/// The facts of a graph; `None` for other JSON.
#[must_use]
pub fn symbol(source: &dyn Source) -> Option<Structure> {
    let mut facts = Structure::of("MXNet");
    if source.len() > MAX_JSON as u64 {
        facts.limit(format!("a graph of more than {MAX_JSON} bytes is not examined"));
        return Some(facts);
    }
    let text = read_window(source, 0, MAX_JSON).unwrap_or_default();
    let json: Value = serde_json::from_slice(&text).ok()?;
    json.get("nodes")?.as_array()?;
    json.get("arg_nodes")?.as_array()?;
    symbols(&json, 0, &mut facts);
    Some(facts)
}

/// One graph, and those that its loops and conditions run.
fn symbols(json: &Value, depth: u8, facts: &mut Structure) {
    if depth > MAX_DEPTH {
        facts.limit(format!("graphs are nested deeper than {MAX_DEPTH}"));
        return;
    }
    let list = |key: &str| json.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let count = list("nodes").len() as u64;
    for (index, node) in list("nodes").iter().enumerate() {
        let operator = node.get("op").and_then(Value::as_str).unwrap_or_default();
        let attributes = ["attrs", "attr", "param"].iter().find_map(|key| node.get(*key)?.as_object());
        let kind = attributes.and_then(|attributes| attributes.get("op_type")).and_then(Value::as_str);
        if matches!(operator, "Custom" | "_Native" | "_NDArray" | "_CustomFunction") {
            let name = kind.map_or_else(|| operator.to_owned(), |kind| format!("{operator} {kind}"));
            facts.names(Power::Python, "operator", &name, 0);
        }
        // A graph is written in the order it is run: what a node reads comes before it.
        let inputs = node.get("inputs").and_then(Value::as_array).into_iter().flatten();
        let wrong = inputs.into_iter().any(|input| {
            let from = input.get(0).and_then(Value::as_u64);
            from.is_none_or(|from| from >= index as u64)
        });
        if wrong {
            let name = node.get("name").and_then(Value::as_str).unwrap_or_default();
            let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            facts.defect(format!("node `{name}` reads a node that does not come before it"), 0);
        }
        if index < 4_096 {
            for (key, value) in attributes.into_iter().flatten() {
                if let Some(value) = value.as_str().filter(|value| value.len() > 200) {
                    facts.says(key, value);
                }
            }
        }
        for inner in node.get("subgraphs").and_then(Value::as_array).into_iter().flatten() {
            symbols(inner, depth + 1, facts);
        }
    }
    let heads = list("heads").iter().filter_map(|head| head.get(0).or(Some(head)).and_then(Value::as_u64));
    if list("arg_nodes").iter().filter_map(Value::as_u64).chain(heads).any(|node| node >= count) {
        facts.defect("an argument or an output names a node that is not there", 0);
    }
}

/// Whether the bytes begin like arrays of MXNet.
#[must_use]
pub fn is_params(head: &[u8]) -> bool {
    head.get(..16) == Some(&[0x12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// The facts of arrays. Never fails: what is broken is a defect.
#[must_use]
pub fn params(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("MXNet parameters");
    let mut window = Window::new(source, 16);
    let long = |window: &mut Window<'_>| window.array().map(u64::from_le_bytes);
    let count = long(&mut window).unwrap_or(0);
    if count > source.len() {
        facts.defect(format!("it declares {count} arrays"), 16);
        return facts;
    }
    for _ in 0..count {
        let at = window.offset();
        match array(&mut window) {
            Some(true) => {}
            Some(false) => {
                facts.limit("an array is sparse or of a type that is not known");
                return facts;
            }
            None => {
                facts.defect("an array is not all there or makes no sense", at);
                return facts;
            }
        }
    }
    let names = long(&mut window).unwrap_or(u64::MAX);
    if names != count && names != 0 {
        facts.defect(format!("{count} arrays have {names} names"), window.offset());
        return facts;
    }
    for _ in 0..names {
        let skipped = long(&mut window).is_some_and(|len| window.skip(len));
        if !skipped {
            facts.defect("a name is not all there", window.offset());
            return facts;
        }
    }
    facts.end = window.offset();
    facts
}

/// Steps over one array; false when it is of a kind that is not followed.
fn array(window: &mut Window<'_>) -> Option<bool> {
    let mark = u32::from_le_bytes(window.array()?);
    let int = |window: &mut Window<'_>| window.array().map(i32::from_le_bytes);
    let rank = match mark {
        0xf993_fac9 | 0xf993_faca => {
            // Dense storage only.
            if !matches!(int(window)?, 0 | -1) {
                return Some(false);
            }
            int(window)?
        }
        0xf993_fac8 => int(window)?,
        rank => i32::try_from(rank).ok()?,
    };
    let wide = mark >= 0xf993_fac8;
    if !(-1..=32).contains(&rank) {
        return None;
    }
    let mut items = 1_u64;
    for _ in 0..rank.max(0) {
        let axis = if wide {
            u64::from_le_bytes(window.array()?)
        } else {
            u64::from(u32::from_le_bytes(window.array()?))
        };
        items = items.checked_mul(axis)?;
    }
    if rank <= 0 && !(rank == 0 && mark == 0xf993_faca) {
        return Some(true);
    }
    int(window)?;
    int(window)?;
    let width = match int(window)? {
        0 | 4 => 4,
        1 | 6 => 8,
        2 | 12 | 8 => 2,
        3 | 5 | 7 => 1,
        _ => return Some(false),
    };
    window.skip(items.checked_mul(width)?).then_some(true)
}
