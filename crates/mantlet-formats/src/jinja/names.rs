//! Attribute names that lead from any Python object to its class, its globals and so to commands.

use super::Reach;

/// Names that alone, or one step on, give code.
const CODE: [&str; 38] = [
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "__import__",
    "__mro__",
    "__base__",
    "__bases__",
    "__init__",
    "__new__",
    "__init_subclass__",
    "__getattribute__",
    "__getattr__",
    "__reduce__",
    "__reduce_ex__",
    "__code__",
    "__func__",
    "__wrapped__",
    "__closure__",
    "__loader__",
    "__spec__",
    "__self__",
    "__subclasshook__",
    "func_globals",
    "func_code",
    "gi_frame",
    "gi_code",
    "cr_frame",
    "ag_frame",
    "f_globals",
    "f_locals",
    "f_builtins",
    "f_back",
    "tb_frame",
    "tb_next",
    "mro",
    "popen",
    "subprocess",
    "_TemplateReference__context",
];

pub(super) fn reach(name: &str) -> Option<Reach> {
    let name = name.trim();
    if CODE.contains(&name) {
        return Some(Reach::Code);
    }
    let dunder = name.len() > 4 && name.starts_with("__") && name.ends_with("__");
    (dunder && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(Reach::Internals)
}

/// Whether raw text names something that only an attack needs; used where a tag could not be followed.
pub(super) fn named_in(text: &str) -> Option<&'static str> {
    CODE.iter().find(|name| name.starts_with('_') && text.contains(**name)).copied()
}
