//! `mantlet incident list|show|contain|undo|close`.
//!
//! A step asked for here is marked in the store; the running installation carries it out within a second.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use mantlet_respond::{Incident, IncidentFilter, IncidentStore, StepState};
use mantlet_store::Store;

use super::open_store;
use crate::exit::Usage;
use crate::runtime;
use crate::terminal::Terminal;

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Incidents, newest first.
    List {
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Closed ones too.
        #[arg(long)]
        all: bool,
    },
    /// The five answers, the steps and the timeline.
    Show {
        /// The incident.
        id: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// The ids of decisions that may be wrong, one a line.
        #[arg(long)]
        decisions: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a proposed step in force.
    Contain(StepOf),
    /// Take a step out of force.
    Undo(StepOf),
    /// Close an incident; what is in force is undone first.
    Close {
        /// The incident.
        id: String,
        /// The folder with mantlet.toml.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Why, for the record.
        #[arg(long)]
        note: String,
    },
}

/// A step of an incident.
#[derive(Debug, Args)]
pub struct StepOf {
    /// The incident.
    id: String,
    /// The step.
    step: String,
    /// The folder with mantlet.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When there is no such incident, or nothing runs that could act.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        match command {
            Command::List { folder, all } => {
                let (_, store) = open_store(&folder).await?;
                let filter = if all { IncidentFilter::default() } else { IncidentFilter::open() };
                for incident in store.incidents(&filter).await? {
                    terminal.say(&format!(
                        "{}  {}  {:<9} {:<8} {}",
                        incident.id,
                        incident.opened,
                        incident.state.word(),
                        incident.impact,
                        incident.title
                    ));
                }
                store.close().await?;
            }
            Command::Show { id, folder, decisions, json } => {
                let (_, store) = open_store(&folder).await?;
                let incident = known(&store, &id).await?;
                if decisions {
                    terminal.say(&incident.exchanges.join("\n"));
                } else if json {
                    terminal.say(&serde_json::to_string_pretty(&incident)?);
                } else {
                    terminal.say(&incident.plain());
                }
                store.close().await?;
            }
            Command::Contain(step) => ask(terminal, &step, StepState::Applying).await?,
            Command::Undo(step) => ask(terminal, &step, StepState::Undoing).await?,
            Command::Close { id, folder, note } => {
                let (_, store) = open_store(&folder).await?;
                let mut incident = known(&store, &id).await?;
                incident.close(store.now(), &runtime::actor(), &note);
                save(&store, &mut incident).await?;
                terminal
                    .say(&format!("{id} is closed; what is in force is undone by the running installation"));
                store.close().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn known(store: &Store, id: &str) -> anyhow::Result<Incident> {
    let incident = store.incident(id).await?;
    incident.with_context(|| format!("there is no incident {id}: `mantlet incident list` names them"))
}

async fn save(store: &Store, incident: &mut Incident) -> anyhow::Result<()> {
    incident.revision += 1;
    incident.refresh();
    Ok(IncidentStore::save(store, incident).await?)
}

/// Marks the step as to be done or undone; the running installation does it within a second.
async fn ask(terminal: Terminal, wanted: &StepOf, state: StepState) -> anyhow::Result<()> {
    let (_, store) = open_store(&wanted.folder).await?;
    let mut incident = known(&store, &wanted.id).await?;
    let steps: Vec<String> = incident.steps.iter().map(|step| step.id.clone()).collect();
    let step = incident.steps.iter_mut().find(|step| step.id == wanted.step).ok_or_else(|| {
        Usage(format!("{} has no step {}; it has {}", wanted.id, wanted.step, steps.join(", ")))
    })?;
    let may = if state == StepState::Applying {
        step.state.can_apply()
    } else {
        step.state == StepState::Applied && step.undoable()
    };
    if !may {
        return Err(Usage(format!("step {} is {}", step.id, step.state.word())).into());
    }
    let before = step.state.clone();
    step.state = state.clone();
    step.changed = store.now();
    step.by = runtime::actor();
    save(&store, &mut incident).await?;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let incident = known(&store, &wanted.id).await?;
        if let Some(step) = incident.step(&wanted.step)
            && step.state != state
        {
            terminal.say(&format!("step {} is {}", step.id, step.state.word()));
            store.close().await?;
            return Ok(());
        }
    }
    // Nobody carried it out: what was asked is taken back, so that it does not happen later by surprise.
    let mut incident = known(&store, &wanted.id).await?;
    if let Some(step) = incident.steps.iter_mut().find(|step| step.id == wanted.step && step.state == state) {
        step.state = before;
        save(&store, &mut incident).await?;
    }
    store.close().await?;
    anyhow::bail!("nothing runs here that could act: start `mantlet up`, then ask again")
}
