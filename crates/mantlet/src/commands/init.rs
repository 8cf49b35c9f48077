//! `mantlet init [DIR]`: look, infer, ask three questions, write a commented configuration.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_vocab::Impact;

use crate::config::{FILE_NAME, template};
use crate::exit::Usage;
use crate::infer::{self, Answers};
use crate::terminal::{Terminal, write_whole};

/// The folder and the answers.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder to look at.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// What does it decide? In plain words, such as "the amount a cheque pays out".
    #[arg(long, value_name = "TEXT")]
    decides: Option<String>,
    /// Where does it answer? The endpoint's address, or `built-in` to serve the file with mantlet.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Who is told? A webhook address, or `nobody`.
    #[arg(long, value_name = "URL")]
    notify: Option<String>,
    /// Impact class: low, medium, high or critical. Inferred from what it decides when absent.
    #[arg(long)]
    impact: Option<Impact>,
    /// Replace an existing mantlet.toml.
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// When the folder holds no model, an answer is missing, or the file cannot be written.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    let file = options.folder.join(FILE_NAME);
    if file.exists() && !options.force {
        return Err(Usage(format!("{} exists: edit it, or replace it with --force", file.display())).into());
    }
    let found = infer::look::look(&options.folder)
        .with_context(|| format!("cannot look into {}", options.folder.display()))?;
    let decides = ask(options.decides, "--decides", "1. What does it decide?", "")?;
    let endpoint = ask(
        options.endpoint,
        "--endpoint",
        "2. Where does it answer? (an address, or built-in)",
        "built-in",
    )?;
    let notify = ask(options.notify, "--notify", "3. Who is told? (a webhook address, or nobody)", "nobody")?;
    let answers =
        Answers { decides, endpoint, notify: (notify != "nobody").then_some(notify), impact: options.impact };
    let inferred = infer::infer(&options.folder, &found, &answers)?;
    let text = template::write(&inferred.config, &inferred.notes);
    write_whole(&file, text.as_bytes())?;
    // What was written must be readable: anything else is our fault and must not be left behind unsaid.
    crate::config::load(&file).context("the configuration just written is not valid")?;
    let mut said = format!("{}\n", terminal.heading(&format!("wrote {}", file.display())));
    inferred.notes.iter().for_each(|note| said.push_str(&format!("  {note}\n")));
    let impact = inferred.config.system.impact;
    said.push_str(&format!(
        "\n{}\n",
        terminal.heading(&format!("The first three controls for {impact} impact"))
    ));
    for (number, control) in template::first_controls(impact).iter().enumerate() {
        said.push_str(&format!("  {}. {control}\n", number + 1));
    }
    said.push_str(&format!("\nNext: mantlet protect {}\n", options.folder.display()));
    terminal.say(&said);
    Ok(ExitCode::SUCCESS)
}

fn ask(given: Option<String>, flag: &str, question: &str, default: &str) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Usage(format!("{question} Answer it with {flag} when nobody is at the terminal")).into());
    }
    let mut err = std::io::stderr().lock();
    let hint = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    let _ = write!(err, "{question}{hint} ");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let answer = line.trim();
    if answer.is_empty() && default.is_empty() {
        return Err(Usage(format!("{question} An answer is needed; one sentence is enough")).into());
    }
    Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
}
