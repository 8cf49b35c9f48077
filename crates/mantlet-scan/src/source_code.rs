//! Python source wherever it lies: scripts, modules, the cells of notebooks, hooks that run by themselves.

use mantlet_formats::Facts;
use mantlet_formats::python::{self, Role};
use mantlet_formats::tree::{self, Event};
use mantlet_vocab::{Place, Source};

use crate::engine::Engine;

/// Cells and their text that are kept of a notebook.
const MAX_CODE: usize = 4 << 20;
/// Command lines of one script.
const MAX_LINES: usize = 20_000;

impl Engine {
    /// Judges Python source.
    pub(crate) fn python(&mut self, text: &str, role: Role, place: &Place) {
        let script = python::analyse(text, role);
        self.limits(place, &script.limits);
        self.judge(&Facts::Script(Box::new(script)), place);
    }

    /// Judges the command lines of a shell script or of a container's recipe.
    pub(crate) fn commands(&mut self, text: &str, place: &Place) {
        let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let lines = joined.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with('#'));
        let mut shell: Vec<(String, u32)> =
            lines.map(|(line, number)| (line.trim().chars().take(2_000).collect(), number)).collect();
        shell.retain(|(line, _)| !line.is_empty());
        if shell.len() > MAX_LINES {
            shell.truncate(MAX_LINES);
            self.gap(
                place,
                format!("only the first {MAX_LINES} lines are examined"),
                "read the rest yourself",
            );
        }
        let script = python::Script { shell, ..python::Script::default() };
        self.judge(&Facts::Script(Box::new(script)), place);
    }

    /// Judges the code cells of a notebook as one program.
    pub(crate) fn notebook(&mut self, source: &dyn Source, place: &Place) {
        let mut cells = Cells::default();
        tree::json(source, &mut |event, _| cells.event(event));
        if cells.cut {
            let why = format!("only the first {MAX_CODE} bytes of its code are examined");
            self.gap(place, why, "read the rest yourself");
        }
        self.python(&cells.code, Role::Notebook, place);
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

#[derive(Default)]
struct Cells {
    depth: usize,
    key: String,
    code: String,
    /// The sources of the current cell, kept until its type is known.
    pending: String,
    is_code: bool,
    cut: bool,
}

impl Cells {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Open { .. } => {
                self.depth += 1;
                // The document, its list of cells, one cell.
                if self.depth == 3 {
                    self.pending.clear();
                    self.is_code = false;
                }
            }
            Event::Close => {
                if self.depth == 3 && self.is_code {
                    self.code.push_str(&self.pending);
                    self.code.push('\n');
                    self.pending.clear();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            Event::Key(key) if self.depth == 3 => {
                self.key.clear();
                self.key.push_str(key);
            }
            Event::Key(_) => {}
            Event::Scalar { text, .. } => {
                if self.depth == 3 && self.key == "cell_type" {
                    self.is_code = text == "code";
                }
                if matches!(self.depth, 3 | 4) && matches!(self.key.as_str(), "source" | "input") {
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
