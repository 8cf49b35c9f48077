//! What opcodes change in objects that exist: state, items, attributes, and hooks that a load calls later.

use super::effect::{Effect, Special};
use super::facts::How;
use super::machine::Machine;
use super::value::{Node, Val, View};

/// Items of a mapping in which names of functions are looked for.
const MAX_NAMED: usize = 512;
/// Attributes of an object that later opcodes call.
const HOOKS: [&str; 9] = [
    "__setstate__",
    "__reduce__",
    "__reduce_ex__",
    "__getattr__",
    "__class__",
    "__setitem__",
    "append",
    "extend",
    "add",
];

impl Machine<'_> {
    /// Items were put into `target` by APPEND(S), SETITEM(S) or ADDITEMS.
    pub(super) fn fill(&mut self, target: Val, at: u64) {
        let imported = match target.view() {
            View::Global(_) => true,
            View::Node(_) => {
                matches!(
                    self.heap.node(target),
                    Some(Node::Module(_) | Node::Namespace(_) | Node::Attribute { .. })
                )
            }
            // `type(x)` is the class of x, not an object of its own.
            View::Instance(id) => {
                self.heap.globals.get(id as usize).is_some_and(|global| global.special == Special::TypeOf)
            }
            _ => false,
        };
        if imported {
            let name = self.show(target);
            self.record(name.clone(), Effect::Patches, How::Build, format!("{name}[…] = …"), at);
        }
    }

    /// BUILD: `instance.__setstate__(state)`, or its attributes are set.
    pub(super) fn build(
        &mut self,
        instance: Val,
        state: Val,
        at: u64,
    ) -> Result<Val, Option<super::facts::Fault>> {
        match instance.view() {
            View::Global(_) => self.fill(instance, at),
            View::Instance(_) => {
                self.fill(instance, at);
                self.evaluates(instance, state, at);
            }
            View::Node(_) => {
                self.fill(instance, at);
                let mut maker = None;
                if let Some(Node::Call { callee, state: kept, args }) = self.heap.node_mut(instance) {
                    *kept = state;
                    maker = Some((*callee, *args));
                }
                let special =
                    maker.and_then(|(callee, _)| self.heap.global(callee)).map(|global| global.special);
                match special {
                    Some(Special::JoblibWrapper) if self.follow_arrays => return self.array(state, at),
                    Some(Special::Partial) => {
                        // partial.__setstate__((func, args, keywords, dict)) replaces what is called.
                        if let &[function, args, ..] = self.heap.items(state) {
                            let mut all = vec![function];
                            all.extend_from_slice(self.heap.items(args));
                            let all = self.heap.tuple(&all);
                            if let Some(Node::Call { args, .. }) = self.heap.node_mut(instance) {
                                *args = all;
                            }
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        self.hooks(instance, state, at);
        Ok(instance)
    }

    /// A state that a call hands on to the object it makes, as BUILD would.
    pub(super) fn restored(&mut self, instance: Val, state: Val, at: u64) {
        self.evaluates(instance, state, at);
        self.hooks(instance, state, at);
    }

    /// What a library runs of a state.
    fn evaluates(&mut self, instance: Val, state: Val, at: u64) {
        let View::Instance(id) = instance.view() else { return };
        match self.heap.globals.get(id as usize).map(|global| global.special) {
            Some(Special::Frozen) => self.distribution(state, at),
            Some(Special::Formula) => self.formula(state, at),
            _ => {}
        }
    }

    /// Pairs put into an object: an object that gives out its items as attributes would call them.
    pub(super) fn hooked_items(&mut self, target: Val, pairs: &[Val], at: u64) {
        if !matches!(target.view(), View::Instance(_)) {
            return;
        }
        for pair in pairs.chunks_exact(2) {
            if self.is_callable(pair[1])
                && let Some((name, _)) = self.string(pair[0])
                && HOOKS.contains(&name.as_str())
            {
                let text = format!("{}.{name} = {}", self.show(target), self.show(pair[1]));
                self.record(self.show(pair[1]), Effect::Patches, How::Build, text, at);
            }
        }
    }

    /// What SETITEMS put into a mapping, as [`Self::instantiated`] asks; longer ones are no hyperparameters.
    pub(super) fn named_items(&mut self, opcode: u8, base: usize, at: u64) {
        let items = self.stack.get(base..).filter(|items| opcode == b'u' && items.len() <= MAX_NAMED);
        if let Some(pairs) = items.map(<[Val]>::to_vec) {
            self.instantiated(&pairs, at);
        }
    }

    /// Functions and classes that Lightning imports by what the hyperparameters of a checkpoint call them, also where the
    /// pickle itself is loaded without leave to import (CVE-2026-58659).
    pub(super) fn instantiated(&mut self, pairs: &[Val], at: u64) {
        for pair in pairs.chunks_exact(2) {
            if !(self.is_text(pair[0]) && self.is_text(pair[1])) {
                continue;
            }
            let Some((key, _)) = self.string(pair[0]) else { continue };
            let caller = key == "_instantiator";
            if !caller && key != "_class_path" {
                continue;
            }
            let Some((name, _)) = self.string(pair[1]) else { continue };
            let own = ["lightning.", "pytorch_lightning.", "lightning_fabric.", "torch.nn."];
            if own.iter().any(|root| name.starts_with(root)) {
                continue;
            }
            let cuts = name.match_indices('.').take(16);
            let known = cuts.map(|(cut, _)| self.heap.effects.lookup(&name[..cut], &name[cut + 1..]).0);
            let worst = known.filter(|effect| *effect != Effect::Unknown).max().unwrap_or(Effect::Unknown);
            // A class of somebody's own is what checkpoints name; the function that is to make it is Lightning's.
            if worst.is_allowed() || worst == Effect::Unknown && !caller {
                continue;
            }
            let text = format!("{key} = {name:?}");
            self.record(super::clean(&name), worst, How::Proxy, text, at);
        }
    }

    /// Callables placed where a later opcode of the load calls them.
    pub(super) fn hooks(&mut self, instance: Val, state: Val, at: u64) {
        let mut dicts = vec![state];
        if let View::Tuple(..) = state.view() {
            dicts.extend(self.heap.items(state).iter().take(4));
        }
        for dict in dicts {
            if !matches!(self.heap.node(dict), Some(Node::Container { shape: super::value::Shape::Dict, .. }))
            {
                continue;
            }
            if matches!(self.heap.node(dict), Some(Node::Container { lost: true, .. })) {
                self.limit("the state of an object is too large to look for hooks in it");
            }
            for hook in HOOKS {
                // Reading every key of every state back would be slow; only structured values can be hooks.
                let any = self.heap.items(dict).chunks_exact(2).any(|pair| self.is_callable(pair[1]));
                if !any {
                    break;
                }
                if let Some(value) = self.entry(dict, hook).filter(|&value| self.is_callable(value)) {
                    let text = format!("{}.{hook} = {}", self.show(instance), self.show(value));
                    self.record(self.show(value), Effect::Patches, How::Build, text, at);
                }
            }
        }
    }

    /// The keyword arguments of a `functools.partial`, by the state it was given.
    pub(super) fn keywords_of_partial(&self, state: Val) -> Option<Val> {
        match self.heap.node(state) {
            Some(Node::Container { .. }) => Some(state),
            _ => self.heap.items(state).get(2).copied(),
        }
        .filter(|&keywords| !self.heap.items(keywords).is_empty())
    }

    pub(super) fn keep_keywords(&mut self, partial: Val, kwargs: Option<Val>) {
        if let (Some(Node::Call { state, .. }), Some(kwargs)) = (self.heap.node_mut(partial), kwargs) {
            *state = kwargs;
        }
    }

    pub(super) fn values_of(&self, kwargs: Option<Val>) -> Vec<Val> {
        let pairs = kwargs.map(|kwargs| self.heap.items(kwargs)).unwrap_or_default();
        pairs.chunks_exact(2).map(|pair| pair[1]).collect()
    }
}
