//! Jinja templates: what rendering one would reach, with constants folded before attribute access is judged.
//!
//! The template is interpreted abstractly: loops over constants run, branches are all taken, macros are
//! entered, text is assembled as Jinja would assemble it. Messages and tools, the ordinary inputs of a chat
//! template, are symbols. Nothing is rendered and no Python object is touched.

mod apply;
mod expression;
mod lex;
mod names;
mod statement;
mod value;

use std::collections::BTreeMap;

use value::Value;

/// How far an attribute reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Into Python's internals, not yet to code.
    Internals,
    /// To every class, global or module of the process, and so to commands.
    Code,
}

/// An attribute that no ordinary template touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The attribute, after folding.
    pub name: String,
    /// The expression it is read from, as far as it is known.
    pub path: String,
    /// How far it reaches.
    pub reach: Reach,
    /// Byte offset in the template.
    pub offset: usize,
}

/// Something in the template, in words, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// What.
    pub what: String,
    /// Byte offset in the template.
    pub offset: usize,
}

/// The facts of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// Tags and expressions.
    pub tags: usize,
    /// Attributes that reach into Python.
    pub accesses: Vec<Access>,
    /// Attribute names that are put together at run time from parts that are not all known.
    pub computed: Vec<Spot>,
    /// Other templates it names.
    pub loads: Vec<Spot>,
    /// Words it looks for in the text of a message.
    pub triggers: Vec<Spot>,
    /// Sentences it writes into the prompt only when such a word is there.
    pub injections: Vec<Spot>,
    /// Dates it compares with the day it is rendered on.
    pub dates: Vec<Spot>,
    /// Addresses that are put together with what was said.
    pub leaks: Vec<Spot>,
    /// Addresses and numbers that it replaces in what it is given.
    pub rewrites: Vec<Spot>,
    /// Loops and repetitions of a size meant to exhaust the host.
    pub exhausts: Vec<Spot>,
    /// Tags that are not Jinja, as they start.
    pub broken: Vec<Spot>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// Longest template examined.
pub const MAX_TEMPLATE: usize = 1 << 20;
const MAX_TOKENS: usize = 120_000;
const MAX_STEPS: u32 = 400_000;
const MAX_SPOTS: usize = 64;
const MAX_DEPTH: u8 = 32;

/// Whether text holds Jinja tags at all.
#[must_use]
pub fn has_tags(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// The facts of a template. Never fails: what is not Jinja is among [`Template::broken`].
#[must_use]
pub fn analyse(text: &str) -> Template {
    let mut facts = Template::default();
    let mut end = text.len().min(MAX_TEMPLATE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() {
        facts.limits.push(format!("only the first {end} bytes of the template are examined"));
    }
    let text = text.get(..end).unwrap_or("");
    let (tokens, whole) = lex::tokens(text, MAX_TOKENS);
    if !whole {
        facts.limits.push(format!("only the first {MAX_TOKENS} tokens of the template are examined"));
    }
    let mut machine = Machine {
        text,
        tokens,
        at: 0,
        names: BTreeMap::new(),
        macros: BTreeMap::new(),
        facts,
        steps: MAX_STEPS,
        depth: 0,
        branch: 0,
        entered: 0,
        space: None,
        turns: 1,
        ranged: None,
        broke: false,
    };
    machine.template();
    let mut facts = machine.facts;
    if machine.steps == 0 {
        facts.limits.push("the template takes too many steps to follow".into());
    }
    fields(text, &mut facts);
    pictures(text, &mut facts);
    facts.accesses.sort_by(|a, b| (b.reach, a.offset).cmp(&(a.reach, b.offset)));
    facts.accesses.dedup_by(|a, b| a.offset == b.offset && a.name == b.name);
    facts
}

/// Attributes that the fields of a text to be formatted name, whatever formats it.
fn fields(text: &str, facts: &mut Template) {
    for (at, _) in text.match_indices(".__").take(4 * MAX_SPOTS) {
        let name: String =
            text[at + 1..].chars().take(80).take_while(|&c| c.is_alphanumeric() || c == '_').collect();
        let Some(reach) = names::reach(&name) else { continue };
        // The field begins with one bracket, and has not ended.
        let before = &text[..at];
        let Some(open) = before.rfind('{').filter(|open| at - open <= 60) else { continue };
        let inner = &before[open + 1..];
        let field = inner.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'));
        if field && !before[..open].ends_with('{') && facts.accesses.len() < 16 * MAX_SPOTS {
            let path = format!("{{{inner}");
            facts.accesses.push(Access { name, path, reach, offset: at });
        }
    }
}

/// Pictures at an address with something asked of it, which a prompt has no need of: whoever shows the answer sends it.
fn pictures(text: &str, facts: &mut Template) {
    for (at, _) in text.match_indices("](http").take(MAX_SPOTS) {
        let address: String =
            text[at + 2..].chars().take(200).take_while(|&c| !matches!(c, ')' | ' ' | '\n')).collect();
        let shown = text[..at].rfind("![").is_some_and(|start| at - start <= 80);
        if shown && address.contains('?') {
            Machine::spot(&mut facts.leaks, address, at);
        }
    }
}

struct Macro<'t> {
    parameters: Vec<(&'t str, Option<Value>)>,
    body: usize,
}

/// The abstract interpreter.
struct Machine<'t> {
    text: &'t str,
    tokens: Vec<lex::Token<'t>>,
    at: usize,
    names: BTreeMap<String, Value>,
    macros: BTreeMap<&'t str, Macro<'t>>,
    facts: Template,
    /// Tokens that may still be looked at.
    steps: u32,
    depth: u8,
    /// Branches around the current statement: assignments in them are alternatives.
    branch: u32,
    /// Macros being entered.
    entered: u8,
    /// The fields of a namespace just made.
    space: Option<Vec<(String, Value)>>,
    /// How often the current statement runs, by the loops around it.
    turns: i64,
    /// How many numbers the last `range` gives.
    ranged: Option<i64>,
    /// The current tag made no sense.
    broke: bool,
}

impl Machine<'_> {
    fn limit(&mut self, limit: &str) {
        if !self.facts.limits.iter().any(|known| known == limit) {
            self.facts.limits.push(limit.to_owned());
        }
    }

    fn spot(list: &mut Vec<Spot>, what: String, offset: usize) {
        if list.len() < MAX_SPOTS && !list.iter().any(|spot| spot.offset == offset) {
            list.push(Spot { what, offset });
        }
    }

    /// An attribute or key of this name is read.
    fn touch(&mut self, path: &str, name: &str, offset: usize) {
        let Some(reach) = names::reach(name) else { return };
        // Harmless ones leave room for those that reach further.
        let same = self.facts.accesses.iter().filter(|access| access.reach == reach).count();
        if same < 4 * MAX_SPOTS {
            let path = path.to_owned();
            let name = name.chars().take(80).collect();
            self.facts.accesses.push(Access { name, path, reach, offset });
        }
    }
}

#[cfg(test)]
mod ordinary;
#[cfg(test)]
mod tests;
