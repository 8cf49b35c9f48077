//! `mantlet registry rollout start|status|pause|resume|abort|promote`, and the kill switch.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mantlet_access::Act;
use mantlet_registry::RegistryStore as _;
use mantlet_registry::rollout::{Outputs, Plan, Rollout, Verdict};
use mantlet_store::{ExchangeFilter, Store};

use super::registry::{begin, id, registry};
use super::{Person, Which};
use crate::config::Loaded;
use crate::deploy;
use crate::exit::Usage;
use crate::protect::admit;
use crate::runtime;
use crate::terminal::Terminal;

/// Exchanges of the version that serves from which it is learned what counts as slow.
const LEARN_FROM: usize = 2_000;
/// Fewer than these teach nothing.
const LEARN_LEAST: usize = 100;

/// What to do with a rollout.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Begin: the gates of `promote` stand before the first step.
    Start(Start),
    /// Where it is, what it waits for, and how each metric stands.
    Status {
        #[command(flatten)]
        which: Which,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stay at this step. A paused rollout is still taken back when the candidate does worse.
    Pause(Decided),
    /// Go on.
    Resume(Decided),
    /// End it: everybody gets the version that serves.
    Abort(Decided),
    /// Put the candidate before everybody now, whatever step it is at.
    Promote(Decided),
}

/// How to begin.
#[derive(Debug, Args)]
pub struct Start {
    /// The candidate.
    version: String,
    #[command(flatten)]
    which: Which,
    /// Shares of the callers in percent, rising: `1,5,25,50`.
    #[arg(long, value_delimiter = ',', value_name = "PERCENT")]
    steps: Vec<f64>,
    /// Exchanges of each version that a step waits for.
    #[arg(long)]
    samples: Option<u64>,
    /// Seconds a step lasts at least.
    #[arg(long)]
    step_seconds: Option<u64>,
    /// Copies of requests the candidate answers in the shadow first.
    #[arg(long)]
    shadow_samples: Option<u64>,
    /// How often at most a version within all margins may be taken back.
    #[arg(long)]
    false_rollback: Option<f64>,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    person: Person,
}

/// Who decides, and why.
#[derive(Debug, Args)]
pub struct Decided {
    #[command(flatten)]
    which: Which,
    /// Why, for the record.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    person: Person,
}

/// The kill switch of a decision path.
#[derive(Debug, Args)]
pub struct Divert {
    #[command(flatten)]
    which: Which,
    /// Let decisions flow again.
    #[arg(long)]
    off: bool,
    /// Why, in words the callers may read.
    #[arg(long)]
    note: String,
    #[command(flatten)]
    person: Person,
}

/// Runs the command.
///
/// # Errors
/// When the change is not allowed; nothing was changed then.
pub async fn run(terminal: Terminal, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Start(start) => self::start(terminal, start).await?,
        Command::Status { which, json } => {
            let (loaded, store) = which.open().await?;
            let rollout = store.rollout(&loaded.config.system.name).await?;
            match (rollout, json) {
                (rollout, true) => terminal.say(&serde_json::to_string_pretty(&rollout)?),
                (None, false) => terminal.say("no version was ever rolled out step by step"),
                (Some(rollout), false) => tell(terminal, &rollout, &store),
            }
            store.close().await?;
        }
        Command::Pause(decided) => pause(terminal, decided, true).await?,
        Command::Resume(decided) => pause(terminal, decided, false).await?,
        Command::Abort(Decided { which, note, person }) => {
            let (loaded, store, user) = begin(&which, &person, Act::RollBack).await?;
            let system = &loaded.config.system.name;
            let rollout = registry(&store, &loaded)?.abort_rollout(system, &user, &note, store.now()).await?;
            deploy::announce(&loaded).await;
            terminal.say(&format!("{} is over: everybody gets {}", rollout.candidate, rollout.stable));
            store.close().await?;
        }
        Command::Promote(Decided { which, note, person }) => {
            let (loaded, store, user) = begin(&which, &person, Act::Promote).await?;
            let system = &loaded.config.system.name;
            let registry = registry(&store, &loaded)?;
            let running = registry.running(system).await?;
            let running = running.ok_or_else(|| Usage(format!("no rollout of {system} runs")))?;
            let rollout = registry.complete_rollout(&running, &user, &note, store.now()).await?;
            deploy::announce(&loaded).await;
            terminal.say(&format!("{} serves everybody", rollout.candidate));
            store.close().await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(terminal: Terminal, start: Start) -> anyhow::Result<()> {
    let (loaded, store, user) = begin(&start.which, &start.person, Act::Promote).await?;
    let system = loaded.config.system.name.clone();
    let serving = store.system(&system).await?.and_then(|system| system.serving);
    let mut settings = loaded.config.rollout.clone();
    if !start.steps.is_empty() {
        settings.steps = start.steps;
    }
    settings.samples = start.samples.unwrap_or(settings.samples);
    settings.step_seconds = start.step_seconds.unwrap_or(settings.step_seconds);
    settings.shadow_samples = start.shadow_samples.unwrap_or(settings.shadow_samples);
    settings.false_rollback = start.false_rollback.unwrap_or(settings.false_rollback);
    let mut plan: Plan = settings.plan(outputs(&loaded, serving.as_deref()));
    if plan.slow_ms.is_none() {
        plan.slow_ms = slow(&store, &system, serving.as_deref()).await?;
    }
    let name: String = runtime::entropy::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let registry = registry(&store, &loaded)?;
    let candidate = id(&loaded, &start.version);
    let rollout = registry
        .start_rollout(&candidate, plan, &format!("roll-{name}"), &user, &start.note, store.now())
        .await?;
    tell(terminal, &rollout, &store);
    terminal
        .note("a running gateway follows within seconds; versions admitted after it started need a restart");
    store.close().await?;
    Ok(())
}

/// What of the replies is compared: the classes the profile knows.
fn outputs(loaded: &Loaded, serving: Option<&str>) -> Outputs {
    let Some(serving) = serving else { return Outputs::None };
    let path = admit::version_folder(loaded, serving).join("profile.json");
    let profile = std::fs::read(path).ok();
    let profile = profile.and_then(|bytes| serde_json::from_slice::<mantlet_detectors::Profile>(&bytes).ok());
    match profile.map_or(0, |profile| profile.classes.len()) {
        count @ 2..=64 => Outputs::Classes(count),
        _ => Outputs::None,
    }
}

/// The 95th percentile of how long the version that serves took; `None` when too little is recorded.
async fn slow(store: &Store, system: &str, serving: Option<&str>) -> anyhow::Result<Option<f64>> {
    let filter =
        ExchangeFilter { system: Some(system.to_owned()), most: LEARN_FROM, ..ExchangeFilter::default() };
    let rows = store.exchanges(filter).await?;
    let answered = rows.iter().filter(|row| Some(row.version.as_str()) == serving && row.status == 200);
    let mut took: Vec<f64> = answered.map(|row| row.took_ms).filter(|took| took.is_finite()).collect();
    took.sort_by(f64::total_cmp);
    Ok(if took.len() < LEARN_LEAST { None } else { took.get(took.len() * 95 / 100).copied() })
}

async fn pause(terminal: Terminal, decided: Decided, paused: bool) -> anyhow::Result<()> {
    let Decided { which, note, person } = decided;
    let (loaded, store, user) =
        begin(&which, &person, if paused { Act::RollBack } else { Act::Promote }).await?;
    let system = &loaded.config.system.name;
    let rollout = registry(&store, &loaded)?.pause_rollout(system, paused, &user, &note, store.now()).await?;
    tell(terminal, &rollout, &store);
    store.close().await?;
    Ok(())
}

fn tell(terminal: Terminal, rollout: &Rollout, store: &Store) {
    terminal.say(&format!(
        "{} beside {}{}: {}, {:.2} % of the callers since {}",
        rollout.candidate,
        rollout.stable,
        rollout.route.as_ref().map(|route| format!(" on route {route}")).unwrap_or_default(),
        rollout.phase,
        f64::from(rollout.share()) / 100.0,
        rollout.since
    ));
    match rollout.judge(store.now()) {
        Verdict::Hold(holds) => holds.iter().for_each(|hold| terminal.say(&format!("  waits: {hold}"))),
        Verdict::RollBack(worse) => terminal.say(&format!("  worse: {worse}")),
        Verdict::Advance => terminal.say("  goes on at the next look"),
        Verdict::Over => {}
    }
    let percent = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{:.2} %", rate * 100.0));
    for standing in rollout.evidence.standings().iter().filter(|standing| standing.candidate.is_some()) {
        terminal.say(&format!(
            "  {:<34} {:>9} against {:>9}  allowed {:.2} points  p {:.3}",
            standing.metric.to_string(),
            percent(standing.candidate),
            percent(standing.baseline),
            standing.margin * 100.0,
            standing.p
        ));
    }
    for line in &rollout.lines {
        terminal.say(&format!("  {}  {} by {}: {}", line.at, line.what, line.actor, line.reason));
    }
}

/// Sends every decision of the system to people, or ends that.
///
/// # Errors
/// When the person may not, or the store fails.
pub async fn divert(terminal: Terminal, divert: Divert) -> anyhow::Result<ExitCode> {
    let Divert { which, off, note, person } = divert;
    let (loaded, store, user) =
        begin(&which, &person, if off { Act::UndoContainment } else { Act::Contain }).await?;
    deploy::put_path(&store, &loaded.config.system.name, !off, &note, &user).await?;
    deploy::announce(&loaded).await;
    let said = if off { "decisions flow again" } else { "every decision goes to a person" };
    terminal.say(&format!("{said}; a running gateway follows within seconds"));
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}
