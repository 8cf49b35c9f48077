//! What a configuration names in the ways of other tools: functions of jsonpickle and Fiddle, expressions of nodes,
//! parts of a container image, triggers of a workflow.

use super::{Act, Level, MAX_SAID, Reader, Said, callee};
use crate::metadata;
use crate::pickle::Effect;

/// Pickles written as numbers, and expressions; more of them say nothing new.
const MAX_KEPT: usize = 16;
/// Text of one list of numbers.
const MAX_NUMBERS: usize = 1 << 20;

impl Reader {
    pub(super) fn names(&mut self, near: &str, text: &str, at: u64) {
        if let Some(bytes) = decimal(text) {
            if matches!(bytes.as_slice(), [0x80, 0..=5, ..]) && self.config.pickles.len() < MAX_KEPT {
                let path = self.path();
                self.config.pickles.push((path, bytes));
            } else if metadata::program(&bytes).is_some() && self.config.hidden.len() < MAX_KEPT {
                let path = self.path();
                let mut hidden = metadata::Text::new(&path, text);
                hidden.hides = metadata::program(&bytes);
                self.config.hidden.push(hidden);
            }
        }
        if let Some(level) = self.levels.last_mut().filter(|level| !level.list && text.len() <= 200) {
            match self.key.as_str() {
                "module" => text.clone_into(&mut level.named[0]),
                "name" => text.clone_into(&mut level.named[1]),
                _ => {}
            }
        }
        match near {
            // jsonpickle: what stands here is imported, and called by `py/reduce`.
            "py/function" | "py/type" | "py/object" if callee::is_dotted(text) => {
                let effect = callee::effect(self.effects, text);
                if grave(effect) {
                    self.item(Act::Calls, text, effect, at);
                }
            }
            "py/repr" => self.expression("eval", text, at),
            _ if self.of_layers(near) && calls_stranger(text) => self.expression("eval", text, at),
            // torch.export hands the text of a symbolic size to sympy, which evaluates it.
            "expr_str"
                if calls_python(text)
                    || text.contains("__")
                    || text.contains("lambda")
                    || reaches_interpreter(text) =>
            {
                self.expression("sympy.sympify", text, at);
            }
            _ => {}
        }
        let given =
            near == "widgets_values" || self.levels.iter().rev().take(2).any(|level| level.key == "inputs");
        if given && self.expressions.len() < MAX_KEPT && reaches_interpreter(text) {
            let path = self.path();
            self.expressions.push((text.chars().take(120).collect(), path, at));
        }
        self.stranger(text);
        self.proxy(near, text, at);
    }

    fn expression(&mut self, function: &str, text: &str, at: u64) {
        self.item(Act::Calls, function, Effect::Executes, at);
        if let Some(item) = self.config.items.last_mut() {
            item.arguments.push(format!("{:?}", text.chars().take(120).collect::<String>()));
        }
    }

    /// Whether a text stands where YOLO evaluates what describes its layers.
    fn of_layers(&self, near: &str) -> bool {
        let describes = ["nc", "depth_multiple", "width_multiple", "scales"];
        let place = matches!(near, "activation" | "act" | "backbone" | "neck" | "head")
            || self.levels.iter().any(|level| matches!(level.key.as_str(), "backbone" | "neck" | "head"));
        place && self.config.keys.iter().any(|key| describes.contains(&key.as_str()))
    }

    /// A function that a mapping names by `module` and `name` under `type`, as Fiddle writes what it calls.
    pub(super) fn function(&mut self, level: &Level, at: u64) {
        let [module, name] = &level.named;
        // Beside a class or as a reference to a function: by its key, or by what it says it is.
        let refers = level.kind_is("pyref");
        if level.list || level.key != "type" && !refers || module.is_empty() || name.is_empty() {
            return;
        }
        let full = format!("{module}.{name}");
        let effect = callee::effect(self.effects, &full);
        let told = self.config.items.iter().any(|item| item.offset == at && item.act == Act::Calls);
        if callee::is_dotted(&full) && grave(effect) && !told {
            let keys = self.levels.iter().map(|outer| outer.key.as_str()).filter(|key| !key.is_empty());
            let path = keys.take(32).chain([level.key.as_str()]).collect::<Vec<_>>().join(".");
            self.item_at(Act::Calls, &full, effect, at, path);
        }
    }

    /// Of container images and manifests of models: where their parts lie, and where the process starts.
    pub(super) fn image(&mut self, near: &str, text: &str, at: u64) {
        let top = |key: &str| self.config.keys.iter().any(|known| known == key);
        let below = |key: &str| self.levels.iter().any(|level| level.key == key);
        let climbs = text.split(['/', '\\']).any(|part| part == "..");
        let title = below("annotations")
            && (near.ends_with("image.title") || near == "org.cncf.model.filepath")
            && (climbs || text.starts_with(['/', '\\', '~']) || text.get(1..2) == Some(":"));
        let manifest = top("schemaVersion") || top("mediaType");
        let digest = near == "digest" && manifest && climbs;
        let known = ["https://mcr.microsoft.com/", "https://go.microsoft.com/"];
        let elsewhere = near == "urls"
            && manifest
            && (below("layers") || below("config"))
            && text.contains("://")
            && !known.iter().any(|host| text.starts_with(host));
        if (title || digest || elsewhere) && self.config.paths.len() < MAX_SAID {
            let (path, text) = (self.path(), text.chars().filter(|c| !c.is_control()).take(200).collect());
            self.config.paths.push(Said { path, text, offset: at });
        }
        let descriptor = text.starts_with("/proc/") && text.contains("/fd/") || text.starts_with("/dev/fd/");
        if matches!(near, "WorkingDir" | "working_dir" | "workingDir") && descriptor {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
            let (path, text) =
                (self.path(), format!("it starts in `{shown}`, a folder that the host has open"));
            if self.config.host.len() < MAX_SAID {
                self.config.host.push(Said { path, text, offset: at });
            }
        }
    }

    /// Events of GitHub that strangers cause and that run with the rights of the repository.
    pub(super) fn stranger(&mut self, word: &str) {
        const EVENTS: [&str; 7] = [
            "pull_request_target",
            "issue_comment",
            "issues",
            "workflow_run",
            "discussion",
            "discussion_comment",
            "pull_request_review_comment",
        ];
        let on = self.levels.get(1).is_some_and(|level| level.key == "on")
            || self.levels.len() == 1 && self.key == "on";
        self.config.for_strangers |= on && self.levels.len() <= 2 && EVENTS.contains(&word);
    }

    /// What a container gets of its host: secrets by their name alone, and a proxy.
    fn proxy(&mut self, near: &str, text: &str, at: u64) {
        const SECRETS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
        let within = |key: &str| self.levels.iter().any(|level| level.key == key);
        if !(within("docker_env") && within("environment")) {
            return;
        }
        let before = self.levels.last().filter(|level| level.list && level.index > 0);
        let before = before.map_or("", |level| level.before.as_str()).to_ascii_lowercase();
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        self.hands |= text.chars().all(upper) && SECRETS.iter().any(|secret| text.contains(secret));
        let proxy = |name: &str| matches!(name, "http_proxy" | "https_proxy" | "all_proxy");
        let named = proxy(&before) || proxy(&near.to_ascii_lowercase());
        let host = text.split_once("://").map_or("", |(_, host)| host);
        let local = ["localhost", "127.", "host.docker.internal", "[::1]", "$"]
            .iter()
            .any(|own| host.starts_with(own));
        if named && !host.is_empty() && !local && self.proxies.len() < MAX_KEPT {
            let (path, text) =
                (self.path(), format!("{text}, a proxy that sees what is sent with the host's secrets"));
            self.proxies.push(Said { path, text: text.chars().take(200).collect(), offset: at });
        }
    }
}

/// Whether calling something of this effect is worth a finding in a file that should only hold values.
fn grave(effect: Effect) -> bool {
    matches!(
        effect,
        Effect::Executes
            | Effect::Imports
            | Effect::Decodes
            | Effect::Network
            | Effect::Writes
            | Effect::Patches
    )
}

/// Whether a value is an expression of Python that reaches the interpreter from within.
fn reaches_interpreter(text: &str) -> bool {
    const WAYS: [&str; 7] = [
        "__import__(",
        "__builtins__",
        "__globals__",
        "__subclasses__",
        "importlib.import_module(",
        "os.system(",
        "subprocess.",
    ];
    text.contains('(') && WAYS.iter().any(|way| text.contains(way))
}

/// The bytes of a text that lists their numbers.
fn decimal(text: &str) -> Option<Vec<u8>> {
    if text.len() < 16 || text.len() > MAX_NUMBERS || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let text = text.trim_end_matches([',', ' ']);
    let bytes: Option<Vec<u8>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    bytes.filter(|bytes| bytes.len() >= 8)
}

/// Whether an expression calls a function that is none of a calculation: those that sympy writes begin with a capital.
fn calls_python(text: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "ceiling", "floor", "sqrt", "exp", "log", "sin", "cos", "tan", "abs", "sign", "acos", "asin", "atan",
        "sinh",
    ];
    text.match_indices('(').any(|(at, _)| {
        let before = &text[..at];
        let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |end| end + 1);
        let name = before.get(start..).unwrap_or("");
        name.starts_with(|c: char| c.is_ascii_lowercase()) && !KNOWN.contains(&name)
    })
}

/// Whether an expression calls more than layers and arithmetic.
fn calls_stranger(text: &str) -> bool {
    const ROOTS: [&str; 14] = [
        "", "nn", "torch", "F", "math", "max", "min", "int", "float", "round", "abs", "len", "range", "tuple",
    ];
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    text.len() <= 4_000
        && (text.contains("__") && text.contains('(')
            || text.match_indices('(').take(64).any(|(at, _)| {
                let before = text.get(..at).unwrap_or("").trim_end();
                let name = before.rsplit(|c: char| !part(c)).next().unwrap_or("");
                let root = name.split('.').next().unwrap_or("");
                let layer = name.starts_with(|c: char| c.is_uppercase()) && !name.contains('.');
                let word = matches!(name, "if" | "else" | "and" | "or" | "not" | "in" | "is");
                !ROOTS.contains(&root) && !layer && !word
            }))
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::super::{Config, json, yaml};
    use crate::pickle::Effects;

    fn read(text: &str) -> Config {
        json(&MemorySource::new(text.as_bytes()), Effects::default())
    }

    #[test]
    fn functions_and_expressions_of_other_tools_are_told() {
        let items = |text: &str| read(text).items.len();
        assert_eq!(
            items(r#"{"a": {"py/reduce": [{"py/function": "posix.system"}, {"py/tuple": ["id"]}]}}"#),
            1
        );
        assert_eq!(
            items(r#"{"a": {"py/reduce": [{"py/type": "fractions.Fraction"}, {"py/tuple": [3]}]}}"#),
            0
        );
        assert_eq!(items(r#"{"root": {"type": {"module": "posix", "name": "system"}}}"#), 1);
        assert_eq!(items(r#"{"root": {"type": {"module": "nemo.collections.llm", "name": "Model"}}}"#), 0);
        assert_eq!(items(r#"{"expr_str": "__import__('os').system('id') or s0"}"#), 1);
        assert_eq!(items(r#"{"expr_str": "Symbol('s7') + 0*len([open('a','w').close()])"}"#), 1);
        assert_eq!(items(r#"{"expr_str": "Max(1, 2*s0 + 1)"}"#), 0);
        assert_eq!(items(r#"{"expr_str": "Mul(Integer(2), Symbol('s77', integer=True))"}"#), 0);
        let node =
            |value: &str| format!(r#"{{"1": {{"inputs": {{"value": "{value}"}}, "class_type": "Eval"}}}}"#);
        assert_eq!(items(&node("__import__('os').getcwd()")), 1);
        assert_eq!(items(&node("a (small) cat, __init__")), 0);
        assert_eq!(items(r#"{"inputs": {"value": "__import__('os').getcwd()"}}"#), 0);
    }

    #[test]
    fn pickles_in_numbers_are_kept() {
        assert_eq!(
            read(r#"{"w": ["128,2,99,111,115,10,115,121,115,116,101,109,10,46,", "x"]}"#).pickles.len(),
            1
        );
        assert_eq!(
            read(r#"{"w": ["1,2,3,4,5,6,7,8,9,10,11,12", "128,2,300,1,1,1,1,1,1"]}"#).pickles.len(),
            0
        );
    }

    #[test]
    fn parts_of_images_are_told_by_where_they_lie() {
        let paths = |text: &str| read(text).paths.len();
        let layer = |inner: &str| format!(r#"{{"schemaVersion": 2, "layers": [{{{inner}}}]}}"#);
        let title = |title: &str| {
            layer(&format!(r#""annotations": {{"org.opencontainers.image.title": "{title}"}}"#))
        };
        assert_eq!((paths(&title("../../x")), paths(&title("weights/model.gguf"))), (1, 0));
        assert_eq!(paths(&layer(r#""digest": "sha256:../../etc/x""#)), 1);
        assert_eq!(paths(&layer(r#""urls": ["https://x.example/l"]"#)), 1);
        assert_eq!(paths(&layer(r#""urls": ["https://mcr.microsoft.com/v2/l"]"#)), 0);
        let host = |folder: &str| read(&format!(r#"{{"config": {{"WorkingDir": "{folder}"}}}}"#)).host.len();
        assert_eq!((host("/proc/self/fd/8"), host("/srv")), (1, 0));
    }

    #[test]
    fn proxies_beside_secrets_and_triggers_of_strangers_are_told() {
        let sent = |list: &str| {
            yaml(&format!("docker_env:\n  environment: {list}\n"), Effects::default()).sent.len()
        };
        assert_eq!(sent(r#"[["HTTPS_PROXY", "http://192.0.2.1:8080"], ["HF_TOKEN"]]"#), 1);
        assert_eq!(sent(r#"[["HTTPS_PROXY", "http://192.0.2.1:8080"], ["OMP_NUM_THREADS", "4"]]"#), 0);
        assert_eq!(sent(r#"[["HF_TOKEN"]]"#), 0);
        let strangers = |text: &str| yaml(text, Effects::default()).for_strangers;
        assert!(strangers("on:\n  pull_request_target:\n    types: [opened]\n"));
        assert!(strangers("on: [push, issue_comment]\n") && strangers("on: issues\n"));
        assert!(!strangers("on: [push, pull_request]\njobs:\n  issues:\n    steps: []\n"));
    }
}
