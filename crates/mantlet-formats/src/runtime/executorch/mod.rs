//! ExecuTorch: programs (`.pte`) and their data (`.ptd`), flatbuffers with segments behind them.

mod graph;
#[cfg(test)]
mod graph_tests;
mod xnnpack;

pub use graph::graph;

use mantlet_vocab::{Source, SubSource, read_window};

use crate::flat::{Flat, Table};
use crate::structure::{Power, Structure};
use crate::sweep;
use crate::window::Window;

/// Whether the bytes begin like a program.
#[must_use]
pub fn is_program(head: &[u8]) -> bool {
    head.get(4..6) == Some(b"ET") && head.get(6..8).is_some_and(|n| n.iter().all(u8::is_ascii_digit))
}

/// Whether the bytes begin like data.
#[must_use]
pub fn is_data(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"FT01")
}

/// Libraries of operators that come with the runtime and its kernels.
const LIBRARIES: [&str; 16] = [
    "aten",
    "quantized_decomposed",
    "executorch_prim",
    "dim_order_ops",
    "llama",
    "torchao",
    "cortex_m",
    "cadence",
    "et_vk",
    "prim",
    "prims",
    "higher_order",
    "quantized",
    "sym",
    "executorch",
    "torchvision",
];

/// Delegates that come with the runtime: whose blobs are data for its kernels, and whose are compiled for a device.
const DATA: [&str; 5] =
    ["XnnpackBackend", "VulkanBackend", "MPSBackend", "BackendWithCompilerDemo", "TOSABackend"];
const COMPILED: [&str; 14] = [
    "QnnBackend",
    "CoreMLBackend",
    "EthosUBackend",
    "ArmBackend",
    "NeuropilotBackend",
    "NeuropilotBackend",
    "OpenvinoBackend",
    "EnnBackend",
    "NXPBackend",
    "CadenceBackend",
    "CudaBackend",
    "MetalBackend",
    "AotiBackend",
    "VGFBackend",
];

/// Of the kinds of value, the one that is a tensor.
const TENSOR: u64 = 5;

/// Where the flatbuffer ends and the segments begin.
struct Layout {
    limit: u64,
    base: u64,
}

/// What the header says, or what holds without one; nothing when it points past the end.
fn layout(source: &dyn Source) -> Option<Layout> {
    let head = read_window(source, 0, 40).unwrap_or_default();
    let long = |at: usize| head.get(at..at + 8).and_then(|n| n.try_into().ok()).map_or(0, u64::from_le_bytes);
    if head.get(8..12) != Some(b"eh00") {
        return Some(Layout { limit: source.len(), base: 0 });
    }
    let layout = Layout { limit: long(16), base: long(24) };
    (layout.limit <= source.len() && layout.base <= source.len()).then_some(layout)
}

/// The facts of a program. Never fails: what is broken is a defect.
#[must_use]
pub fn program(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("ExecuTorch");
    let Some(layout) = layout(source) else {
        facts.defect("its header points past the end", 8);
        return facts;
    };
    let mut flat = Flat::new(Window::new(source, 0), 0, layout.limit, facts);
    match flat.root() {
        Some(root) => {
            let segments = segments(&mut flat, root, 4, layout.base, source);
            plans(&mut flat, root, &segments, source);
            // What the flatbuffer refers to ends where the header says, or before.
            let end = segments.iter().map(|&(from, len)| from + len).max().unwrap_or(0);
            let own = if layout.base > 0 || layout.limit < source.len() { layout.limit } else { flat.end };
            flat.facts.end = own.max(end).max(flat.end);
            // Without a header, texts that this reader does not visit may lie behind all else.
            let rest = source.len().saturating_sub(flat.facts.end);
            if rest < 4_096 && layout.limit == source.len() {
                flat.facts.end = source.len();
            }
        }
        None => flat.facts.defect("its root cannot be read", 0),
    }
    if let Some(error) = flat.window.failed {
        flat.facts.limit(error.to_string());
    }
    flat.facts
}

/// The facts of data for programs.
#[must_use]
pub fn data(source: &dyn Source) -> Structure {
    let mut facts = Structure::of("ExecuTorch data");
    let head = read_window(source, 0, 48).unwrap_or_default();
    let long = |at: usize| head.get(at..at + 8).and_then(|n| n.try_into().ok()).map_or(0, u64::from_le_bytes);
    if head.get(8..12) != Some(b"FH01") {
        facts.limit("its header is not known");
        return facts;
    }
    let (size, base) = (long(16).saturating_add(long(24)), long(32));
    if size > source.len() || base > source.len() {
        facts.defect("its header points past the end", 8);
        return facts;
    }
    let mut flat = Flat::new(Window::new(source, 0), 0, size, facts);
    let Some(root) = flat.root() else {
        flat.facts.defect("its root cannot be read", 0);
        return flat.facts;
    };
    let segments = segments(&mut flat, root, 1, base, source);
    for named in flat.tables(root, 2) {
        if flat.value(named, 1, 4) >= segments.len() as u64 {
            flat.facts.defect("data is said to be in a segment that is not there", named.at);
        }
    }
    flat.facts.end =
        segments.iter().map(|&(from, len)| from + len).max().unwrap_or(0).max(size).max(flat.end);
    flat.facts
}

/// Segments within the file: where each starts, and how long it is.
fn segments(flat: &mut Flat<'_>, root: Table, field: u64, base: u64, source: &dyn Source) -> Vec<(u64, u64)> {
    let mut segments = Vec::new();
    for segment in flat.tables(root, field) {
        let (offset, size) = (flat.value(segment, 0, 8), flat.value(segment, 1, 8));
        let start = base.checked_add(offset);
        let inside = start.and_then(|start| start.checked_add(size)).is_some_and(|end| end <= source.len());
        match start.filter(|_| inside) {
            Some(start) => {
                let inner = SubSource::new(source, start, size);
                if let Some(program) = sweep::sweep(&inner, 4_096).programs.first() {
                    let kind = &program.kind;
                    flat.facts.names(Power::Machine, "segment", &format!("{kind} at {start:#x}"), start);
                }
                segments.push((start, size));
            }
            None => {
                flat.facts
                    .defect(format!("a segment of {size} bytes at {offset:#x} is not there"), segment.at);
                segments.push((0, 0));
            }
        }
    }
    segments
}

fn plans(flat: &mut Flat<'_>, root: Table, segments: &[(u64, u64)], source: &dyn Source) {
    let constants = flat.count(root, 2, 4);
    let inline = flat.count(root, 3, 4);
    for field in [2, 3] {
        for buffer in flat.tables(root, field) {
            flat.vector(buffer, 0, 1);
        }
    }
    let offsets = match flat.child(root, 5) {
        Some(constant) => {
            if !segments.is_empty() && flat.value(constant, 0, 4) >= segments.len() as u64 {
                flat.facts.defect("constants are said to be in a segment that is not there", constant.at);
            }
            flat.count(constant, 1, 8)
        }
        None => 0,
    };
    for named in flat.tables(root, 7) {
        if flat.value(named, 1, 4) >= segments.len() as u64 {
            flat.facts.defect("data is said to be in a segment that is not there", named.at);
        }
    }
    for plan in flat.tables(root, 1) {
        let operators = flat.tables(plan, 6);
        for &operator in &operators {
            let name = flat.text(operator, 0).unwrap_or_default();
            let library = name.split_once("::").map_or("", |(library, _)| library);
            if !LIBRARIES.contains(&library) {
                flat.facts.names(Power::Native, "operator", &name, operator.at);
            }
        }
        let delegates = flat.tables(plan, 7);
        for &delegate in &delegates {
            delegated(flat, delegate, inline, segments.len() as u64);
            let name = flat.text(delegate, 0).unwrap_or_default();
            if let Some((start, len)) = blob(flat, root, delegate, segments)
                && DATA.contains(&name.as_str())
                && (name != xnnpack::NAME || !xnnpack::is_followed(source, start, len))
            {
                flat.facts.limit(format!("the graph that it hands to `{name}` is not followed"));
            }
        }
        let values = flat.tables(plan, 2);
        for &value in &values {
            if flat.value(value, 0, 1) == TENSOR {
                tensor(flat, value, constants.max(offsets));
            }
        }
        instructions(flat, plan, operators.len() as u64, delegates.len() as u64, values.len() as u64);
    }
}

fn tensor(flat: &mut Flat<'_>, value: Table, constants: u64) {
    let Some(tensor) = flat.child(value, 1) else { return };
    let buffer = flat.value(tensor, 5, 4);
    // Tensors that change keep their first value elsewhere, and so do those of another file.
    let elsewhere = [6, 9].iter().any(|&field| flat.field(tensor, field).is_some());
    if !elsewhere && buffer > 0 && buffer >= constants {
        flat.facts.defect(format!("a tensor names constant {buffer} of {constants}"), tensor.at);
    }
    let (sizes, order) = (flat.count(tensor, 2, 4), flat.count(tensor, 3, 1));
    if sizes != order {
        flat.facts.defect(format!("a tensor of {sizes} axes orders {order}"), tensor.at);
    }
}

/// Where the bytes lie that a delegate is handed.
fn blob(flat: &mut Flat<'_>, root: Table, delegate: Table, segments: &[(u64, u64)]) -> Option<(u64, u64)> {
    let place = flat.child(delegate, 1)?;
    let (location, index) = (flat.value(place, 0, 1), usize::try_from(flat.value(place, 1, 4)).ok()?);
    if location != 0 {
        return segments.get(index).copied();
    }
    let inline = flat.tables(root, 3).get(index).copied()?;
    flat.vector(inline, 0, 1)
}

fn delegated(flat: &mut Flat<'_>, delegate: Table, inline: u64, segments: u64) {
    let name = flat.text(delegate, 0).unwrap_or_default();
    if COMPILED.contains(&name.as_str()) {
        flat.facts.limit(format!("what it hands to `{name}` is compiled for a device and is not examined"));
    } else if !DATA.contains(&name.as_str()) {
        flat.facts.names(Power::Native, "delegate", &name, delegate.at);
    }
    if let Some(place) = flat.child(delegate, 1) {
        let (location, index) = (flat.value(place, 0, 1), flat.value(place, 1, 4));
        if index >= if location == 0 { inline } else { segments } {
            flat.facts.defect("the data of a delegate is not there", place.at);
        }
    }
}

fn instructions(flat: &mut Flat<'_>, plan: Table, operators: u64, delegates: u64, values: u64) {
    for chain in flat.tables(plan, 5) {
        let instructions = flat.tables(chain, 2);
        let count = instructions.len() as u64;
        for instruction in instructions {
            let kind = flat.value(instruction, 0, 1);
            let Some(call) = flat.child(instruction, 1) else {
                flat.facts.defect("an instruction is empty", instruction.at);
                continue;
            };
            let (first, second) = (flat.value(call, 0, 4), flat.value(call, 1, 4));
            let wrong = match kind {
                1 => first >= operators || outside(flat, call, values),
                2 => first >= delegates || outside(flat, call, values),
                3 => first >= values || second >= values,
                4 => first >= values || second > count,
                5 => first >= values,
                _ => true,
            };
            if wrong {
                flat.facts.defect("an instruction names what is not there", call.at);
            }
        }
    }
}

/// Whether an operand is no value of the plan.
fn outside(flat: &mut Flat<'_>, call: Table, values: u64) -> bool {
    let Some((first, count)) = flat.vector(call, 1, 4) else { return false };
    (0..flat.allow(count)).any(|item| flat.number(first + 4 * item, 4).is_none_or(|value| value >= values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flat::forge;
    use mantlet_vocab::MemorySource;

    #[test]
    fn operands_that_calls_share_are_read_a_bounded_number_of_times() {
        let mut bytes = vec![0; 4];
        let call = forge::table(&mut bytes, 2);
        bytes[..4].copy_from_slice(&(call as u32).to_le_bytes());
        forge::vector(&mut bytes, call, 1, &[0; 1_000]);
        let source = MemorySource::new(&bytes);
        let facts = Structure::of("ExecuTorch");
        let mut flat = Flat::new(Window::new(&source, 0), 0, bytes.len() as u64, facts);
        let call = flat.root().expect("the root is a table");
        assert!(!outside(&mut flat, call, 1) && outside(&mut flat, call, 0));
        assert!(flat.facts.limits.is_empty());
        assert_eq!(flat.allow((1 << 24) - 2_500), (1 << 24) - 2_500);
        assert!(!outside(&mut flat, call, 1));
        assert_eq!(flat.facts.limits, ["only the first 16777216 items of its lists are read"]);
        assert_eq!(flat.allow(9), 0);
    }
}
