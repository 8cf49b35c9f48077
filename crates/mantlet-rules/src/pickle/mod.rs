//! Rules over pickles.

mod carried_code;
mod expansion;
mod hidden_name;
mod malformed;
mod nested_load;
mod patched_import;
mod persistent_id;
mod reads_files;
mod trailing_bytes;
mod unknown_callable;
mod unsafe_global;

use std::collections::BTreeMap;

use mantlet_formats::pickle::{Effect, Pickle};
use mantlet_vocab::{About, Confidence, Finding, Place, Span};

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &unsafe_global::PickleUnsafeGlobal,
        &reads_files::PickleReadsFiles,
        &nested_load::PickleNestedLoad,
        &carried_code::PickleCarriedCode,
        &patched_import::PicklePatchedImport,
        &unknown_callable::PickleUnknownCallable,
        &hidden_name::PickleHiddenName,
        &malformed::PickleMalformed,
        &expansion::PickleExpansion,
        &persistent_id::PicklePersistentId,
        &trailing_bytes::PickleTrailingBytes,
    ]
}

/// A callable with what the pickle does with it.
pub(crate) struct Accused {
    callee: String,
    effect: Effect,
    offset: u64,
    lines: Vec<String>,
    calls: usize,
}

/// Callables of one pickle that get a finding of their own from one rule.
const MAX_ACCUSED: usize = 500;
/// Lines of one finding's trace.
const MAX_LINES: usize = 16;

impl Accused {
    pub(crate) fn finding(&self, about: &'static About, place: &Place) -> Finding {
        let power = self.effect.phrase();
        let message = match self.lines.first() {
            Some(line) => {
                let call = line.split_once("  ").map_or(line.as_str(), |(_, call)| call);
                format!("`{}` can {power}; loading calls {call}", self.callee)
            }
            None => format!("`{}` can {power}; loading imports it without calling it", self.callee),
        };
        let finding = about
            .finding(place.at(Span::at(self.offset)), message)
            .trace(self.lines.iter().cloned())
            .fact("callee", self.callee.clone())
            .fact("calls", self.calls);
        if self.lines.is_empty() && about.confidence == Confidence::High {
            finding.confidence(Confidence::Medium)
        } else {
            finding
        }
    }
}

/// Calls whose effect is wanted, and imports of such effect that are not called.
pub(crate) fn accused(pickle: &Pickle, wanted: impl Fn(Effect) -> bool) -> Vec<Accused> {
    let mut all = accused_calls(pickle, &wanted);
    for import in &pickle.imports {
        // A thousand names say no more than five hundred, and each finding takes memory.
        if all.len() >= MAX_ACCUSED {
            break;
        }
        let qualified = import.qualified();
        // A call that was judged harmless by its arguments leaves no record; a full record proves nothing.
        let judged = import.called && pickle.limits.is_empty();
        let recorded = || pickle.calls.iter().any(|call| call.callee == qualified);
        if wanted(import.effect) && !judged && !recorded() {
            all.push(Accused {
                callee: qualified,
                effect: import.effect,
                offset: import.offset,
                lines: Vec::new(),
                calls: 0,
            });
        }
    }
    all
}

/// Calls whose effect is wanted, one entry for each callee.
pub(crate) fn accused_calls(pickle: &Pickle, wanted: impl Fn(Effect) -> bool) -> Vec<Accused> {
    let mut all: Vec<Accused> = Vec::new();
    let mut index = BTreeMap::new();
    for call in pickle.calls.iter().filter(|call| wanted(call.effect)) {
        let at = *index.entry(call.callee.as_str()).or_insert_with(|| {
            all.push(Accused {
                callee: call.callee.clone(),
                effect: call.effect,
                offset: call.offset,
                lines: Vec::new(),
                calls: 0,
            });
            all.len() - 1
        });
        all[at].calls += 1;
        if all[at].lines.len() < MAX_LINES {
            all[at].lines.push(format!("{:#x}  {}", call.offset, call.text));
        }
    }
    all
}
