//! Attributes, items and dotted paths, followed to what they name.

use super::effect::{Effect, Special, is_internal};
use super::facts::How;
use super::machine::Machine;
use super::value::{Node, Val, View};

impl Machine<'_> {
    /// `object.name`, followed through modules, classes and namespaces.
    pub(super) fn attribute(&mut self, object: Val, name: &str, at: u64) -> Val {
        if is_internal(name) {
            let text = format!("{}.{name}", self.show(object));
            self.record(text.clone(), Effect::Executes, How::Reduce, text, at);
            return self.heap.add(Node::Namespace(object), Val::UNKNOWN);
        }
        match object.view() {
            View::Global(id) => {
                let long = self.heap.globals[id as usize].name.len() + name.len();
                if !self.heap.spend(long) {
                    return Val::UNKNOWN;
                }
                let global = self.heap.globals[id as usize].clone();
                if global.special == Special::ModuleName {
                    return self.module_attribute(&global.name, name, at);
                }
                self.heap.intern(&global.module, &format!("{}.{name}", global.name), at, true)
            }
            _ => match self.heap.node(object).cloned() {
                Some(Node::Module(module)) => self.module_attribute(&module, name, at),
                _ => self.heap.add(Node::Attribute { object, name: name.into() }, Val::UNKNOWN),
            },
        }
    }

    pub(super) fn module_attribute(&mut self, module: &str, name: &str, at: u64) -> Val {
        if !self.heap.spend(module.len() + name.len()) {
            return Val::UNKNOWN;
        }
        let full = format!("{module}.{name}");
        if self.heap.effects.knows_module(&full) && self.heap.effects.lookup(module, name).0 != Effect::Object
        {
            return self.heap.add(Node::Module(full.into()), Val::UNKNOWN);
        }
        self.heap.intern(module, name, at, true)
    }

    pub(super) fn resolve_path(&mut self, path: &str, at: u64) -> Val {
        if let Some((module, name)) = path.split_once(':') {
            return if name.is_empty() {
                self.heap.add(Node::Module(module.into()), Val::UNKNOWN)
            } else {
                self.heap.intern(module, name, at, true)
            };
        }
        match path.rsplit_once('.') {
            Some((module, name)) if !self.heap.effects.knows_module(path) => {
                self.module_attribute(module, name, at)
            }
            _ => self.heap.add(Node::Module(path.into()), Val::UNKNOWN),
        }
    }

    /// `object[key]`.
    pub(super) fn item(&mut self, object: Val, key: Val, at: u64) -> Val {
        let name = self.string(key).map(|(name, _)| name);
        if let (Some(global), Some(name)) = (self.heap.global(object), name.as_deref())
            && global.module.as_ref() == "sys"
            && global.name.as_ref() == "modules"
        {
            return self.heap.add(Node::Module(name.into()), Val::UNKNOWN);
        }
        match self.heap.node(object) {
            Some(&Node::Namespace(inner)) => {
                let Some(name) = name else { return Val::UNKNOWN };
                if name == "__builtins__" {
                    return self.heap.add(Node::Module("builtins".into()), Val::UNKNOWN);
                }
                let builtin = self.heap.effects.lookup("builtins", &name).0;
                if builtin != Effect::Unknown && self.heap.global(inner).is_none_or(|g| &*g.module != "os") {
                    return self.heap.intern("builtins", &name, at, true);
                }
                if self.heap.effects.knows_module(&name)
                    && !matches!(self.heap.node(inner), Some(Node::Module(_)))
                {
                    return self.heap.add(Node::Module(name.into()), Val::UNKNOWN);
                }
                self.attribute(inner, &name, at)
            }
            Some(Node::Container { shape: super::value::Shape::Dict, .. }) => {
                name.and_then(|name| self.entry(object, &name)).unwrap_or(Val::UNKNOWN)
            }
            _ => match key.view() {
                View::Int(index) => {
                    let items = self.heap.items(object);
                    usize::try_from(index).ok().and_then(|i| items.get(i).copied()).unwrap_or(Val::UNKNOWN)
                }
                _ => Val::UNKNOWN,
            },
        }
    }

    /// The value of a text key in a dict, as far as its entries were kept.
    pub(super) fn entry(&self, dict: Val, key: &str) -> Option<Val> {
        let items = self.heap.items(dict);
        let pair =
            items.chunks_exact(2).find(|pair| self.string(pair[0]).is_some_and(|(name, _)| name == key))?;
        Some(pair[1])
    }
}
