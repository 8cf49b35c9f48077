//! `mantlet review list|decide`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use mantlet_access::Act;
use mantlet_console::{Ruling, Shelf};
use mantlet_store::{DEADLINE, ReviewFilter, ReviewState, Store};

use super::{Person, open_store};
use crate::exit::Usage;
use crate::protect::admit;
use crate::runtime;
use crate::terminal::Terminal;

/// Decisions read at once.
const PAGE: usize = 500;

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
    /// What people decided, as a table of labels: for `mantlet monitor labels --labels FILE --id exchange`.
    Labels {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Where the table goes; standard output when absent.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Decide one; the caller gets the answer at the next poll.
    Decide {
        /// The ticket.
        ticket: String,
        /// release the model's answer (or let the request go to the model, where it was not asked), reject, or answer
        /// something else.
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
    /// The caller gets the model's answer; a text that was withheld before goes to the model.
    Release,
    /// The caller gets another answer.
    Answer,
    /// The caller is refused.
    Reject,
}

/// A row for each decision that a person confirmed or put right, oldest first.
async fn labels(shelf: &Shelf, store: &Store) -> anyhow::Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["exchange", "label", "model_said", "version", "at", "decided_by"])?;
    let mut skip = 0;
    let mut rows = Vec::new();
    loop {
        let filter = ReviewFilter { skip, most: PAGE, ..ReviewFilter::default() };
        let page = store.reviews(&filter).await?;
        let whole = page.len() == PAGE;
        skip += page.len();
        rows.extend(page.into_iter().filter(|review| {
            review.reply.is_some() && review.decided_by.as_deref().is_some_and(|by| by != DEADLINE)
        }));
        if !whole {
            break;
        }
    }
    for kept in rows.into_iter().rev() {
        let (at, by) = (kept.at, kept.decided_by.clone().unwrap_or_default());
        let shown = shelf.shown(kept);
        let (Some(said), mantlet_console::ReviewState::Decided { ruling, .. }) = (shown.answer, shown.state)
        else {
            continue;
        };
        let label = match ruling {
            Ruling::Release => said.clone(),
            Ruling::Answer(label) => label,
            Ruling::Reject => continue,
        };
        let at = at.rfc3339();
        table.write_record([&shown.exchange, &label, &said, &shown.version, &at, &by])?;
    }
    Ok(String::from_utf8(table.into_inner()?)?)
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
            Command::Labels { folder, output } => {
                let (loaded, store) = open_store(&folder).await?;
                let shelf = Shelf::new(store.clone())
                    .class_names(loaded.config.system.name.clone(), admit::class_names(&loaded));
                let table = labels(&shelf, &store).await?;
                match output {
                    Some(path) => std::fs::write(&path, table)
                        .with_context(|| format!("cannot write {}", path.display()))?,
                    None => terminal.say(table.trim_end()),
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
                let unasked = store.review(&ticket).await?.is_some_and(|review| review.reply.is_none());
                Shelf::new(store.clone())
                    .class_names(loaded.config.system.name.clone(), admit::class_names(&loaded))
                    .decide(&user.name, &ticket, &ruling, &note)
                    .await?;
                terminal.say(&format!("{ticket}: {}", ruling.plain(!unasked)));
                store.close().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
