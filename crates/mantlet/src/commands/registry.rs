//! `mantlet registry list|history|admit|approve|promote|rollback|rollout|divert`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mantlet_access::Act;
use mantlet_registry::{Registry, RegistryStore as _, TrustedKeys, VersionId};
use mantlet_store::Store;

use super::{Person, Which};
use crate::config::Loaded;
use crate::protect::admit;
use crate::runtime;
use crate::terminal::Terminal;

/// What to do with versions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every version with its state.
    List(Which),
    /// Every change of state, oldest first: what served when, and by whose decision.
    History(Which),
    /// Admit a candidate that the policy left to a person.
    Admit(Decided),
    /// Consent to exactly these bytes; systems of high impact need a second person.
    Approve(Decided),
    /// Put an admitted version before users; its digest and signature are verified first.
    Promote(Decided),
    /// Put the known-good version back; its digest and signature are verified first.
    Rollback {
        #[command(flatten)]
        which: Which,
        /// Why, for the record.
        #[arg(long)]
        note: String,
        #[command(flatten)]
        person: Person,
    },
    /// Put a version before users step by step, and take it back when it does worse.
    #[command(subcommand)]
    Rollout(super::rollout::Command),
    /// The kill switch: every decision goes to a person, until `--off`.
    Divert(super::rollout::Divert),
}

/// A version and who decides about it.
#[derive(Debug, Args)]
pub struct Decided {
    /// The version.
    version: String,
    #[command(flatten)]
    which: Which,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    person: Person,
}

/// Runs the command.
///
/// # Errors
/// When the change is not allowed; nothing was changed then.
pub fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    runtime::block_on(async {
        match command {
            Command::List(which) => {
                let (loaded, store) = which.open().await?;
                for version in store.versions(&loaded.config.system.name).await? {
                    let approved: Vec<&str> =
                        version.approvals.iter().map(|approval| approval.by.as_str()).collect();
                    let approved = if approved.is_empty() {
                        String::new()
                    } else {
                        format!("  approved by {}", approved.join(", "))
                    };
                    terminal.say(&format!(
                        "{:<12} {:<11} {}{approved}",
                        version.version, version.state, version.digest
                    ));
                }
                store.close().await?;
            }
            Command::History(which) => {
                let (loaded, store) = which.open().await?;
                for line in store.history(&loaded.config.system.name).await? {
                    let from = line.from.map_or("-", |state| state.word());
                    terminal.say(&format!(
                        "{}  {:<12} {from} -> {}  by {}: {}",
                        line.at, line.version, line.to, line.actor, line.reason
                    ));
                }
                store.close().await?;
            }
            Command::Admit(decided) => {
                let (loaded, store, user) =
                    begin(&decided.which, &decided.person, Act::ApproveVersion).await?;
                let version =
                    admit::by_person(&store, &loaded, &id(&loaded, &decided.version), &user, &decided.note)
                        .await?;
                terminal.say(&format!("{} is {}", version.id(), version.state));
                store.close().await?;
            }
            Command::Approve(decided) => {
                let (loaded, store, user) =
                    begin(&decided.which, &decided.person, Act::ApproveVersion).await?;
                let version = registry(&store, &loaded)?
                    .approve(&id(&loaded, &decided.version), &user, &decided.note, store.now())
                    .await?;
                terminal.say(&format!("{} consents to {} ({})", user, version.id(), version.digest));
                store.close().await?;
            }
            Command::Promote(decided) => {
                let (loaded, store, user) = begin(&decided.which, &decided.person, Act::Promote).await?;
                let registry = registry(&store, &loaded)?;
                let id = id(&loaded, &decided.version);
                let first = store.system(&id.system).await?.is_some_and(|system| system.known_good.is_none());
                let switched = registry.promote(&id, &user, &decided.note, store.now()).await?;
                if first {
                    registry.mark_known_good(&id, &user, store.now()).await?;
                }
                crate::deploy::announce(&loaded).await;
                terminal.say(&format!(
                    "{} serves now; a running gateway switches within seconds",
                    switched.to.id()
                ));
                store.close().await?;
            }
            Command::Rollout(command) => return super::rollout::run(terminal, command).await,
            Command::Divert(divert) => return super::rollout::divert(terminal, divert).await,
            Command::Rollback { which, note, person } => {
                let (loaded, store, user) = begin(&which, &person, Act::RollBack).await?;
                let switched = registry(&store, &loaded)?
                    .roll_back(&loaded.config.system.name, &user, &note, store.now())
                    .await?;
                crate::deploy::announce(&loaded).await;
                terminal.say(&format!(
                    "{} serves again; a running gateway switches within seconds",
                    switched.to.id()
                ));
                store.close().await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) async fn begin(
    which: &Which,
    person: &Person,
    act: Act,
) -> anyhow::Result<(Loaded, Store, String)> {
    let (loaded, store) = which.open().await?;
    let user = person.prove(&store, act).await?;
    Ok((loaded, store, user.name))
}

pub(super) fn registry(store: &Store, loaded: &Loaded) -> anyhow::Result<Registry<Store, TrustedKeys>> {
    Ok(Registry::new(store.clone(), admit::trusted_keys(&loaded.storage())?).on_route(loaded.route()))
}

pub(super) fn id(loaded: &Loaded, version: &str) -> VersionId {
    VersionId { system: loaded.config.system.name.clone(), version: version.to_owned() }
}
