//! What Python may call by itself: functions that importing a module may run, however they are reached.
//!
//! The interpreter follows a program along one way. This looks at what the language could do with its
//! parts instead: a function whose name stands anywhere in code that runs may be called there; a class that
//! is used may have each of its special methods called, and every method when it extends a class of another
//! module, which calls it back; a function that something decorates, a lambda, a name out of a table, all may
//! be called. It says too much, never too little, as long as names are names: a look-up by a name that is
//! computed counts for every function it could find.
//!
//! Calls that do harm are read off the same walk, so that one that the interpreter did not come to, or took
//! for one that is not taken, is still there.

use std::collections::{HashMap, HashSet};

use super::super::calls::Power;
use super::super::{Argument, Call, MAX_CALLS, Origin, Role, Script};
use super::names::Known;
use super::tree::{Def, Name, Stmt};
use super::walk::{Found, Unit, Walk};

/// Special methods that Python calls while a class is made or extended.
const MAKING: [&str; 8] = [
    "__init_subclass__",
    "__set_name__",
    "__class_getitem__",
    "__prepare__",
    "__mro_entries__",
    "__get__",
    "__set__",
    "__delete__",
];

/// Classes of other modules that call nothing of those that extend them.
const STILL: [&str; 12] = [
    "object",
    "ABC",
    "Generic",
    "Protocol",
    "NamedTuple",
    "TypedDict",
    "Enum",
    "IntEnum",
    "Exception",
    "dict",
    "list",
    "type",
];

/// What makes a call worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Importing the module may run it.
    Reached,
    /// Python calls the method it stands in for something that is not written as a call, or the function
    /// is handed on instead of being called.
    Hidden,
}

/// A call or a value of power, as it is written.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) path: String,
    pub(super) power: Power,
    pub(super) line: u32,
    pub(super) way: Way,
    /// Its first argument, where that is a constant.
    pub(super) text: Option<String>,
    /// It is called with something that is not constant.
    pub(super) open: bool,
}

/// What may run, and what it does.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Functions that importing the module may run.
    pub(super) reached: HashSet<*const Def>,
    /// Functions that Python calls for something that is not written as a call.
    pub(super) implicit: HashSet<*const Def>,
    /// Functions of those reached whose work is to answer a request, and may be to fetch what it names.
    pub(super) serves: HashSet<*const Def>,
    pub(super) hits: Vec<Hit>,
    /// Modules that are imported by a name that is not constant, by line.
    pub(super) imports: Vec<u32>,
}

impl Reach {
    /// Tells a script what may run: calls that it knows are marked, others are added.
    pub(super) fn tell(self, resolved: &HashSet<u32>, script: &mut Script) {
        for hit in self.hits {
            let last = |path: &str| path.rsplit('.').next().unwrap_or("").to_owned();
            let name = last(&hit.path);
            let (mut known, mut followed) = (false, false);
            for call in script.calls.iter_mut().filter(|call| call.line == hit.line) {
                if last(&call.callee) == name {
                    known = true;
                    // What a file holds is judged by the name of the file.
                    followed |= call
                        .arguments
                        .first()
                        .is_some_and(|argument| argument.text.is_some() || argument.origin.file);
                    call.reached |= hit.way == Way::Reached;
                    call.assembled |= hit.way == Way::Hidden;
                }
            }
            if !known && script.calls.len() < MAX_CALLS {
                let argument = |text: String| Argument {
                    name: None,
                    shown: format!("{:?}", text.chars().take(120).collect::<String>()),
                    text: Some(text),
                    origin: Origin::default(),
                };
                script.calls.push(Call {
                    callee: hit.path,
                    power: hit.power,
                    arguments: hit.text.map(argument).into_iter().collect(),
                    line: hit.line,
                    at_import: false,
                    reached: hit.way == Way::Reached,
                    hidden: false,
                    assembled: hit.way == Way::Hidden,
                });
            }
            if hit.power == Power::Evaluates && hit.way == Way::Reached && hit.open && !followed {
                let limit =
                    format!("line {} runs code that is put together while the program runs", hit.line);
                limited(script, limit);
            }
        }
        for line in self.imports.into_iter().filter(|line| !resolved.contains(line)) {
            let limit = format!("line {line} imports a module whose name is computed while the program runs");
            limited(script, limit);
        }
    }
}

fn limited(script: &mut Script, limit: String) {
    if script.limits.len() < 16 && !script.limits.contains(&limit) {
        script.limits.push(limit);
    }
}

/// Looks through a module.
pub(super) fn reach(module: &[Stmt], role: Role) -> Reach {
    let mut names = Known::default();
    for statement in module {
        names.statement(statement, false, 0);
    }
    let mut walk = Walk { names, units: vec![Unit::default()], ..Walk::default() };
    walk.block(module, 0);
    walk.judge(role)
}

impl Walk {
    /// Which functions may run, and what is told of what they do.
    fn judge(mut self, role: Role) -> Reach {
        for at in 1..self.units.len() {
            let parent = self.units[at].parent;
            let inner = parent != 0 && self.units[parent].implicit;
            let special = !self.units[at].lambda && self.special.contains(&self.units[at].name);
            self.units[at].implicit |= inner || special;
        }
        let reached = self.reached(role);
        let strict = role != Role::Script && role != Role::Notebook;
        let mut out = Reach::default();
        for (at, unit) in self.units.iter().enumerate() {
            let Some(def) = unit.def else { continue };
            if reached[at] {
                out.reached.insert(def);
                if unit.class.is_some() && matches!(unit.name.as_ref(), "__call__" | "from_pretrained") {
                    out.serves.insert(def);
                }
            }
            if unit.implicit {
                out.implicit.insert(def);
            }
        }
        for found in self.found {
            let unit = &self.units[found.unit];
            let hidden = unit.implicit
                || !found.called && (strict || !found.plain)
                || unit.lambda && !unit.named && found.power == Power::Runs;
            let serves =
                found.power == Power::Network && unit.def.is_some_and(|def| out.serves.contains(&def));
            let way = match hidden && found.power != Power::Network {
                true => Way::Hidden,
                false if reached[found.unit] && strict && !serves => Way::Reached,
                false => continue,
            };
            let Found { path, power, line, text, open, .. } = found;
            out.hits.push(Hit { path, power, line, way, text, open });
        }
        if strict {
            out.imports =
                self.imports.into_iter().filter(|(unit, _)| reached[*unit]).map(|(_, line)| line).collect();
        }
        out
    }

    fn reached(&self, role: Role) -> Vec<bool> {
        let mut functions: HashMap<&Name, Vec<usize>> = HashMap::new();
        let mut methods: HashMap<&Name, Vec<usize>> = HashMap::new();
        let mut classes: HashMap<&Name, Vec<usize>> = HashMap::new();
        for (at, unit) in self.units.iter().enumerate().skip(1) {
            if !unit.lambda && !unit.main {
                let all = if unit.class.is_some() { &mut methods } else { &mut functions };
                all.entry(&unit.name).or_default().push(at);
            }
        }
        for (at, class) in self.classes.iter().enumerate() {
            classes.entry(&class.name).or_default().push(at);
        }
        let mut state = State {
            walk: self,
            reached: vec![false; self.units.len()],
            live: vec![false; self.classes.len()],
            marks: HashSet::new(),
            looks_up: false,
            todo: Vec::new(),
            classes: &classes,
        };
        state.enter(0);
        // What a loader does with a module: it makes objects of its classes and runs them.
        if role == Role::Module {
            for (at, unit) in self.units.iter().enumerate() {
                let made = matches!(
                    unit.name.as_ref(),
                    "__init__"
                        | "__new__"
                        | "__post_init__"
                        | "__call__"
                        | "forward"
                        | "_init_weights"
                        | "from_pretrained"
                        | "__setstate__"
                );
                // What MLflow, SageMaker and transformers call in a module that travels with a model.
                let asked = matches!(
                    unit.name.as_ref(),
                    "_load_pyfunc" | "model_fn" | "input_fn" | "generate" | "init" | "register"
                ) || unit.name.starts_with("pytest_");
                // What Triton, TorchServe, Cog, LitServe, KServe, MLflow and builders of data sets call first.
                let made = made
                    || matches!(
                        unit.name.as_ref(),
                        "initialize"
                            | "auto_complete_config"
                            | "setup"
                            | "load"
                            | "load_context"
                            | "_info"
                            | "_split_generators"
                    );
                if unit.class.is_some() && made || unit.class.is_none() && asked && !unit.lambda {
                    state.enter(at);
                }
            }
        }
        for (at, class) in self.classes.iter().enumerate() {
            if class.decorated {
                state.alive(at);
            }
        }
        let mut made = vec![false; self.classes.len()];
        loop {
            while let Some(at) = state.todo.pop() {
                let unit = &self.units[at];
                for &child in &unit.children {
                    let one = &self.units[child];
                    if one.lambda || one.decorated && one.class.is_none() {
                        state.enter(child);
                    }
                }
                for name in unit.names.iter().chain(&unit.marks) {
                    functions.get(name).into_iter().flatten().for_each(|&function| state.enter(function));
                    classes.get(name).into_iter().flatten().for_each(|&class| state.alive(class));
                }
                for mark in &unit.marks {
                    if state.marks.insert(mark.clone()) {
                        for &method in methods.get(mark).into_iter().flatten() {
                            if self.units[method].class.is_some_and(|class| state.live[class]) {
                                state.enter(method);
                            }
                        }
                    }
                }
                if unit.looks_up && !state.looks_up {
                    state.looks_up = true;
                    functions.values().flatten().for_each(|&function| state.enter(function));
                    for class in 0..self.classes.len() {
                        if state.live[class] {
                            self.classes[class].methods.iter().for_each(|&method| state.enter(method));
                        }
                    }
                }
            }
            // Classes that reached code makes.
            for (at, class) in self.classes.iter().enumerate() {
                if state.reached[class.unit] && !made[at] {
                    made[at] = true;
                    for above in state.above(at) {
                        for &method in &self.classes[above].methods {
                            if MAKING.contains(&self.units[method].name.as_ref()) {
                                state.enter(method);
                            }
                        }
                    }
                    for meta in class.meta.iter().filter_map(|meta| classes.get(meta)).flatten() {
                        state.alive(*meta);
                    }
                }
            }
            if state.todo.is_empty() {
                return state.reached;
            }
        }
    }
}

/// What is known so far of what may run.
struct State<'a> {
    walk: &'a Walk,
    reached: Vec<bool>,
    live: Vec<bool>,
    marks: HashSet<Name>,
    looks_up: bool,
    todo: Vec<usize>,
    classes: &'a HashMap<&'a Name, Vec<usize>>,
}

impl State<'_> {
    fn enter(&mut self, unit: usize) {
        if !std::mem::replace(&mut self.reached[unit], true) {
            self.todo.push(unit);
        }
    }

    /// A class of the source with those of the source that it extends.
    fn above(&self, class: usize) -> Vec<usize> {
        let (mut todo, mut all) = (vec![class], Vec::new());
        while let Some(one) = todo.pop() {
            if all.contains(&one) || all.len() >= 64 {
                continue;
            }
            all.push(one);
            let found = &self.walk.classes[one];
            for base in found.bases.iter().flatten() {
                todo.extend(self.classes.get(base).into_iter().flatten());
            }
        }
        all
    }

    /// A class that is used.
    fn alive(&mut self, class: usize) {
        if self.live[class] {
            return;
        }
        let all = self.above(class);
        let foreign = all.iter().any(|one| {
            let bases = &self.walk.classes[*one].bases;
            bases.iter().any(|base| match base {
                Some(base) => !self.classes.contains_key(base) && !is_still(base),
                None => true,
            })
        });
        for one in all {
            if std::mem::replace(&mut self.live[one], true) && one != class {
                continue;
            }
            let found = &self.walk.classes[one];
            for &method in &found.methods {
                let unit = &self.walk.units[method];
                let special = unit.name.starts_with('_') && unit.name.ends_with('_') && unit.name.len() > 2;
                if special
                    || foreign
                    || unit.implicit
                    || self.looks_up
                    || self.marks.contains(&unit.name)
                    || found.body.contains(&unit.name)
                {
                    self.enter(method);
                }
            }
        }
    }
}

/// Whether a base class of this name calls nothing of what extends it.
fn is_still(base: &str) -> bool {
    let base = base.trim_start_matches('.');
    STILL.contains(&base) || ["Error", "Exception", "Warning"].iter().any(|end| base.ends_with(end))
}
