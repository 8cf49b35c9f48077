//! `mantlet up [DIR]`: gateway and console until interrupted.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, ValueEnum};
use mantlet_access::Role;
use serde_json::json;

use super::cluster;
use super::keys::add_user;
use crate::config;
use crate::deploy::{self, Roles};
use crate::runtime;
use crate::terminal::Terminal;

/// What to run.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder with mantlet.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// What this process does.
    #[arg(long, value_enum, default_value_t = WhichRole::All)]
    role: WhichRole,
    /// How addresses and credentials are printed: lines, or one JSON object.
    #[arg(long, value_enum, default_value_t = Print::Text)]
    format: Print,
    #[command(flatten)]
    part: cluster::Part,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhichRole {
    /// Everything.
    All,
    /// The gateway.
    Gateway,
    /// The console.
    Console,
    /// The analysis of what gateways saw: alerts are answered and rollouts judged.
    Worker,
    /// The scheduler of a cluster that counts tables; reads no mantlet.toml.
    Scheduler,
    /// An executor of such a cluster; reads no mantlet.toml.
    Executor,
}

/// How start-up is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Print {
    /// Lines.
    Text,
    /// One JSON object on one line.
    Json,
}

/// How often the configuration is looked at for a change.
const WATCH: Duration = Duration::from_secs(1);
/// How long after the start its code is given back, and how often what ran once since then is.
const SETTLED: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_secs(300);

/// Runs the command until interrupted or terminated.
///
/// # Errors
/// When an address is taken, nothing may serve, or the store is held by another process.
pub fn run(terminal: Terminal, options: Options) -> anyhow::Result<ExitCode> {
    runtime::give_memory_back();
    let part = match options.role {
        WhichRole::Scheduler => Some(cluster::Does::Scheduler),
        WhichRole::Executor => Some(cluster::Does::Executor),
        WhichRole::All | WhichRole::Gateway | WhichRole::Console | WhichRole::Worker => None,
    };
    if let Some(does) = part {
        return cluster::run(terminal, does, options.part, options.format == Print::Json);
    }
    runtime::logs(options.format == Print::Json);
    let loaded = config::load(&options.folder)?;
    runtime::block_on(async {
        let does = |role| options.role == WhichRole::All || options.role == role;
        let roles = Roles {
            gateway: does(WhichRole::Gateway),
            console: does(WhichRole::Console),
            worker: does(WhichRole::Worker),
        };
        let mut ending = runtime::Ending::listen()?;
        let mut running = deploy::start(&loaded, roles).await?;
        // Credentials are made once, when there are none, and shown once.
        let key = if running.store.keys().await?.is_empty() {
            let scopes = vec![mantlet_access::Scope::InferAny];
            Some(running.store.make_key("first key", scopes, None, &runtime::actor()).await?.0)
        } else {
            None
        };
        running.take_keys().await?;
        let password = if roles.console && running.store.users().await?.is_empty() {
            Some(add_user(&running.store, "admin", Role::Admin, &runtime::actor()).await?)
        } else {
            None
        };
        let address =
            |address: Option<std::net::SocketAddr>| address.map(|address| format!("http://{address}"));
        let printed = [
            ("gateway", address(running.gateway_address())),
            ("console", address(running.console_address())),
            ("model_server", address(running.server_address())),
            ("api_key", key.as_ref().map(|key| key.expose().to_owned())),
            ("console_user", password.as_ref().map(|_| "admin".to_owned())),
            ("console_password", password),
        ];
        if options.format == Print::Json {
            let mut object = serde_json::Map::new();
            for (name, value) in printed {
                object.insert(name.to_owned(), json!(value));
            }
            object.insert("gaps".to_owned(), json!(running.gaps));
            terminal.say(&serde_json::Value::Object(object).to_string());
        } else {
            for (name, value) in printed {
                if let Some(value) = value {
                    terminal.say(&format!("{:<17} {value}", name.replace('_', " ")));
                }
            }
            running.gaps.iter().for_each(|gap| terminal.say(&format!("not in force: {gap}")));
            terminal.note("Ctrl-C stops. Credentials above are shown once.");
        }
        let mut seen = modified(&loaded.file);
        let mut pushed = None;
        let mut code_stays = Instant::now() + SETTLED;
        loop {
            let heard = tokio::select! {
                () = ending.asked() => break,
                () = running.told() => "news",
                () = tokio::time::sleep(WATCH) => "a look",
            };
            if code_stays <= Instant::now() {
                code_stays = Instant::now() + AGAIN;
                if let Err(error) = mantlet_resident::give_code_back() {
                    tracing::debug!(%error, "code that ran once stays in memory");
                }
            }
            if running.store.is_shared() {
                take_pushed(&mut running, &loaded, &mut pushed, heard).await;
            }
            let now = modified(&loaded.file);
            if now == seen {
                continue;
            }
            seen = now;
            match config::load(&loaded.file) {
                Ok(fresh) => match running.reload(&fresh).await {
                    Ok(generation) => tracing::info!(generation, "configuration taken over"),
                    Err(error) => tracing::error!(
                        error = format!("{error:#}"),
                        "the new configuration is refused; the old one serves on"
                    ),
                },
                Err(error) => {
                    tracing::error!(%error, "the new configuration is refused; the old one serves on")
                }
            }
        }
        running.stop().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Takes over a configuration that was pushed to all replicas, once.
async fn take_pushed(
    running: &mut deploy::Running,
    loaded: &config::Loaded,
    taken: &mut Option<mantlet_vocab::Millis>,
    heard: &str,
) {
    let system = &loaded.config.system.name;
    let (at, text) = match deploy::pushed_config(&running.store, system).await {
        Ok(Some(pushed)) if Some(pushed.0) != *taken => pushed,
        Ok(_) => return,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "pushed configurations cannot be read; the old one serves on"
            );
            return;
        }
    };
    *taken = Some(at);
    let result = match loaded.pushed(&text) {
        Ok(fresh) => running.reload(&fresh).await,
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(generation) => tracing::info!(generation, by = heard, "the pushed configuration is taken over"),
        Err(error) => tracing::error!(
            error = format!("{error:#}"),
            "the pushed configuration is refused; the old one serves on"
        ),
    }
}

fn modified(path: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
