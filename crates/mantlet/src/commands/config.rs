//! `mantlet config check|show|schema|push`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use mantlet_access::Act;

use super::{Person, open_store};
use crate::exit::Usage;
use crate::terminal::Terminal;
use crate::{config, deploy, runtime};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read it strictly, make of it what `mantlet up` would, and say what is wrong.
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
    /// Give it to every running replica. Each takes it over at once and whole; addresses, storage and shared services
    /// stay each machine's own.
    Push {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        #[command(flatten)]
        person: Person,
    },
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
            deploy::examine(&loaded)?;
            for system in loaded.systems()? {
                terminal.note(&format!(
                    "{}: valid, behind the route {}",
                    system.file.display(),
                    system.route()
                ));
            }
            terminal.say(&format!("{}: valid", loaded.file.display()));
        }
        Command::Show { path } => terminal.say(&toml::to_string(&config::load(&path)?.config)?),
        Command::Push { folder, person } => {
            return runtime::block_on(async {
                let (loaded, store) = open_store(&folder).await?;
                anyhow::ensure!(
                    store.is_shared(),
                    Usage("`shared.database` is not set: nobody else would see it".into())
                );
                let user = person.prove(&store, Act::Configure).await?;
                let text = std::fs::read_to_string(&loaded.file)?;
                deploy::put_config(&store, &loaded.config.system.name, &text, &user.name).await?;
                deploy::announce(&loaded).await;
                terminal.say("pushed; `/status` of each replica names the generation in force");
                store.close().await?;
                Ok(ExitCode::SUCCESS)
            });
        }
        Command::Schema => terminal.say(&serde_json::to_string_pretty(&config::schema())?),
    }
    Ok(ExitCode::SUCCESS)
}
