//! Text files: configurations, templates and code, each told by content first and by name second.
//!
//! Long because every kind of text has its few lines here.

use mantlet_formats::config::Act;
use mantlet_formats::python::Role;
use mantlet_formats::route::Format;
use mantlet_formats::structure::{Named, Power, Structure};
use mantlet_formats::{
    Facts, advice, card, config, deployment, fetching, go_template, inline, jinja, models, opened, page,
    protoform, python, requirements, secrets, torch, xml,
};
use mantlet_vocab::{MemorySource, Place, Source, read_window};

use crate::companion;
use crate::engine::Engine;

const REVIEW: &str = "review it like any code you run";
const READ_IT: &str = "read that part yourself, or keep it out of the scan";

impl Engine {
    /// A model in a form for people, judged as the binary one.
    fn turned(&mut self, turned: &protoform::Turned, place: &Place, depth: u8) {
        let inner = MemorySource::new(&turned.bytes);
        self.examine(&inner, turned.name, &place.member("in binary form"), depth.saturating_add(1));
    }

    /// Credentials by the names they stand under.
    fn named_secrets(&mut self, text: &str, place: &Place) {
        let named = secrets::named(text);
        if !named.is_empty() {
            self.judge(&Facts::Secrets(named), place);
        }
    }

    /// A model card that is one by its name.
    fn card(&mut self, file: &str, text: &str, place: &Place) {
        if let Some(card) = card::named(file, text) {
            self.said.card(&card);
            self.judge(&Facts::Card(card), place);
        }
    }

    /// Commands that a build or an installation runs.
    fn installs(&mut self, file: &str, text: &str, place: &Place) {
        let shell = deployment::installs(file, text);
        if !shell.is_empty() {
            let script = python::Script { shell, role: Role::Install, ..python::Script::default() };
            self.judge(&Facts::Script(Box::new(script)), place);
        }
    }

    /// A program of `torch.export`.
    fn exported(&mut self, source: &dyn Source, place: &Place) {
        match torch::exported(source) {
            Some(Ok(program)) => {
                for graph in torch::graphs(&program.code) {
                    self.follow(&graph, place);
                }
                let mut facts = Structure::of("torch.export");
                for name in program.foreign {
                    let power = if name.starts_with("torch.ops.") { Power::Native } else { Power::Python };
                    facts.code.push((power, Named { name, role: "function", at: 0 }));
                }
                if !facts.code.is_empty() {
                    self.judge(&Facts::Structure(Box::new(facts)), place);
                }
            }
            Some(Err(why)) => self.gap(place, why, "export it in parts, or review its graph"),
            None => {}
        }
    }

    pub(crate) fn text(&mut self, format: Format, source: &dyn Source, name: &str, place: &Place, depth: u8) {
        let lower = name.to_ascii_lowercase();
        let file = lower.rsplit(['/', '\\', '!']).next().unwrap_or("").to_owned();
        self.keras(source, place);
        if format == Format::Json
            && let Some(turned) = protoform::from_json(source)
        {
            self.turned(&turned, place, depth);
        }
        if format == Format::Json {
            self.exported(source, place);
        }
        if let Some(facts) = models::text(source, name) {
            let whole = facts.whole_text;
            self.structure(facts, source, place, depth);
            if whole {
                return;
            }
        }
        let json = (format == Format::Json).then(|| config::json(source, self.bounds.effects));
        // What begins with a bracket and is not called JSON may be of another kind: sections of TOML, units, logs.
        let named = file.contains(".json") || file.ends_with(".ipynb");
        let (json, other) = match json {
            Some(facts) if facts.defect.is_some() && !named => (None, Some(facts)),
            facts => (facts, None),
        };
        if let Some(facts) = other {
            self.config(facts, false, place);
        }
        if let Some(mut facts) = json {
            let bytes = read_window(source, 0, self.bounds.max_header).unwrap_or_default();
            self.named_secrets(&String::from_utf8_lossy(&bytes), place);
            let notebook = file.ends_with(".ipynb") || facts.keys.iter().any(|key| key == "nbformat");
            if notebook {
                // Cells are judged as one program, and not line by line.
                let cell = |path: &str| path.starts_with("cells.") || path.starts_with("worksheets.");
                facts.nodes.retain(|said| !cell(&said.path));
                facts.commands.retain(|said| !cell(&said.path));
            }
            self.config(facts, true, place);
            self.card(&file, &String::from_utf8_lossy(&bytes), place);
            self.installs(&file, &String::from_utf8_lossy(&bytes), place);
            self.said.json(source);
            if notebook {
                self.notebook(source, place);
            } else if file.ends_with(".zpln") {
                self.paragraphs(source, place);
            }
            return;
        }
        if source.len() > self.bounds.max_header as u64 {
            // Long text is data, unless something in it could be rendered or run.
            let why = format!("only the first {} bytes of this text are examined", self.bounds.max_header);
            self.gap(place, why, READ_IT);
        }
        let bytes = read_window(source, 0, self.bounds.max_header).unwrap_or_default();
        let text = decoded(&bytes);
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            self.wide_text(source, place);
        }
        self.named_secrets(&text, place);
        let acts = opened::analyse(&lower, &text);
        if !acts.is_empty() {
            self.judge(&Facts::Opened(acts), place);
        }
        let sources = requirements::sources(&file, &text);
        if !sources.is_empty() {
            let facts = requirements::analyse(&sources, requirements::Kind::Pip);
            self.judge(&Facts::Requirements(facts), place);
        }
        if file == "checkpoint" && text.contains("checkpoint_path") {
            let paths = elsewhere(&text);
            let facts = config::Config { paths, ..config::Config::default() };
            self.judge(&Facts::Config(Box::new(facts)), place);
        }
        if page::has_chunks(&file) {
            self.chunks(&text, place);
        }
        if file.ends_with(".pth") {
            self.startup(&text, place);
        } else if file.ends_with(".py")
            && (file == "ipython_config.py" || file.starts_with("jupyter_") && file.ends_with("_config.py"))
        {
            // The settings are a program, and lines in them are run by every kernel.
            self.python(&format!("{text}\n{}", settings_lines(&text)), Role::Startup, place);
            return;
        } else if python::is_source(&file) || format == Format::Script && python_line(&text) {
            let role = self.role(name, &text, depth);
            if file == ".pdbrc" {
                self.python(&inline::debugger(&text), role, place);
                return;
            }
            match self.asked.take() {
                // Another program imports the module and calls this: it is as if the module did.
                Some(call) => self.python(&format!("{text}\n\n{call}\n"), Role::Module, place),
                None => self.python(&text, role, place),
            }
            if let Some(block) = inline::needs(&text) {
                self.config(config::toml(&block, self.bounds.effects), false, &place.part("script"));
            }
            if !file.ends_with(".py") && !file.ends_with(".pyw") {
                // Beside Python they have rules or declarations of their own, with commands in them.
                self.commands(&text, place);
            }
            if file.ends_with(".pyx") && text.contains("cdef extern") {
                self.gap(place, "what it declares of C is not followed".into(), REVIEW);
            }
            return;
        } else if commands(&file, &text) || runs_by_itself(&lower) {
            self.commands(&text, place);
        } else if other_language(&file) {
            // What a program in another language hands to a shell stands in one of its lines.
            self.commands(&text, place);
            self.foreign(&text, place);
            self.gap(place, "code of this language is judged in part only".into(), REVIEW);
        } else if format == Format::Script || page::is_foreign_code(&file) {
            self.commands(&text, place);
            self.gap(place, "code of this language is not judged".into(), REVIEW);
        } else if !is_prose(&file) {
            // Whatever tool reads it: a line that only an attack needs is one everywhere but in words for people.
            self.commands(&text, place);
            if python::begins(&text) {
                let role = self.role(name, &text, depth);
                self.python(&text, role, place);
            }
        }
        let page = [".svg", ".html", ".htm", ".xhtml", ".md"].iter().any(|end| file.ends_with(end));
        if let Some(what) = page.then(|| page::sends(&text)).flatten() {
            let script = python::Script { pages: vec![what.to_owned()], ..python::Script::default() };
            self.judge(&Facts::Script(Box::new(script)), place);
        }
        if xml::is_xml(&text) {
            let facts = xml::analyse(&text);
            if let Some(defect) = &facts.defect {
                self.gap(place, defect.clone(), READ_IT);
            }
            if facts.unfollowed {
                self.gap(place, "its entities are more than are counted".into(), READ_IT);
            }
            self.judge(&Facts::Xml(facts), place);
        }
        if file.starts_with("readme") || file.starts_with("model_card") || file.starts_with("modelcard") {
            let (advice, whole) = advice::analyse(&text);
            if !whole {
                self.gap(place, "it tells to trust code in more places than are told".into(), READ_IT);
            }
            if !advice.is_empty() {
                self.judge(&Facts::Advice(advice), place);
            }
        }
        if card::is_readme(&file)
            && let Some(card) = card::analyse(&text)
        {
            self.said.card(&card);
            self.judge(&Facts::Card(card), place);
        }
        self.card(&file, &text, place);
        self.installs(&file, &text, place);
        if file == "pipfile" {
            let facts = requirements::analyse(&requirements::pipfile(&text), requirements::Kind::Pip);
            self.judge(&Facts::Requirements(facts), place);
        }
        if matches!(file.as_str(), "pip.conf" | "pip.ini") {
            let facts = requirements::analyse(&requirements::settings(&text), requirements::Kind::Pip);
            self.judge(&Facts::Requirements(facts), place);
        }
        if let Some(kind) = requirements::recognise(&file, &text) {
            let facts = requirements::analyse(&text, kind);
            self.limits(place, &facts.limits);
            self.judge(&Facts::Requirements(facts), place);
        }
        if matches!(file.as_str(), "metadata" | "pkg-info") {
            self.said.package(&text);
        }
        if ["license", "licence", "copying"].iter().any(|start| file.starts_with(start)) {
            self.said.license_text(&text);
        }
        if let Some(turned) = protoform::from_text(&text) {
            self.turned(&turned, place, depth);
        } else if text.trim_start().starts_with('<') && text.contains("ir_version") && text.contains("=>") {
            self.gap(place, "ONNX in its language for people is not followed".into(), READ_IT);
        } else if file.ends_with(".pbtxt") && text.contains("node") && text.contains("op:") {
            let why = "it is no graph in protobuf's text form, or a broken one".into();
            self.gap(place, why, READ_IT);
        }
        if file == "modelfile" || file.ends_with(".modelfile") {
            self.template(go_template::analyse(&text), false, place);
        }
        if let Some(facts) = deployment::analyse(&file, &text) {
            self.structure(facts, source, place, depth);
        }
        let yaml_name = file.ends_with(".yaml")
            || file.ends_with(".yml")
            || file.ends_with("mlmodel")
            || file.ends_with(".dvc")
            || matches!(file.as_str(), "mlproject" | "kitfile" | "dvc.lock");
        let tags = ["!!python/", "_target_:", ": !new:", ": !apply:", ": !name:", "- !apply:", "- !new:"];
        let yaml = yaml_name || tags.iter().any(|tag| text.contains(tag));
        if yaml {
            self.said.yaml(&text);
            self.config(config::yaml(&text, self.bounds.effects), yaml_name, place);
        }
        // Whatever it is called: what is written as one value is read as one, but for rows of data.
        let value = text.trim_start().starts_with('{') && !is_prose(&file);
        if value && !yaml && !xml::is_xml(&text) && !jinja_name(&file) {
            self.config(config::json(source, self.bounds.effects), false, place);
        }
        if !yaml && page::is_toml(&file) {
            self.config(config::toml(&text, self.bounds.effects), false, place);
        } else if !yaml && page::is_settings(&lower, &file) && !python::begins(&text) {
            self.config(config::lines(&text, self.bounds.effects), false, place);
        }
        if opened::instructs(&file) {
            self.commands(&text.replace('`', "\n"), place);
        } else if file.starts_with("readme") || file.starts_with("model_card") {
            self.told(&page::fenced(&text), place);
        }
        if jinja::has_tags(&text) && !yaml {
            let template = jinja::analyse(&text);
            let expected = [".jinja", ".jinja2", ".j2"].iter().any(|end| file.ends_with(end));
            self.template(template, expected, place);
        }
    }

    /// What a Python source is for: a module when it is named like one, or when what lies beside it imports it.
    fn role(&mut self, name: &str, text: &str, depth: u8) -> Role {
        let role = python::role_of(name, text);
        if role != Role::Script {
            return role;
        }
        let file = name.rsplit(['/', '\\', '!']).next().unwrap_or("");
        let asked = depth == 0 && python::is_source(&file.to_ascii_lowercase());
        self.neighbours |= asked;
        if self.served || asked && companion::imported(name) { Role::Module } else { role }
    }

    pub(crate) fn config(&mut self, mut facts: config::Config, expected: bool, place: &Place) {
        self.limits(place, &facts.limits);
        if place.to_string() == self.name {
            for item in facts.items.iter_mut().filter(|item| item.act == Act::Imports) {
                self.neighbours = true;
                // An adapter's own library is imported without a question.
                if !item.path.ends_with("parent_library") && companion::carries(&self.name, &item.value) {
                    item.act = Act::LocalCode;
                }
            }
            self.absent(&facts, None, place);
        } else if let Some((_, member)) =
            place.to_string().rsplit_once('!').filter(|_| !self.inside.is_empty())
        {
            let member = member.split(" @ ").next().unwrap_or(member).to_owned();
            if self.inside.contains(&member) {
                self.absent(&facts, Some(&member), place);
            }
        }
        if let Some(defect) = facts.defect.as_ref().filter(|_| expected) {
            self.gap(place, format!("it cannot be read as its name says: {defect}"), READ_IT);
        }
        for program in &facts.programs {
            let inside = place.part(program.path.clone());
            // What a trainer runs when it first reads the description of a data set.
            let role = if program.path.ends_with("download") { Role::Install } else { Role::Script };
            self.python(&program.text, role, &inside);
        }
        for program in &facts.nodes {
            self.python(&program.text, Role::Node, &place.part(program.path.clone()));
        }
        for command in &facts.commands {
            for (program, _) in inline::programs(&command.text) {
                self.python(&program, Role::Node, &place.part(command.path.clone()));
            }
        }
        for (path, bytes) in &facts.pickles {
            let inside = place.member(format!("numbers of `{path}`"));
            self.pickle(&[Format::Pickle], &MemorySource::new(bytes), &inside, 1);
        }
        if !facts.hidden.is_empty() {
            self.judge(&Facts::Metadata(facts.hidden.clone()), place);
        }
        for rendered in &facts.templates {
            let inside = place.part(rendered.path.clone());
            self.template(rendered.template.clone(), rendered.expected, &inside);
        }
        self.judge(&Facts::Config(Box::new(facts)), place);
    }

    /// Code that a configuration names and that does not lie where a loader would look for it was not judged.
    fn absent(&mut self, facts: &config::Config, member: Option<&str>, place: &Place) {
        let inside = self.inside.clone();
        let present = |name: &str, file: &str, key: &str| match member {
            Some(member) => companion::present_among(&inside, member, file, key),
            None => companion::present(name, file, key),
        };
        let local = facts.items.iter().filter(|item| item.act == Act::LocalCode).map(|item| {
            let module = item.value.rsplit_once("--").map_or(item.value.as_str(), |(_, module)| module);
            (module.replace(':', "."), item.path.as_str())
        });
        let mut missing = Vec::new();
        for (module, path) in local {
            self.neighbours |= member.is_none();
            let whole = format!("{}.py", module.replace('.', "/"));
            let outer = module.rsplit_once('.').map(|(outer, _)| format!("{}.py", outer.replace('.', "/")));
            let found = present(&self.name, &whole, path)
                || outer.as_ref().is_some_and(|outer| present(&self.name, outer, path));
            if !found {
                missing.push((path.to_owned(), outer.unwrap_or(whole)));
            }
        }
        for said in &facts.code {
            self.neighbours |= member.is_none();
            if !present(&self.name, &said.text, &said.path) {
                missing.push((said.path.clone(), said.text.clone()));
            }
        }
        missing.dedup_by(|one, other| one.1 == other.1);
        for (path, file) in missing.into_iter().take(16) {
            let why = format!("the code that `{path}` names, `{file}`, is not beside it and was not judged");
            self.gap(place, why, "scan the folder with its code, or do not let a loader fetch it");
        }
    }

    /// A program of R or Julia, as far as it runs what it fetches.
    pub(crate) fn foreign(&mut self, text: &str, place: &Place) {
        let script = fetching::analyse(text);
        if !script.calls.is_empty() || !script.shell.is_empty() {
            self.judge(&Facts::Script(Box::new(script)), place);
        }
    }

    pub(crate) fn template(&mut self, template: jinja::Template, expected: bool, place: &Place) {
        self.limits(place, &template.limits);
        if let Some(broken) = template.broken.first().filter(|_| expected) {
            let why = format!("part of the template is not understood: `{}`", broken.what);
            self.gap(place, why, READ_IT);
        }
        self.judge(&Facts::Template(Box::new(template)), place);
    }
}

/// The lines that the settings of IPython and Jupyter have run: texts in lists of `exec_lines` and the like.
fn settings_lines(text: &str) -> String {
    let mut lines = String::new();
    for key in ["exec_lines", "code_to_run"] {
        for part in text.split(key).skip(1).take(64) {
            let part = part.get(..part.find("\n\n").unwrap_or(part.len()).min(4_000)).unwrap_or("");
            let mut rest = part;
            while let Some(start) = rest.find(['"', '\'']) {
                let quote = rest.as_bytes().get(start).copied().unwrap_or(b'"');
                let inner = rest.get(start + 1..).unwrap_or("");
                let Some(end) = inner.bytes().position(|byte| byte == quote) else { break };
                lines.push_str(inner.get(..end).unwrap_or(""));
                lines.push('\n');
                rest = inner.get(end + 1..).unwrap_or("");
            }
        }
    }
    lines
}

/// Checkpoints that the state of a training says are on another machine. A path of this one is where it was trained.
fn elsewhere(text: &str) -> Vec<config::Said> {
    let lines = text.lines().zip(1_u64..).take(10_000).filter_map(|(line, number)| {
        let (key, value) = line.split_once(':')?;
        let value = value.trim().trim_matches('"').replace("\\\\", "\\");
        let away = ["//", "\\\\", "\\\\?\\UNC", "http://", "https://", "ftp://", "file://"];
        let key = key.trim();
        let state = matches!(key, "model_checkpoint_path" | "all_model_checkpoint_paths");
        (state && away.iter().any(|start| value.starts_with(start))).then(|| config::Said {
            path: key.to_owned(),
            text: value.chars().filter(|c| !c.is_control()).take(200).collect(),
            offset: number,
        })
    });
    lines.take(16).collect()
}

/// Whether a file of this name is a template, whose braces are its own.
fn jinja_name(file: &str) -> bool {
    [".jinja", ".jinja2", ".j2", ".tmpl", ".tpl", ".mustache", ".hbs"].iter().any(|end| file.ends_with(end))
}

/// Programs of other languages that lie beside models and start by themselves.
fn other_language(file: &str) -> bool {
    [".r", ".rprofile", ".jl", ".lua"].iter().any(|end| file.ends_with(end))
}

/// Words for people and rows of data: what they say to run is not run.
fn is_prose(file: &str) -> bool {
    const ENDINGS: [&str; 23] = [
        ".md", ".rst", ".txt", ".csv", ".tsv", ".html", ".htm", ".xhtml", ".log", ".tex", ".po", ".srt",
        ".vtt", ".adoc", ".org", ".jsonl", ".ndjson", ".patch", ".diff", ".rmd", ".qmd", ".jmd", ".bib",
    ];
    const NAMES: [&str; 9] =
        ["readme", "license", "licence", "changelog", "changes", "notice", "authors", "news", "copying"];
    file != "cmakelists.txt"
        && (ENDINGS.iter().any(|end| file.ends_with(end)) || NAMES.iter().any(|name| file.starts_with(name)))
}

/// Places in an image or a home whose files a shell or a service reads by itself.
fn runs_by_itself(name: &str) -> bool {
    const PLACES: [&str; 11] = [
        ".git/config",
        ".git/hooks/",
        "etc/cron",
        "var/spool/cron",
        "etc/profile.d/",
        "etc/init.d/",
        "etc/rc.local",
        "etc/update-motd.d/",
        ".bashrc",
        ".bash_profile",
        ".zshrc",
    ];
    PLACES.iter().any(|place| name.contains(place))
}

/// Whether every line of a text is a shell's: a script, or the recipe of a container image.
fn commands(file: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    let shell = ["/sh", "/bash", "/dash", "/zsh", " sh", " bash"];
    first.starts_with("#!")
        && shell.iter().any(|end| first.trim_end().ends_with(end) || first.contains(&format!("{end} ")))
        || file.starts_with("dockerfile")
        || file.starts_with("containerfile")
        || file.ends_with(".dockerfile")
        || file.ends_with(".sh")
        // Whose expansions the build of a package runs.
        || file.ends_with(".gyp")
        || file.ends_with(".gypi")
        // Recipes whose lines a shell or a supervisor runs.
        || matches!(file, ".envrc" | ".profile" | "makefile" | "gnumakefile" | "justfile" | "procfile" | "crontab" | "jenkinsfile" | "tox.ini")
        || [".mk", ".service", ".timer", ".desktop", ".cron"].iter().any(|end| file.ends_with(end))
}

/// Whether the first line names Python as its interpreter.
fn python_line(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.starts_with("#!") && line.contains("python"))
}

/// Text as its readers see it: UTF-8, or UTF-16 with a mark.
pub(crate) fn decoded(bytes: &[u8]) -> String {
    let wide = |convert: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| convert([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
