//! What programs do to the process around them and to other libraries: variables of the environment, checks that are
//! replaced, functions that are named in settings, texts that libraries read as code.

use super::super::calls::Power;
use super::super::libraries;
use super::library;
use super::tree::{Expr, Name, Node, Stmt};
use super::value::{Arg, Kind, Taint, Thing, Value};
use super::{Machine, Role};

/// Settings that are kept of one source, and templates.
const MAX_LINES: usize = 256;
const MAX_TEMPLATES: usize = 16;
/// Containers within each other that are looked through for names of functions.
const MAX_HELD: u8 = 4;

impl Machine {
    /// A variable of the environment is set: what starts later sees it.
    pub(super) fn sets(&mut self, name: &str, value: &str, line: u32) {
        let line = self.line.unwrap_or(line);
        if self.lines.len() < MAX_LINES {
            self.lines.push((format!("{name}={}", value.chars().take(400).collect::<String>()), line));
        }
        let given = vec![(None, Value::text(name)), (None, Value::text(value))];
        if libraries::disarms(name, value) {
            self.record("os.environ.__setitem__", Power::Disarms, &given, line, Taint::default());
        }
        // The function that a breakpoint calls, by its name.
        if name == "PYTHONBREAKPOINT"
            && let Some(path) = libraries::names_power(value)
        {
            self.record(&path, Power::Runs, &given, line, Taint { made: true, ..Taint::default() });
        }
    }

    /// A function by which others check what they load is replaced.
    pub(super) fn guarded(&mut self, full: &str, value: &Value, line: u32) {
        let strict = !matches!(self.role, Role::Script | Role::Notebook);
        let replaced = match (&value.kind, self.thing_of(value)) {
            (Kind::Path(path), _) => path.as_ref() != full,
            (_, Some(Thing::Function(_) | Thing::Partial { .. } | Thing::Bound { .. })) => true,
            _ => false,
        };
        if strict && replaced && libraries::guards(full) {
            let given = vec![(None, value.clone())];
            self.record(full, Power::Disarms, &given, line, Taint::default());
        }
    }

    /// Calls of libraries that run what a constant says.
    pub(super) fn library_call(&mut self, path: &str, given: &[Arg], line: u32) -> Option<Value> {
        let first = given.iter().find(|(name, _)| name.is_none()).map(|(_, value)| value.clone());
        let text = first.as_ref().and_then(Value::as_text).cloned();
        if libraries::reads_code(path)
            && let Some(text) = &text
        {
            // Names of the caller are written with a sign of their own.
            let code: Name = text.replace('@', "").into();
            let taint = Taint { made: true, ..first.as_ref().map(|first| first.taint).unwrap_or_default() };
            self.run_text(&code, taint, line);
        }
        if libraries::templates(path)
            && let Some(text) = &text
            && self.templates.len() < MAX_TEMPLATES
        {
            self.templates.push((text.to_string(), self.line.unwrap_or(line)));
            if path.starts_with("mako") {
                self.blocks(text, line);
            }
        }
        if path.starts_with("sys.meta_path.") || path.starts_with("sys.path_hooks.") {
            for (_, value) in given {
                self.finder(value, line);
            }
        }
        if path.starts_with("winreg.") && starts_with_windows(given) {
            self.record(path, Power::Plants, given, line, Taint::default());
        }
        if path == "mmap.mmap" && given.iter().any(|(name, value)| executable(name.as_deref(), value)) {
            self.record(path, Power::Evaluates, given, line, Taint { made: true, ..Taint::default() });
        }
        if matches!(path, "shutil.rmtree" | "os.removedirs") && text.as_deref().is_some_and(is_home) {
            self.record(path, Power::Plants, given, line, Taint::default());
        }
        if self.weak == 0
            && !self.deferred
            && matches!(path, "unittest.main" | "pytest.main" | "unittest.TextTestRunner().run")
        {
            self.named_so(&["test", "setUp"], line);
        }
        if path.starts_with("doctest.") {
            self.examples(line);
        }
        None
    }

    /// Names of functions of power in what a library is handed as settings.
    pub(super) fn named_in(&mut self, callee: &str, given: &[Arg], line: u32) {
        let mut found = Vec::new();
        for (_, value) in given.iter().take(16) {
            self.names_within(value, 0, &mut found);
        }
        // A name alone, beside other words, is a word.
        let alone = given.len() == 1 || given.iter().all(|(_, value)| value.as_text().is_none());
        let looks_up = [
            "locate",
            "resolve",
            "import_string",
            "import_from_string",
            "instantiate",
            "dictConfig",
            "get_obj",
            "load_object",
            "get_class",
            "get_callable",
        ];
        let last = callee.rsplit('.').next().unwrap_or("");
        let calls = looks_up.iter().any(|name| last.contains(name));
        let named = alone && found.iter().any(|(_, deep)| *deep);
        if !calls && !named {
            return;
        }
        for (path, _) in found.into_iter().take(8) {
            self.record(&path, library::power(&path), &[], line, Taint { made: true, ..Taint::default() });
        }
    }

    fn names_within(&self, value: &Value, depth: u8, found: &mut Vec<(String, bool)>) {
        if depth > MAX_HELD || found.len() >= 8 {
            return;
        }
        if let Some(path) = value.as_text().and_then(|text| libraries::names_power(text)) {
            found.push((path, false));
            return;
        }
        match self.thing_of(value) {
            Some(Thing::Map { pairs, .. }) => {
                for (key, value) in pairs.iter().take(64) {
                    let names = key.as_text().is_some_and(|key| {
                        matches!(
                            key.as_ref(),
                            "()" | "class"
                                | "_target_"
                                | "target"
                                | "func"
                                | "callable"
                                | "factory"
                                | "class_path"
                                | "type"
                                | "module"
                        )
                    });
                    let before = found.len();
                    self.names_within(value, depth + 1, found);
                    for (_, deep) in found.iter_mut().skip(before) {
                        *deep |= names;
                    }
                }
            }
            Some(Thing::Row { items, .. }) => {
                for item in items.iter().take(64) {
                    self.names_within(item, depth + 1, found);
                }
            }
            _ => {}
        }
    }

    /// What Python asks when a module is imported.
    fn finder(&mut self, value: &Value, line: u32) {
        for name in
            ["find_spec", "find_module", "find_distributions", "exec_module", "load_module", "create_module"]
        {
            let given = vec![(None, Value::default())];
            if self.hook(value, name, given.clone(), line).is_none() {
                self.class_hook(value, name, given, line);
            }
        }
        if self.def_of(value).is_some() {
            self.call(value.clone(), vec![(None, Value::default())], line);
        }
    }

    /// Runs the functions and methods whose names begin so.
    fn named_so(&mut self, starts: &[&str], line: u32) {
        let known = self.known.clone();
        for (function, class) in known.into_iter().take(512) {
            let Some(def) = self.def_of(&function) else { continue };
            if !starts.iter().any(|start| def.name.starts_with(start)) {
                continue;
            }
            let given = match class {
                Some(class) => vec![(None, self.sample(class))],
                None => Vec::new(),
            };
            self.call(function, given, line);
        }
    }

    /// Runs the examples in what functions and the module say about themselves.
    fn examples(&mut self, line: u32) {
        let mut texts: Vec<Name> = self.about.clone().into_iter().collect();
        for (function, _) in self.known.clone().into_iter().take(512) {
            let Some(def) = self.def_of(&function) else { continue };
            if let Some(Stmt::Expr(Expr { node: Node::Str(text), .. })) = def.body.first() {
                texts.push(text.clone());
            }
        }
        for text in texts.into_iter().take(64) {
            let code: Vec<&str> = text
                .lines()
                .filter_map(|line| {
                    let line = line.trim_start();
                    line.strip_prefix(">>> ").or_else(|| line.strip_prefix("... "))
                })
                .collect();
            if !code.is_empty() {
                let code: Name = code.join("\n").into();
                self.run_text(&code, Taint { made: true, ..Taint::default() }, line);
            }
        }
    }

    /// Runs the programs in a template of Mako.
    fn blocks(&mut self, text: &str, line: u32) {
        let blocks = text.split("<%").skip(1).filter_map(|rest| rest.split("%>").next());
        let fields = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        let code: Vec<String> = blocks
            .chain(fields)
            .take(64)
            .map(|code| code.trim_start_matches('!').trim().to_owned())
            .collect();
        let code: Name = code.join("\n").into();
        self.run_text(&code, Taint { made: true, ..Taint::default() }, line);
    }
}

/// A key of the registry whose values Windows starts by itself.
fn starts_with_windows(given: &[Arg]) -> bool {
    given.iter().any(|(_, value)| {
        value.as_text().is_some_and(|text| {
            let lower = text.to_ascii_lowercase();
            lower.contains("currentversion\\run")
                || lower.contains("\\winlogon")
                || lower.contains("image file execution")
        })
    }) && given.len() > 2
}

/// Memory that is asked for so that it can be run.
fn executable(name: Option<&str>, value: &Value) -> bool {
    match &value.kind {
        Kind::Int(number) => name == Some("prot") && number & 4 != 0,
        Kind::Path(path) => path.ends_with("PROT_EXEC") || path.ends_with("PAGE_EXECUTE_READWRITE"),
        _ => false,
    }
}

/// Everything that somebody has.
fn is_home(path: &str) -> bool {
    matches!(
        path.trim_end_matches('/'),
        "" | "~" | "/home" | "/root" | "/etc" | "/usr" | "/var" | "C:\\" | "$HOME"
    )
}
