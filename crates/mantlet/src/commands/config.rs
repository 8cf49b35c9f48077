//! `mantlet config check|show|schema`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config;
use crate::terminal::Terminal;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read it strictly and say what is wrong.
    Check {
        /// The folder or document.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Print it with every default filled in.
    Show {
        /// The folder or document.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Print its JSON Schema.
    Schema,
}

/// Runs the command.
///
/// # Errors
/// When the document is not valid.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { path } => {
            let loaded = config::load(&path)?;
            let model = loaded.path(&loaded.config.model.path);
            if !model.exists() {
                anyhow::bail!(
                    "{}: `model.path` names {}, which does not exist: correct the path",
                    loaded.file.display(),
                    model.display()
                );
            }
            terminal.say(&format!("{}: valid", loaded.file.display()));
        }
        Command::Show { path } => terminal.say(&toml::to_string(&config::load(&path)?.config)?),
        Command::Schema => terminal.say(&serde_json::to_string_pretty(&config::schema())?),
    }
    Ok(ExitCode::SUCCESS)
}
