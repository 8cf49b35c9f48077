//! `mantlet review list|decide`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use mantlet_access::Act;
use mantlet_console::{Ruling, Shelf};
use mantlet_store::{ReviewFilter, ReviewState};

use super::{Person, open_store};
use crate::exit::Usage;
use crate::protect::admit;
use crate::runtime;
use crate::terminal::Terminal;

/// What to do with diverted decisions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Decisions that wait for a person, oldest first.
    List {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Only those of this incident's callers.
        #[arg(long, value_name = "ID")]
        incident: Option<String>,
    },
    /// Decide one; the caller gets the answer at the next poll.
    Decide {
        /// The ticket.
        ticket: String,
        /// release the model's answer, reject, or answer something else.
        ruling: Ruled,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// The class to answer, with `answer`.
        #[arg(long)]
        label: Option<String>,
        /// Why, for the record and, when rejected, for the caller.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        person: Person,
    },
}

/// What a person rules.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Ruled {
    /// The caller gets the model's answer.
    Release,
    /// The caller gets another answer.
    Answer,
    /// The caller is refused.
    Reject,
}

/// Runs the command.
///
/// # Errors
/// When there is no such ticket, it is settled, or the person may not decide.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        match command {
            Command::List { folder, incident } => {
                let (_, store) = open_store(&folder).await?;
                let callers = match incident {
                    Some(id) => store.incident(&id).await?.map(|incident| incident.callers),
                    None => None,
                };
                let filter =
                    ReviewFilter { state: Some(ReviewState::Pending), most: 200, ..ReviewFilter::default() };
                for review in store.reviews(&filter).await?.iter().rev() {
                    if callers.as_ref().is_some_and(|callers| !callers.contains(&review.caller)) {
                        continue;
                    }
                    let why: Vec<&str> = review.signals.iter().map(|signal| signal.name.as_str()).collect();
                    terminal.say(&format!(
                        "{}  {}  until {}  key {}  {}",
                        review.ticket,
                        review.at,
                        review.deadline,
                        review.caller,
                        why.join(", ")
                    ));
                }
                store.close().await?;
            }
            Command::Decide { ticket, ruling, folder, label, note, person } => {
                let (loaded, store) = open_store(&folder).await?;
                let user = person.prove(&store, Act::DecideReview).await?;
                let ruling = match (ruling, label) {
                    (Ruled::Release, _) => Ruling::Release,
                    (Ruled::Reject, _) => Ruling::Reject,
                    (Ruled::Answer, Some(label)) => Ruling::Answer(label),
                    (Ruled::Answer, None) => {
                        return Err(Usage("name the class with --label".to_owned()).into());
                    }
                };
                Shelf::new(store.clone())
                    .class_names(loaded.config.system.name.clone(), admit::class_names(&loaded))
                    .decide(&user.name, &ticket, &ruling, &note)
                    .await?;
                terminal.say(&format!("{ticket}: {}", ruling.plain()));
                store.close().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
