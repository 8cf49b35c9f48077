//! What a person sees: plain lines, and progress bars where there is a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

/// Where a command speaks, and how much.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Say only results.
    pub quiet: bool,
    /// Use colour.
    pub colour: bool,
}

impl Terminal {
    /// Colour only on a terminal, and never when `NO_COLOR` or `--no-color` asks for none.
    pub fn new(quiet: bool, no_color: bool) -> Self {
        let colour = !no_color && std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal();
        Self { quiet, colour }
    }

    /// A result, on standard output. A closed pipe ends the output, not the program; a full disk ends the program,
    /// since a report that is not there must not look like one.
    pub fn say(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let line_end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
        let written =
            out.write_all(text.as_bytes()).and_then(|()| out.write_all(line_end)).and_then(|()| out.flush());
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            let _ = writeln!(
                std::io::stderr().lock(),
                "mantlet: cannot write to standard output: {error}; free space or use --output"
            );
            std::process::exit(4);
        }
    }

    /// A remark on the way, on standard error; silent when quiet.
    pub fn note(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// A heading in bold where colour is on.
    pub fn heading(self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Whether a progress bar would be seen.
    pub fn shows(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// A progress bar of `length` steps; hidden when quiet or when standard error is no terminal.
    pub fn bar(self, length: u64, what: &str) -> ProgressBar {
        if !self.shows() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template("  {msg:<28} [{bar:32}] {pos}/{len} {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// When it cannot be written; the message names the path and the remedy.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    mantlet_registry::disk::write_whole(path, bytes, false).with_context(|| {
        format!("cannot write {}: check that the folder exists, is writable and has space", path.display())
    })
}

/// Prints a report, or writes it to the named file.
///
/// # Errors
/// When the file cannot be written.
pub fn deliver(terminal: Terminal, text: &str, output: Option<&Path>) -> anyhow::Result<()> {
    match output {
        Some(path) => write_whole(path, text.as_bytes()),
        None => {
            terminal.say(text);
            Ok(())
        }
    }
}
