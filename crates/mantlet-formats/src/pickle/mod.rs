//! Pickles of protocols 0 to 5: what loading one would call, found without loading it.
//!
//! A symbolic machine walks the opcodes once, in bounded memory, and reconstructs imports and calls. What it
//! cannot follow it says.

mod call;
mod compute;
pub(crate) mod effect;
pub(crate) mod embedded;
mod facts;
mod machine;
mod memo;
mod opcodes;
mod resolve;
mod restore;
mod show;
mod state;
mod storage;
mod table;
mod text;
mod value;
mod weights_only;

pub(crate) use compute::unbase64;
pub use effect::Effect;
pub use embedded::Embedded;
pub use facts::{Call, Defect, Fault, How, Import, Payload, Pickle, Positions, Storage};
pub(crate) use show::clean;
pub use table::{Effects, EffectsError};

use mantlet_vocab::Source;

use crate::Bounds;
use machine::{Ending, Machine};

/// Pickles that may follow each other in one file.
const MAX_STREAMS: u32 = 100_000;

/// The facts of a pickle, joblib file or stack of pickles. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Pickle {
    let facts = run(source, bounds, true);
    if facts.joblib_arrays == 0 {
        return facts;
    }
    // `pickle.load` does not know joblib's raw arrays and executes their bytes as opcodes.
    let plain = run(source, bounds, false);
    merge_grave(facts, plain)
}

/// The facts of the first pickle alone, whatever follows it.
#[must_use]
pub fn first(source: &dyn Source, bounds: &Bounds) -> Pickle {
    let mut machine = Machine::new(source, bounds, true);
    machine.stream(0);
    let end = machine.window.offset();
    finish(machine, end)
}

/// Bytes of one element of a storage class of torch.
#[must_use]
pub fn storage_item(class: &str) -> Option<u64> {
    storage::item_size(class)
}

fn merge_grave(mut facts: Pickle, plain: Pickle) -> Pickle {
    let grave = |effect: Effect| effect >= Effect::Decodes && effect != Effect::Unknown;
    for call in plain.calls {
        if grave(call.effect) && !facts.calls.contains(&call) {
            facts.calls.push(call);
        }
    }
    for import in plain.imports {
        let known =
            facts.imports.iter().any(|known| known.module == import.module && known.name == import.name);
        if grave(import.effect) && !known {
            facts.imports.push(import);
        }
    }
    facts
}

fn run(source: &dyn Source, bounds: &Bounds, follow_arrays: bool) -> Pickle {
    let mut machine = Machine::new(source, bounds, follow_arrays);
    let mut offset = 0;
    let mut torch_trailer = false;
    loop {
        let quiet = (machine.facts.defects.len(), machine.heap.globals.len(), machine.facts.limits.len());
        let (streams, opcodes) = (machine.facts.streams, machine.facts.opcodes);
        let ending = machine.stream(offset);
        let now = machine.window.offset();
        if ending == Ending::Broken {
            // Bytes after a whole pickle that do not even import anything are not another pickle.
            let inert = machine.heap.globals.len() == quiet.1 && machine.facts.stopped > 0;
            let announced = matches!(first_byte(source, offset), Some(0x80));
            if inert && offset > 0 && (machine.facts.torch_legacy || !announced) {
                machine.facts.defects.truncate(quiet.0);
                machine.facts.limits.truncate(quiet.2);
                machine.facts.streams = streams;
                machine.facts.opcodes = opcodes;
                machine.facts.end = offset;
            } else {
                machine.facts.end = now;
            }
            break;
        }
        machine.facts.end = now;
        torch_trailer |= machine.facts.torch_legacy && machine.facts.stopped == 5;
        if now >= source.len() || torch_trailer {
            break;
        }
        if machine.facts.streams >= MAX_STREAMS {
            machine.limit("more than 100,000 pickles follow each other");
            break;
        }
        offset = now;
    }
    machine.facts.torch_legacy = torch_trailer;
    if !torch_trailer && machine.facts.stopped == machine.facts.streams {
        machine.facts.trailing = source.len().saturating_sub(machine.facts.end);
    }
    let end = machine.facts.end;
    finish(machine, end)
}

fn finish(mut machine: Machine<'_>, end: u64) -> Pickle {
    machine.facts.end = end;
    machine.facts.effects = machine.heap.effects;
    machine.facts.opcodes_used = machine.used();
    machine.facts.expanded = machine.heap.largest;
    if machine.heap.untold {
        machine.limit("more imports than are kept; the first ones are reported");
    }
    machine.facts.imports = machine
        .heap
        .globals
        .iter()
        .filter(|global| global.count > 0)
        .map(|global| Import {
            module: show::clean(&global.module),
            name: show::clean(&global.name),
            effect: global.effect,
            called: global.called,
            resolved: global.resolved,
            offset: global.offset,
            count: global.count,
        })
        .collect();
    machine.facts
}

fn first_byte(source: &dyn Source, offset: u64) -> Option<u8> {
    let mut byte = [0];
    (source.read_at(offset, &mut byte).ok()? == 1).then_some(byte[0])
}

/// What a global does when it is called, by this table.
#[must_use]
pub fn effect_of(effects: Effects, module: &str, name: &str) -> Effect {
    let (module, name) = effect::python3_name(module, name);
    effects.lookup(module, name).0
}
