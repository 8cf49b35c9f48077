//! Configuration files, JSON or YAML: what they make a loader import, call, fetch or render.
//!
//! Long because what the keys of every kind of configuration mean stands in one reader.

mod callee;
mod code;
mod flows;
mod joined;
mod named;
mod pieces;
mod reach;
mod settings;
#[cfg(test)]
mod tests;
mod values;
mod words;

use std::collections::HashMap;

use mantlet_vocab::Source;

pub use reach::secret_file;
pub use settings::{lines, toml};

use crate::jinja::{self, Template};
use crate::metadata::Text;
use crate::pickle::{Effect, Effects};
use crate::tree::{self, Event, Walked};

/// What a value does to the loader that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// `auto_map` and the like: code beside the file, imported when the user trusts it.
    LocalCode,
    /// The same, from another repository.
    ForeignCode,
    /// A callable that is called with what stands beside it (`_target_`).
    Calls,
    /// A module or class that is imported by its name.
    Imports,
    /// A YAML tag that builds a Python object.
    PythonTag,
    /// The file itself asks for foreign code to be trusted.
    Trusts,
}

/// A value that does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it does.
    pub act: Act,
    /// Keys from the root, dotted.
    pub path: String,
    /// The value.
    pub value: String,
    /// What the named callable does, where it is known.
    pub effect: Effect,
    /// The constant arguments beside it, as far as they are short.
    pub arguments: Vec<String>,
    /// Where, in bytes (characters in YAML).
    pub offset: u64,
}

/// A template in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Keys from the root, dotted.
    pub path: String,
    /// It stands where templates are expected.
    pub expected: bool,
    /// Its facts.
    pub template: Template,
}

/// A text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Keys from the root, dotted.
    pub path: String,
    /// The value, cut.
    pub text: String,
    /// Where, in bytes (characters in YAML).
    pub offset: u64,
}

/// The facts of a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Values that do something.
    pub items: Vec<Item>,
    /// Templates with something to say.
    pub templates: Vec<Rendered>,
    /// Names of other artifacts it builds on: key and value.
    pub origins: Vec<(String, String)>,
    /// Commands that pipe, redirect or compute what they run.
    pub commands: Vec<Said>,
    /// Files of the model that lie outside its folder.
    pub paths: Vec<Said>,
    /// Places and rights of the host that a container is given.
    pub host: Vec<Said>,
    /// Addresses that are put together with a secret of the environment.
    pub sent: Vec<Said>,
    /// Programs that an interpreter is given as an argument.
    pub programs: Vec<Said>,
    /// Programs of the nodes of a flow.
    pub nodes: Vec<Said>,
    /// Files of code that a loader takes from beside it.
    pub code: Vec<Said>,
    /// Regular expressions whose matching may take a time that doubles with each letter.
    pub patterns: Vec<Said>,
    /// Sizes that no machine has memory for.
    pub sizes: Vec<Said>,
    /// Pickles that are written as numbers: where they stand, and their bytes.
    pub pickles: Vec<(String, Vec<u8>)>,
    /// It is a workflow that runs for strangers with the rights of the repository.
    pub for_strangers: bool,
    /// Texts that hold a program in another form.
    pub hidden: Vec<Text>,
    /// The top-level keys, as far as there are few.
    pub keys: Vec<String>,
    /// How often aliases multiply what is written.
    pub expansion: u64,
    /// What is wrong; nothing after it was read.
    pub defect: Option<String>,
    /// What was not followed.
    pub limits: Vec<String>,
}

const MAX_ITEMS: usize = 256;
/// Texts that are kept for names that are put together from them.
const MAX_SCALARS: usize = 4_000;
const MAX_TEMPLATES: usize = 64;
/// Commands of one file, and bytes of one of them.
const MAX_COMMANDS: usize = 1_000;
const MAX_COMMAND: usize = 16_000;
/// Paths that lead outside; more of them say nothing new.
const MAX_SAID: usize = 64;
/// Parts of the name of one class.
const MAX_PARTS: usize = 12;
/// Nodes an alias may stand for before it counts as an attack.
const MAX_EXPANSION: u64 = 10_000_000;

/// The facts of JSON.
#[must_use]
pub fn json(source: &dyn Source, effects: Effects) -> Config {
    let mut reader = Reader { effects, ..Reader::default() };
    let walked = tree::json(source, &mut |event, at| reader.event(event, at));
    reader.finish(walked)
}

/// The facts of YAML.
#[must_use]
pub fn yaml(text: &str, effects: Effects) -> Config {
    let mut reader = Reader { effects, ..Reader::default() };
    let walked = tree::yaml(text, &mut |event, at| reader.event(event, at));
    reader.finish(walked)
}

#[derive(Default)]
struct Reader {
    config: Config,
    /// What callables do.
    effects: Effects,
    /// Open collections from the root.
    levels: Vec<Level>,
    /// The key the next value belongs to.
    key: String,
    /// It is the index of a pipeline of diffusers, wherever it says so.
    pipeline: bool,
    /// What is code if it is such an index: value, path, offset.
    parts: Vec<Part>,
    /// There were more of those.
    unkept: bool,
    /// It is a workflow of nodes (ComfyUI), and the expressions in what its nodes are given.
    nodes: bool,
    expressions: Vec<Part>,
    /// A container is given secrets of its host, and these are the proxies that see what it sends.
    hands: bool,
    proxies: Vec<Said>,
    /// Regular expressions that were looked at.
    patterns: u32,
    /// Texts that may be parts of one.
    pieces: pieces::Pieces,
    /// Short texts by their path, for names that are put together from them, and those names.
    scalars: HashMap<String, String>,
    targets: Vec<Part>,
    /// Texts that are filled in from others, when all of them are known.
    deferred: Vec<Part>,
}

/// A value that names code under a condition that may be read later: value, path, offset.
type Part = (String, String, u64);

#[derive(Default)]
struct Level {
    list: bool,
    key: String,
    index: u64,
    /// Index in `items` of a callable named in this mapping.
    target: Option<usize>,
    /// Short values of this mapping, for the target.
    values: Vec<String>,
    /// The mapping has an `idx`, and what its `type` is: an entry of a list of modules has both, in any order.
    numbered: bool,
    kind: Option<Part>,
    /// The texts of a list that names a class part by part.
    parts: Vec<String>,
    /// The text before, in a list.
    before: String,
    /// Its texts, with their keys.
    strings: Vec<(String, String)>,
    /// The short lists of texts in it, with their keys.
    lists: Vec<(String, Vec<String>)>,
    /// The words of a list that is a command.
    words: Vec<String>,
    /// The arguments that stand beside a command.
    given: String,
    /// The mapping says that its `id` is built.
    builds: bool,
    /// The module and the name of a function, where a mapping has both.
    named: [String; 2],
    /// What it lets somebody do.
    rights: flows::Rights,
    /// It is a data set that is a pickle, and one that lies at an address of the web.
    pickle: bool,
    address: bool,
}

impl Level {
    /// Whether the mapping says of itself that it is this.
    fn kind_is(&self, what: &str) -> bool {
        self.values
            .iter()
            .any(|value| value.strip_prefix("type=").is_some_and(|kind| kind.trim_matches('"') == what))
    }
}

impl Reader {
    fn finish(mut self, walked: Walked) -> Config {
        if self.pipeline {
            if self.unkept {
                self.config.limits.push("it names more parts of a pipeline than are listed".to_owned());
            }
            for (value, path, at) in std::mem::take(&mut self.parts) {
                self.item_at(Act::LocalCode, &value, Effect::Imports, at, path);
            }
        }
        if self.nodes {
            for (value, path, at) in std::mem::take(&mut self.expressions) {
                self.item_at(Act::Calls, "eval", Effect::Executes, at, path);
                if let Some(item) = self.config.items.last_mut() {
                    item.arguments.push(format!("{value:?}"));
                }
            }
        }
        if self.hands {
            self.config.sent.append(&mut self.proxies);
        }
        self.all_pieces();
        self.deferred();
        self.builds();
        for (value, path, at) in std::mem::take(&mut self.targets) {
            let name = self.filled(&value);
            if callee::is_dotted(&name) {
                let effect = callee::effect(self.effects, &name);
                self.item_at(Act::Calls, &name, effect, at, path);
            }
        }
        self.config.defect = walked.defect;
        self.config.limits.extend(walked.limits);
        if walked.expanded > MAX_EXPANSION {
            self.config.expansion = walked.expanded;
        }
        self.config
    }

    fn event(&mut self, event: Event<'_>, at: u64) {
        match event {
            Event::Key(key) => {
                self.key.clear();
                self.key.extend(key.chars().take(120));
                self.nodes |= matches!(key, "class_type" | "widgets_values");
                self.piece("", key);
                self.stranger(key);
                if self.levels.last().is_some_and(|level| level.key == "vocab") {
                    self.token(key, at);
                }
                if self.levels.len() == 1 {
                    self.pipeline |= self.key == "_diffusers_version";
                    if self.config.keys.len() < 64 {
                        self.config.keys.push(self.key.clone());
                    }
                }
                if jinja::has_tags(key) {
                    self.template(key, false);
                }
            }
            Event::Open { list, tag } => {
                let before = self.config.items.len();
                if let Some(tag) = tag {
                    self.tag(tag, at);
                }
                let target = (self.config.items.len() > before).then_some(before);
                let key = std::mem::take(&mut self.key);
                self.levels.push(Level { list, key, target, ..Level::default() });
            }
            Event::Close => {
                let effects = self.effects;
                self.joined(at);
                let Some(level) = self.levels.pop() else { return };
                self.function(&level, at);
                self.rights(&level.rights, at);
                self.variable(&level, at);
                if level.words.len() > 1 {
                    let line = level.words.join(" ");
                    self.command_line(&level.key, &line, at);
                }
                if let (Some(outer), false) = (self.levels.last_mut(), level.words.is_empty()) {
                    outer.given = level.words.join(" ");
                }
                self.together(&level, at);
                if let Some(item) = level.target.and_then(|index| self.config.items.get_mut(index)) {
                    item.arguments.extend(level.values);
                    callee::resolve(effects, item);
                }
                if !level.parts.is_empty() && self.levels.last().is_some_and(|outer| outer.builds) {
                    let name = level.parts.join(".");
                    let (act, effect) = callee::constructed(effects, &name);
                    if let Some(act) = act {
                        self.key.push_str("id");
                        self.item(act, &name, effect, at);
                    }
                }
                if let Some((value, path, at)) = level.kind.filter(|_| level.numbered) {
                    let effect = callee::effect(self.effects, &value);
                    let act = if effect == Effect::Unknown { Act::LocalCode } else { Act::Calls };
                    self.item_at(act, &value, effect, at, path);
                }
                self.advance();
            }
            Event::Scalar { text, string, tag } => {
                if let Some(tag) = tag {
                    self.tag(tag, at);
                }
                self.scalar(text, string, at);
                self.advance();
            }
        }
    }

    fn advance(&mut self) {
        if let Some(level) = self.levels.last_mut().filter(|level| level.list) {
            level.index += 1;
        }
    }

    /// The innermost key: that of a list counts for its elements.
    fn near(&self) -> &str {
        match self.levels.last() {
            Some(level) if level.list => &level.key,
            _ => &self.key,
        }
    }

    fn below(&self, key: &str) -> bool {
        self.near() == key || self.levels.iter().any(|level| level.key == key)
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for level in self.levels.iter().take(32) {
            if !level.key.is_empty() {
                path.push_str(&level.key);
                path.push('.');
            }
        }
        match self.levels.last() {
            Some(level) if level.list => path.push_str(&level.index.to_string()),
            _ => path.push_str(&self.key),
        }
        path
    }

    fn item(&mut self, act: Act, value: &str, effect: Effect, at: u64) {
        let path = self.path();
        self.item_at(act, value, effect, at, path);
    }

    fn item_at(&mut self, act: Act, value: &str, effect: Effect, at: u64, path: String) {
        if self.config.items.len() >= MAX_ITEMS {
            let limit = "it names more callables than are listed".to_owned();
            if !self.config.limits.contains(&limit) {
                self.config.limits.push(limit);
            }
            return;
        }
        let value = value.chars().take(200).collect();
        self.config.items.push(Item { act, path, value, effect, arguments: Vec::new(), offset: at });
    }

    fn tag(&mut self, tag: &str, at: u64) {
        let other =
            ["js/function", "ruby/object", "ruby/hash", "ruby/struct", "javax.", "java.", "com.sun.", "org."];
        let java = tag.trim_start_matches(['!', '<']).strip_prefix("tag:yaml.org,2002:").unwrap_or("");
        if ["javax.", "java.", "com.sun.", "org."].iter().any(|word| java.starts_with(word))
            || other.iter().any(|word| tag.trim_start_matches(['!', '<']).contains(word))
                && tag.starts_with('!')
            || tag.contains(":js/function")
            || tag.contains(":ruby/object")
        {
            let shown: String = tag.chars().filter(|c| !c.is_control()).take(100).collect();
            self.item(Act::PythonTag, &shown, Effect::Executes, at);
            return;
        }
        let Some((_, python)) = tag.rsplit_once("python/") else { return self.short_tag(tag, at) };
        let (kind, name) = python.split_once(':').unwrap_or((python, ""));
        // Plain values that PyYAML spells with a tag.
        if name.is_empty() && !kind.starts_with("object") && kind != "name" && kind != "module" {
            return;
        }
        let effect = match kind {
            "module" => Effect::Imports,
            _ => callee::effect(self.effects, name),
        };
        self.item(Act::PythonTag, python, effect, at);
    }

    /// `!new:package.Class`, `!apply:package.function` and the like, which HyperPyYAML and its kind import and call.
    fn short_tag(&mut self, tag: &str, at: u64) {
        let Some((word, name)) = tag.trim_start_matches(['!', '<']).split_once(':') else { return };
        let name = name.trim_end_matches('>');
        let plain =
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !plain || !callee::is_dotted_or_plain(name) || name.starts_with("yaml.org") {
            return;
        }
        let effect = callee::effect(self.effects, name);
        let power = crate::python::names_power(name).is_some();
        let effect = if power && effect != Effect::Executes { Effect::Executes } else { effect };
        let word = word.to_ascii_lowercase();
        if word == "module" && effect == Effect::Unknown {
            if !callee::is_known_library(name) {
                self.item(Act::Imports, name, Effect::Imports, at);
            }
            return;
        }
        // An import that is not called yet is called by whoever asked for it.
        self.item(Act::Calls, name, effect, at);
    }

    fn template(&mut self, text: &str, expected: bool) {
        let template = jinja::analyse(text);
        let says = !template.accesses.is_empty()
            || !template.computed.is_empty()
            || !template.triggers.is_empty()
            || !template.injections.is_empty()
            || !template.leaks.is_empty()
            || !template.rewrites.is_empty()
            || !template.exhausts.is_empty()
            || !template.limits.is_empty()
            || expected && !(template.broken.is_empty() && template.loads.is_empty());
        if !says {
            return;
        }
        if self.config.templates.len() >= MAX_TEMPLATES {
            let limit = "it has more odd templates than are listed".to_owned();
            if !self.config.limits.contains(&limit) {
                self.config.limits.push(limit);
            }
            return;
        }
        let path = self.path();
        self.config.templates.push(Rendered { path, expected, template });
    }

    fn scalar(&mut self, text: &str, string: bool, at: u64) {
        if jinja::has_tags(text) {
            let expected = self.near().ends_with("template") || self.below("chat_template");
            self.template(text, expected);
        }
        if text.len() <= 120
            && let Some(level) = self.levels.last_mut()
            && level.values.len() < 4
            && !matches!(self.key.as_str(), "_target_")
        {
            let shown = if string { format!("{text:?}") } else { text.to_owned() };
            level.values.push(if level.list { shown } else { format!("{}={shown}", self.key) });
        }
        let near = self.near().to_owned();
        let before = self.levels.last().filter(|level| level.list).map(|level| level.before.clone());
        if text.len() <= 100 && self.scalars.len() < MAX_SCALARS {
            let path = self.path();
            self.scalars.insert(path, text.to_owned());
        }
        if string {
            self.piece(&near, text);
        }
        // YAML writes most of its texts without quotes.
        if string || !(text.parse::<f64>().is_ok() || matches!(text, "" | "~" | "null" | "true" | "false")) {
            self.string(text);
            self.defer(text, at);
            self.code(&near, text, at);
        }
        if let Some(level) = self.levels.last_mut() {
            level.builds |= !level.list && self.key == "type" && text == "constructor";
            if level.list && level.key == "id" && string && level.parts.len() < MAX_PARTS {
                level.parts.push(text.chars().take(80).collect());
            }
        }
        if let Some(level) = self.levels.last_mut().filter(|level| {
            const LISTS: [&str; 12] = [
                "cmd",
                "command",
                "args",
                "argv",
                "entrypoint",
                "exec",
                "test",
                "onbuild",
                "arguments",
                "params",
                "flags",
                "options",
            ];
            level.list && level.words.len() < 32 && LISTS.contains(&level.key.to_ascii_lowercase().as_str())
        }) {
            level.words.push(text.chars().take(400).collect());
        }
        self.remote_pickle(text, at);
        self.command(text, at);
        self.names(&near, text, at);
        self.reaches(&near, text, string, at);
        self.flow(&near, text, string, at);
        self.image(&near, text, at);
        self.outside(&near, text, at);
        match near.as_str() {
            "_target_" if text.contains("${") && self.targets.len() < MAX_ITEMS => {
                let path = self.path();
                self.targets.push((text.chars().take(200).collect(), path, at));
            }
            "_target_" | "_class_path_" | "class_path" | "_factory_" | "_component_" | "__target__"
                if callee::is_dotted(text) =>
            {
                // `class_path` is also an ordinary word; only dotted names import something.
                self.item(Act::Calls, text, callee::effect(self.effects, text), at);
                let index = self.config.items.len().checked_sub(1);
                if let Some(level) = self.levels.last_mut().filter(|level| !level.list) {
                    level.target = index;
                }
            }
            "trust_remote_code" if text.eq_ignore_ascii_case("true") => {
                self.item(Act::Trusts, "trust_remote_code", Effect::Unknown, at);
            }
            "index_url" | "extra_index_url" | "find_links" | "index-url" | "extra-index-url"
                if text.starts_with("http://") && self.config.commands.len() < MAX_COMMANDS =>
            {
                let line = format!("pip install --index-url {}", text.chars().take(200).collect::<String>());
                let path = self.path();
                self.config.commands.push(Said { path, text: line, offset: at });
            }
            "custom_auth" | "custom_sso" | "custom_key_generate" | "middleware"
                if callee::is_dotted(text) && !callee::is_known_library(text) =>
            {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "backbone" | "head" | "target" | "cls" | "callable" | "factory" | "func"
                if callee::is_dotted(text) && !callee::is_known_library(text) =>
            {
                let effect = callee::effect(self.effects, text);
                if matches!(effect, Effect::Executes) {
                    self.item(Act::Calls, text, effect, at);
                }
            }
            // Libraries that draw, and Keras, import what their settings say they draw and compute with.
            "backend"
                if text.strip_prefix("module://").is_some_and(|name| !name.starts_with("matplotlib")) =>
            {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "backend"
                if self.levels.len() == 1
                    && self.config.keys.iter().any(|key| matches!(key.as_str(), "floatx" | "epsilon"))
                    && callee::is_dotted_or_plain(text)
                    && !matches!(
                        text,
                        "tensorflow" | "torch" | "jax" | "theano" | "cntk" | "numpy" | "openvino" | "plaidml"
                    ) =>
            {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "user_dir" if text.contains("://") => {
                self.item(Act::ForeignCode, text, Effect::Imports, at);
            }
            "allowed_tools"
                if self.config.keys.iter().any(|key| key == "_type")
                    && matches!(text, "terminal" | "python_repl" | "bash" | "shell") =>
            {
                self.item(Act::Calls, "os.system", Effect::Executes, at);
            }
            "parent_library" | "loader_module" | "custom_pipeline" | "handler_module"
                if !callee::is_known_library(text) && !text.is_empty() && text != "null" =>
            {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "megatron_core" if text != "megatron.core" && !text.is_empty() && text != "null" => {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            // Servers import these from wherever they are told, and sentence-transformers what its words are split by.
            "tool-parser-plugin"
            | "tool_parser_plugin"
            | "reasoning-parser-plugin"
            | "reasoning_parser_plugin"
                if text.ends_with(".py") =>
            {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "tokenizer_class"
                if callee::is_dotted(text)
                    && !callee::is_known_library(text)
                    && !text.starts_with("sentence_transformers.") =>
            {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            // Compilers of models write it into the program that they run.
            "model_type" if text.contains(['\n', ';', '(', '"', '\'']) => {
                self.item(Act::Calls, "exec", Effect::Executes, at);
                if let Some(item) = self.config.items.last_mut() {
                    item.arguments.push(format!("{:?}", text.chars().take(120).collect::<String>()));
                }
            }
            "activation_function" if callee::is_dotted(text) && !callee::is_known_library(text) => {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "type" if callee::is_dotted(text) && text.contains("__import__") => {
                self.item(Act::Imports, text, Effect::Imports, at);
            }
            "base_model" | "base_model_name_or_path" | "_name_or_path" | "license" | "datasets"
                if !text.is_empty() && text != "null" && self.config.origins.len() < 32 =>
            {
                self.config.origins.push((near.clone(), text.chars().take(200).collect()));
            }
            _ => {}
        }
        if self.below("auto_map") || self.below("custom_pipelines") {
            self.remote(text, at);
        }
        if string && self.levels.iter().rev().take(2).any(|level| level.list && level.key == "vocab") {
            self.token(text, at);
        }
        self.pipeline_part(text, at);
        self.anywhere(&near, text, before.as_deref(), at);
    }

    /// An entry of a data catalogue (Kedro) whose type is a pickle and whose place is an address.
    fn remote_pickle(&mut self, text: &str, at: u64) {
        let Some(level) = self.levels.last_mut().filter(|level| !level.list) else { return };
        match self.key.as_str() {
            "type" => {
                level.pickle = matches!(text.rsplit('.').next(), Some("PickleDataset" | "PickleDataSet"))
            }
            "filepath" => {
                level.address = ["http://", "https://", "ftp://"].iter().any(|s| text.starts_with(s))
            }
            _ => return,
        }
        if level.pickle && level.address {
            self.item(Act::Calls, "pickle.load", Effect::Decodes, at);
        }
    }

    /// A command that does more than start a program.
    fn command(&mut self, text: &str, at: u64) {
        const KEYS: [&str; 26] = [
            "cmd",
            "command",
            "commands",
            "run",
            "args",
            "script",
            "scripts",
            "entrypoint",
            "entry_point",
            "hook",
            "hooks",
            "exec",
            "shell",
            "setup",
            "setup_script",
            "build",
            "install",
            "postinstall",
            "pre_install",
            "preinstall",
            "prepare",
            "prepublish",
            "argv",
            "onstart",
            "healthcheck",
            "onbuild",
        ];
        let plain = !text.contains(['|', '$', '`', '>', '<'])
            && !["nc ", "&&", "http", "exec(", "eval("].iter().any(|word| text.contains(word));
        if plain || text.len() < 8 {
            return;
        }
        let named = |key: &str| {
            let key = key.to_ascii_lowercase();
            KEYS.contains(&key.as_str()) || key.ends_with("command") || key.ends_with("script")
        };
        let starts = [
            "curl ",
            "wget ",
            "sh -c",
            "bash -c",
            "/bin/sh ",
            "/bin/bash ",
            "powershell",
            "python -c",
            "python3 -c",
            "bash -i",
            "nc ",
        ];
        // What is nothing but a command is one under any key that is not for words.
        let words = [
            "content",
            "text",
            "output",
            "response",
            "completion",
            "prompt",
            "input",
            "instruction",
            "description",
            "answer",
            "question",
            "code",
            "value",
            "message",
            "query",
            "chosen",
            "rejected",
            "title",
        ];
        let alone = text.len() < 2_000
            && starts.iter().any(|start| text.starts_with(start))
            && !words.iter().any(|word| self.near().contains(word));
        if alone || named(self.near()) || self.levels.iter().rev().take(3).any(|level| named(&level.key)) {
            if self.config.commands.len() >= MAX_COMMANDS || text.len() > MAX_COMMAND {
                let limit = "it holds more or longer commands than are examined".to_owned();
                if !self.config.limits.contains(&limit) {
                    self.config.limits.push(limit);
                }
            }
            if self.config.commands.len() < MAX_COMMANDS {
                let (path, text) = (self.path(), text.chars().take(MAX_COMMAND).collect());
                self.config.commands.push(Said { path, text, offset: at });
            }
        }
    }

    /// A text with its interpolations filled in from the other values of the file; what is not known stays.
    fn filled(&self, text: &str) -> String {
        let mut whole = text.to_owned();
        for _ in 0..8 {
            let Some(start) = whole.rfind("${") else { break };
            let Some(len) = whole.get(start..).and_then(|rest| rest.find('}')) else { break };
            let Some(value) = whole.get(start + 2..start + len).and_then(|name| {
                // A resolver for plain texts gives back what it is given.
                self.scalars.get(name.trim_start_matches('.'))
            }) else {
                break;
            };
            let value = value.clone();
            whole.replace_range(start..=start + len, &value);
        }
        whole
    }

    /// A command whose words are the items of a list.
    fn command_line(&mut self, key: &str, line: &str, at: u64) {
        let shell = ["nc ", "ncat ", "/dev/tcp", "| sh", "|sh", "| bash", "|bash", "curl ", "wget "];
        if self.config.commands.len() < MAX_COMMANDS && shell.iter().any(|word| line.contains(word)) {
            let path = format!("{}.{key}", self.path());
            self.config.commands.push(Said { path, text: line.to_owned(), offset: at });
        }
    }

    /// A file that the loader opens and that is not below the configuration.
    fn outside(&mut self, near: &str, text: &str, at: u64) {
        let top = |key: &str| self.config.keys.iter().any(|known| known == key);
        let below = |key: &str| self.levels.iter().any(|level| level.key == key);
        let shard = below("weight_map") || below("weightsManifest") && near == "paths";
        let mlflow = top("flavors")
            && matches!(
                near,
                "model_path"
                    | "pickled_model"
                    | "serialized_model"
                    | "model_data"
                    | "data"
                    | "code"
                    | "model_code_path"
                    | "python_model"
                    | "artifact_path"
            );
        let kit = top("manifestVersion") && near == "path";
        let runtime = below("runtime_env") && matches!(near, "working_dir" | "py_modules");
        let prompt =
            top("_type") && matches!(near, "template_path" | "prefix_path" | "suffix_path" | "example_path");
        let climbs = matches!(near, "artifact_path" | "artifact_uri" | "model_uri")
            && text.split(['/', '\\']).any(|part| part == "..")
            || near == "path" && below("source") && text.split('/').filter(|part| *part == "..").count() > 2
            || near == "context" && below("build") && text.starts_with("http://")
            || near == "searchpath" && (text.starts_with("file:///") || text.starts_with("http"));
        if !(shard || mlflow || kit || runtime || prompt || climbs) || self.config.paths.len() >= MAX_SAID {
            return;
        }
        let away = text.starts_with(['/', '\\', '~'])
            || text.split(['/', '\\']).any(|part| part == "..")
            || text.contains("://");
        if away {
            let (path, text) = (self.path(), text.chars().filter(|c| !c.is_control()).take(200).collect());
            self.config.paths.push(Said { path, text, offset: at });
        }
    }

    /// `repo--module.Class` comes from another repository, `module.Class` from this one.
    fn remote(&mut self, text: &str, at: u64) {
        let (repository, class) = match text.rsplit_once("--") {
            Some((repository, class)) => (Some(repository), class),
            None => (None, text),
        };
        if !class.contains('.') {
            return;
        }
        let act = if repository.is_some() { Act::ForeignCode } else { Act::LocalCode };
        self.item(act, text, Effect::Imports, at);
    }

    /// `"unet": ["my_module", "MyClass"]` in a pipeline's index, `"type": "my_module.MyClass"` in a list of modules.
    fn pipeline_part(&mut self, text: &str, at: u64) {
        let in_pair = self.levels.len() == 2 && self.levels.last().is_some_and(|level| level.list);
        if in_pair && self.levels.last().is_some_and(|level| level.index == 0) {
            let known = text == "null" || callee::is_known_library(text);
            if !known && callee::is_dotted_or_plain(text) {
                if self.parts.len() < MAX_ITEMS {
                    let path = self.path();
                    self.parts.push((text.to_owned(), path, at));
                } else {
                    self.unkept = true;
                }
            }
        }
        // sentence-transformers' modules.json: a list of mappings with `idx`, `name`, `path`, `type`.
        if self.levels.len() == 2 && self.levels.first().is_some_and(|level| level.list) {
            let named = self.key == "type" && callee::is_dotted(text) && !callee::is_known_library(text);
            let path = if named { self.path() } else { String::new() };
            let numbered = self.key == "idx";
            if let Some(level) = self.levels.last_mut().filter(|level| !level.list) {
                level.numbered |= numbered;
                if named {
                    level.kind = Some((text.to_owned(), path, at));
                }
            }
        }
    }
}
