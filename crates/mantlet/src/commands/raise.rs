//! Findings of a monitor become incidents, beside those of the guard: in the same store, on the same console, told by
//! the same channels.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use mantlet_respond::{
    Alert, Desk, Incident, IncidentFilter, IncidentStore, IncidentStoreError, Playbook, SELF,
};
use mantlet_store::Store;
use mantlet_vocab::{Examination, Finding, Severity};
use serde_json::json;

use super::open_store;
use crate::runtime;
use crate::terminal::Terminal;

/// Tries when somebody else changes the incident at the same time.
const TRIES: usize = 4;
/// Findings of one run that are raised, strongest first.
const MOST: usize = 20;

/// Where alarms become incidents.
#[derive(Debug, Args)]
pub struct Raising {
    /// Raise what is told as incidents of the system in this folder; what is open about the same thing takes it in, and
    /// the running installation tells people. The report is kept there too, for the console.
    #[arg(long, value_name = "DIR")]
    incidents: Option<PathBuf>,
}

/// What became of the findings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Raised {
    opened: Vec<String>,
    joined: Vec<String>,
}

impl Raising {
    /// Keeps a report where alarms become incidents, so that it stands on the console.
    ///
    /// # Errors
    /// When the folder has no valid configuration, or the report cannot be kept.
    pub fn keep(&self, terminal: Terminal, command: &str, examination: &Examination) -> anyhow::Result<()> {
        let Some(folder) = &self.incidents else { return Ok(()) };
        let id = runtime::block_on(async {
            let (loaded, store) = open_store(folder).await?;
            let id = store.keep_report(&loaded.config.system.name, command, examination).await?;
            store.close().await?;
            anyhow::Ok(id)
        })?;
        terminal.note(&format!("the report is kept: on the console under Data, Reports ({id})"));
        Ok(())
    }

    /// Raises suspicious findings; `look` is the command that shows where they are.
    ///
    /// # Errors
    /// When the folder has no valid configuration, or an incident cannot be kept.
    pub fn raise(&self, terminal: Terminal, findings: &[Finding], look: &str) -> anyhow::Result<()> {
        let Some(folder) = &self.incidents else { return Ok(()) };
        let mut told: Vec<Finding> =
            findings.iter().filter(|finding| finding.severity >= Severity::Suspicious).cloned().collect();
        Finding::sort(&mut told);
        if told.len() > MOST {
            terminal.note(&format!("{} further findings are in the report only", told.len() - MOST));
            told.truncate(MOST);
        }
        let raised = runtime::block_on(async {
            let (loaded, store) = open_store(folder).await?;
            let config = &loaded.config;
            let mut raised = Raised::default();
            for finding in &told {
                let (system, impact) = (&config.system.name, config.system.impact);
                let alert = Alert::behaviour(system, impact, store.now(), finding, look);
                let (id, opened) = take_in(&store, &alert, config.gateway.mode).await?;
                if opened { &mut raised.opened } else { &mut raised.joined }.push(id);
            }
            store.close().await?;
            anyhow::Ok(raised)
        })?;
        for (ids, what) in [(raised.opened, "opened"), (raised.joined, "taken in by")] {
            if !ids.is_empty() {
                terminal.note(&format!("incidents {what}: {}", ids.join(", ")));
            }
        }
        Ok(())
    }
}

/// Lets an alert join the incident it belongs to, or opens one; gives its id and whether it is new.
///
/// # Errors
/// When the incident cannot be kept.
pub(super) async fn take_in(
    store: &Store,
    alert: &Alert,
    mode: mantlet_vocab::Mode,
) -> anyhow::Result<(String, bool)> {
    let filter = IncidentFilter { system: Some(alert.system.clone()), ..IncidentFilter::open() };
    for _ in 0..TRIES {
        let mut desk = Desk::new(Playbook::default(), store.incidents(&filter).await?);
        let intake = desk.receive(alert, mode);
        let Some(mut incident) = desk.remove(&intake.incident) else { break };
        incident.untold |= intake.changed;
        match keep(store, &mut incident).await {
            Ok(()) => {
                if intake.opened {
                    let detail = json!({ "alert": alert.kind.word(), "finding": alert.facts.get("finding") });
                    let entry = mantlet_store::NewEntry::new(SELF, "incident-open", &incident.id, detail);
                    store.audit().append(entry).await?;
                }
                return Ok((incident.id, intake.opened));
            }
            Err(IncidentStoreError::Conflict { .. }) => {}
            Err(other) => return Err(other).context("the incident is not kept"),
        }
    }
    anyhow::bail!("others change the same incident again and again; run the monitor again")
}

async fn keep(store: &Store, incident: &mut Incident) -> Result<(), IncidentStoreError> {
    incident.revision += 1;
    incident.refresh();
    IncidentStore::save(store, incident).await
}
