//! Python source wherever it lies: scripts, modules, the cells of notebooks, hooks that run by themselves.
//!
//! Long because every place has its own way to hold a program.

use mantlet_formats::opened::Opened;
use mantlet_formats::python::{self, Role};
use mantlet_formats::route::Format;
use mantlet_formats::tree::{self, Event};
use mantlet_formats::{Facts, inline, jinja, page};
use mantlet_vocab::{MemorySource, Place, Source};

use crate::engine::Engine;

/// The lines of the shell in a notebook of Databricks, and those of magics of a line.
fn databricks(text: &str) -> (String, String) {
    let (mut shell, mut lines, mut inside) = (String::new(), String::new(), false);
    for line in text.lines() {
        let Some(line) = line.strip_prefix("# MAGIC ") else {
            inside &= line.trim().is_empty() && !line.starts_with("# COMMAND");
            continue;
        };
        if line.trim_start().starts_with("%sh") {
            inside = true;
            shell.push_str(line.trim_start().trim_start_matches("%sh"));
        } else if inside {
            shell.push_str(line);
        } else {
            lines.push_str(line);
            lines.push('\n');
        }
        shell.push('\n');
    }
    (shell, lines)
}

/// Commands that a program hands to a tool which runs them elsewhere (Airflow, Modal, Beam, clouds): texts in a line that
/// says so.
fn handed(text: &str) -> Vec<(String, u32)> {
    const WAYS: [&str; 9] = [
        "bash_command",
        "run_commands(",
        "startup_script",
        "user_data",
        "setup_commands",
        "entrypoint=",
        "command=",
        "cmd=",
        "commands=",
    ];
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.starts_with('#') || line.len() > 8_000 || !WAYS.iter().any(|way| line.contains(way)) {
            continue;
        }
        let quote = if line.contains('"') { '"' } else { '\'' };
        let texts = line.split(quote).skip(1).step_by(2).filter(|text| text.len() > 8);
        found.extend(texts.take(16).map(|text| (text.to_owned(), number)));
        if found.len() > 256 {
            break;
        }
    }
    found
}

/// Cells and their text that are kept of a notebook.
const MAX_CODE: usize = 4 << 20;
/// Programs within the lines of one script.
const MAX_INLINE: usize = 256;
/// Command lines of one script.
const MAX_LINES: usize = 20_000;

impl Engine {
    /// Judges Python source.
    pub(crate) fn python(&mut self, text: &str, role: Role, place: &Place) {
        // What pip calls of a build back end that travels with a package.
        const HOOKS: [&str; 5] = [
            "def build_wheel(",
            "def build_sdist(",
            "def build_editable(",
            "def get_requires_for_build_",
            "def prepare_metadata_for_build_",
        ];
        if text.starts_with("# Databricks notebook source") {
            let (shell, lines) = databricks(text);
            self.commands(&shell, place);
            let mut script = python::analyse(&lines, Role::Notebook);
            script.install_hooks = false;
            self.script(script, place);
        }
        let builds = HOOKS.iter().any(|hook| text.contains(hook)) && role != Role::Notebook;
        let role = if builds { Role::Install } else { role };
        let cython = text.contains("cimport ").then(|| inline::cython(text));
        let mut script = python::analyse(cython.as_deref().unwrap_or(text), role);
        script.install_hooks |= builds;
        script.back_end = builds;
        script.shell.extend(handed(text));
        self.script(script, place);
    }

    fn script(&mut self, mut script: python::Script, place: &Place) {
        filled(&mut script.shell);
        self.inline(&script.shell, script.role, place);
        let calls = script.calls.iter().filter(|call| call.power == python::Power::Runs);
        let texts = calls.map(|call| {
            let parts = call.arguments.iter().filter_map(|argument| argument.text.as_deref());
            (parts.collect::<Vec<_>>().join(" "), call.line)
        });
        let programs: Vec<(String, u32)> = texts
            .flat_map(|(text, line)| inline::given(&text).into_iter().map(move |program| (program, line)))
            .collect();
        self.within(programs.into_iter(), script.role, place);
        self.limits(place, &script.limits);
        for (bytes, line) in &script.pickles {
            let inside = place.member(format!("pickle in line {line}"));
            self.pickle(&[Format::Pickle], &MemorySource::new(bytes), &inside, 1);
        }
        for (text, line) in script.templates.iter().filter(|(text, _)| jinja::has_tags(text)) {
            self.template(jinja::analyse(text), false, &place.part(format!("line {line}")));
        }
        self.judge(&Facts::Script(Box::new(script)), place);
    }

    /// Judges the command lines of a shell script or of a container's recipe.
    pub(crate) fn commands(&mut self, text: &str, place: &Place) {
        self.lines(text, false, place);
    }

    /// The same for lines that stand in words for people, as an example.
    pub(crate) fn told(&mut self, text: &str, place: &Place) {
        self.lines(text, true, place);
    }

    fn lines(&mut self, text: &str, told: bool, place: &Place) {
        for (program, line) in inline::documents(text) {
            self.python(&program, Role::Script, &place.part(format!("program in line {line}")));
        }
        let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let lines = joined.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with('#'));
        let mut shell: Vec<(String, u32)> =
            lines.map(|(line, number)| (line.trim().chars().take(2_000).collect(), number)).collect();
        shell.retain(|(line, _)| !line.is_empty());
        filled(&mut shell);
        if shell.len() > MAX_LINES {
            shell.truncate(MAX_LINES);
            self.gap(
                place,
                format!("only the first {MAX_LINES} lines are examined"),
                "read the rest yourself",
            );
        }
        // What a package runs while it is installed or removed.
        let file = place.to_string().to_ascii_lowercase();
        let file = file.rsplit(['/', '!']).next().unwrap_or("");
        let installs =
            ["-link.sh", "-unlink.sh", "-link.bat", ".gyp", ".gypi"].iter().any(|end| file.ends_with(end))
                || matches!(file, "postinst" | "preinst" | "postrm" | "prerm" | "postinstall" | "preinstall");
        let role = if installs { Role::Install } else { Role::default() };
        self.inline(&shell, role, place);
        let script = python::Script { shell, role, told, ..python::Script::default() };
        self.judge(&Facts::Script(Box::new(script)), place);
    }

    /// Programs of Python that command lines hold.
    fn inline(&mut self, shell: &[(String, u32)], role: Role, place: &Place) {
        let programs = shell.iter().flat_map(|(text, line)| {
            inline::programs(text).into_iter().map(move |(program, _)| (program, *line))
        });
        self.within(programs, role, place);
    }

    fn within(&mut self, programs: impl Iterator<Item = (String, u32)>, role: Role, place: &Place) {
        for (count, (program, line)) in programs.enumerate() {
            if count >= MAX_INLINE {
                let why = format!("only the first {MAX_INLINE} programs in its lines are examined");
                return self.gap(place, why, "read the rest yourself");
            }
            let script = python::analyse(&program, role);
            if !script.calls.is_empty() || !script.pickles.is_empty() {
                self.script(script, &place.part(format!("program in line {line}")));
            }
        }
    }

    /// Judges the code cells of a notebook as one program.
    pub(crate) fn notebook(&mut self, source: &dyn Source, place: &Place) {
        let mut cells = Cells::default();
        tree::json(source, &mut |event, _| cells.event(event));
        if !cells.seen {
            let why = "its cells are not where a notebook has them, and were not judged";
            self.gap(place, why.into(), "open it in the tool that wrote it, and save it as a notebook again");
        }
        if cells.cut {
            let why = format!("only the first {MAX_CODE} bytes of its code are examined");
            self.gap(place, why, "read the rest yourself");
        }
        // Cells belong to the language of the kernel.
        match cells.language.to_ascii_lowercase().as_str() {
            "" | "python" | "ipython" | "python3" => {}
            "bash" | "sh" | "shell" => self.commands(&cells.code, place),
            _ => {
                self.commands(&cells.code, place);
                self.foreign(&cells.code, place);
                if !cells.code.trim().is_empty() {
                    let why = "code of this language is judged in part only";
                    self.gap(place, why.into(), "review it like any code you run");
                }
            }
        }
        if !cells.other.is_empty() {
            self.commands(&cells.other, place);
        }
        if !cells.planted.is_empty() {
            self.judge(&Facts::Opened(std::mem::take(&mut cells.planted)), place);
        }
        if cells.code.contains("_PRELOAD") || cells.code.contains("LD_AUDIT") {
            let sets = |line: &&str| line.starts_with("%env ") || line.starts_with("%set_env ");
            let lines: Vec<&str> = cells.code.lines().filter(sets).take(64).collect();
            self.commands(&lines.join("\n"), place);
        }
        let mut script = python::analyse(&cells.code, Role::Notebook);
        script.pages = cells.pages;
        self.script(script, place);
    }

    /// The chunks of code in a text that is rendered: R Markdown, Quarto and their kind.
    pub(crate) fn chunks(&mut self, text: &str, place: &Place) {
        let mut python_code = String::new();
        for (language, code) in page::chunks(text) {
            match language.as_str() {
                "python" => python_code.push_str(&code),
                "r" | "julia" => {
                    self.commands(&code, place);
                    self.foreign(&code, place);
                }
                _ => self.commands(&code, place),
            }
        }
        if !python_code.is_empty() {
            self.python(&python_code, Role::Notebook, place);
        }
    }

    /// The paragraphs of a Zeppelin note, each with its interpreter in the first line.
    pub(crate) fn paragraphs(&mut self, source: &dyn Source, place: &Place) {
        let (mut shell, mut code, mut key) = (String::new(), String::new(), String::new());
        tree::json(source, &mut |event, _| match event {
            Event::Key(name) => key = name.chars().take(40).collect(),
            Event::Scalar { text, .. }
                if key == "text" && shell.len() + code.len() + text.len() < MAX_CODE =>
            {
                let first = text.lines().next().unwrap_or("").to_ascii_lowercase();
                let into = if first.contains("python") || first.contains("pyspark") {
                    &mut code
                } else {
                    &mut shell
                };
                text.lines().skip(usize::from(first.starts_with('%'))).for_each(|line| {
                    into.push_str(line);
                    into.push('\n');
                });
            }
            _ => {}
        });
        self.commands(&shell, place);
        if !code.is_empty() {
            self.python(&code, Role::Notebook, place);
        }
    }

    /// The lines of a `.pth` file that Python runs at every start.
    pub(crate) fn startup(&mut self, text: &str, place: &Place) {
        let runs: Vec<&str> =
            text.lines().filter(|line| line.starts_with("import ") || line.starts_with("import\t")).collect();
        if !runs.is_empty() {
            let code: Vec<String> = runs.iter().map(|line| line.replace(';', "\n")).collect();
            self.python(&code.join("\n"), Role::Startup, place);
        }
    }
}

/// Puts the constants that a script gives to its variables where they are used.
fn filled(shell: &mut [(String, u32)]) {
    let mut known: Vec<(String, String)> = Vec::new();
    for (line, _) in shell.iter_mut() {
        for part in line.split([';', '&']).take(64) {
            let part = part.trim().trim_start_matches("export ");
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = value.trim_matches(['"', '\'']);
            let plain = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !value.is_empty()
                && value.len() <= 400
                && (!value.contains(['$', '`']) || value.starts_with("$(") && value.ends_with(')'));
            if plain && known.len() < 256 {
                known.retain(|(other, _)| other != name);
                known.push((name.to_owned(), value.to_owned()));
            }
        }
        if !known.is_empty() && line.contains('$') {
            let mut text = line.clone();
            // Longer names first: `$ab` is not `$a` and a letter.
            known.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            for (name, value) in &known {
                text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
                if text.len() > 20_000 {
                    break;
                }
            }
            if text != *line && text.len() <= 20_000 {
                *line = text;
            }
        }
    }
}

#[derive(Default)]
struct Cells {
    depth: usize,
    /// How deep a cell lies, while its list is open: 3 in today's form, 5 in the one before.
    cell: usize,
    /// A list of cells was met.
    seen: bool,
    /// The language of the current cell, where it says one.
    speaks: String,
    key: String,
    code: String,
    /// The sources of the current cell, kept until its type is known.
    pending: String,
    is_code: bool,
    cut: bool,
    /// The language of the kernel.
    language: String,
    /// The innermost key at any depth.
    inner: String,
    /// What pages do that a page should not.
    pages: Vec<String>,
    /// Lines of cells in another language.
    other: String,
    /// Files that cells write where programs start by themselves.
    planted: Vec<Opened>,
}

/// Cells whose lines all belong to a shell.
const SHELLS: [&str; 5] = ["%%bash", "%%sh", "%%script bash", "%%script sh", "%%system"];
/// Magics of cells whose lines are Python still.
const STAYS: [&str; 12] = [
    "time", "timeit", "capture", "prun", "python", "python3", "pypy", "cython", "memit", "mprun", "px",
    "debug",
];
/// Places where programs look for what they start by themselves.
const STARTS: [&str; 12] = [
    ".ipython/",
    ".jupyter/",
    ".bashrc",
    ".bash_profile",
    ".zshrc",
    ".profile",
    ".ssh/",
    ".config/autostart",
    "site-packages/",
    "/etc/",
    "sitecustomize.py",
    ".git/hooks",
];
/// Text of one page that is looked at.
const MAX_PAGE: usize = 1 << 20;

impl Cells {
    /// What the magic of a cell makes of its lines.
    fn magic(&mut self) {
        let cell = self.pending.trim_start();
        if ["Javascript(", "HTML("].iter().any(|call| cell.contains(call))
            && let Some(what) = page::sends(cell)
        {
            self.pages.push(what.to_owned());
        }
        let Some((first, rest)) =
            cell.strip_prefix("%%").map(|cell| cell.split_once('\n').unwrap_or((cell, "")))
        else {
            return;
        };
        let mut words = first.split_whitespace();
        let name = words.next().unwrap_or("").to_ascii_lowercase();
        match name.as_str() {
            "javascript" | "js" | "html" | "svg" | "markdown" | "latex" => {
                self.pages.extend(page::sends(rest).map(str::to_owned));
            }
            "writefile" | "file" => {
                let path = words.rfind(|word| !word.starts_with('-')).unwrap_or("");
                if self.planted.len() < 16 && STARTS.iter().any(|place| path.contains(place)) {
                    self.planted.push(Opened {
                        what: "is written by a cell where programs start by themselves",
                        shown: path.chars().filter(|c| !c.is_control()).take(120).collect(),
                        line: 0,
                    });
                }
                self.other.push_str(rest);
                self.other.push('\n');
            }
            stays if STAYS.contains(&stays) => {}
            _ => {
                self.other.push_str(rest);
                self.other.push('\n');
            }
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Open { list, .. } => {
                self.depth += 1;
                if list && self.cell == 0 && self.inner == "cells" {
                    self.cell = self.depth + 1;
                    self.seen = true;
                }
                if self.depth == self.cell {
                    self.pending.clear();
                    self.speaks.clear();
                    self.is_code = false;
                }
            }
            Event::Close => {
                if self.depth + 1 == self.cell {
                    self.cell = 0;
                }
                if self.depth == self.cell && self.is_code {
                    self.magic();
                    if !matches!(self.speaks.as_str(), "" | "python" | "python3" | "ipython") {
                        let pending = std::mem::take(&mut self.pending);
                        self.other.push_str(&pending);
                        self.other.push('\n');
                    }
                    let shell = SHELLS.iter().any(|cell| self.pending.trim_start().starts_with(cell));
                    for line in self.pending.lines() {
                        if shell && !line.trim().is_empty() && !line.starts_with(['%', '!']) {
                            self.code.push('!');
                        }
                        self.code.push_str(line);
                        self.code.push('\n');
                    }
                    self.pending.clear();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            Event::Key(key) => {
                self.inner.clear();
                self.inner.extend(key.chars().take(80));
                if self.depth == self.cell {
                    self.key.clone_from(&self.inner);
                }
            }
            Event::Scalar { text, .. } => {
                let page = matches!(self.inner.as_str(), "application/javascript" | "text/html" | "image/svg+xml")
                        || self.inner == "source" && !self.is_code
                        // The state of widgets, which is drawn when the notebook opens.
                        || self.depth > 5 && matches!(self.inner.as_str(), "value" | "description" | "tooltip");
                if page
                    && self.pages.len() < 16
                    && let Some(what) = text.get(..text.len().min(MAX_PAGE)).and_then(page::sends)
                {
                    self.pages.push(what.to_owned());
                }
                if self.inner == "language" && self.depth == 3 && self.cell == 0 && self.language.is_empty() {
                    self.language = text.chars().take(40).collect();
                }
                if self.depth == self.cell && self.key == "language" {
                    self.speaks = text.chars().take(40).collect::<String>().to_ascii_lowercase();
                }
                if self.depth == self.cell && self.key == "cell_type" {
                    self.is_code = text == "code";
                }
                let within = self.cell > 0 && (self.depth == self.cell || self.depth == self.cell + 1);
                if within && matches!(self.key.as_str(), "source" | "input") {
                    if self.code.len() + self.pending.len() + text.len() > MAX_CODE {
                        self.cut = true;
                        return;
                    }
                    self.pending.push_str(text);
                }
            }
        }
    }
}
