//! The asynchronous runtime, the interrupt, and who is at the keyboard.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs a future to its end on a runtime of its own.
///
/// # Errors
/// When no runtime can be made, or as the future says.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // A machine of many cores is not for this program alone unless somebody says so.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(2);
    }
    builder.enable_all().build()?.block_on(future)
}

/// How long freed memory is kept from the system, in milliseconds, as the allocator reads it before the program begins.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Begins this program anew, in the same process, so that freed memory goes back to the system soon, unless somebody has
/// said how long it is kept. What serves for weeks would otherwise hold what its start and its busiest moment took.
/// Goes on as it is where the program cannot be begun anew.
pub fn give_memory_back() {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        let Some(program) = std::env::current_exe().ok().filter(|_| std::env::var_os(PURGE_DELAY).is_none())
        else {
            return;
        };
        let mut said = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = said.next() {
            command.arg0(name);
        }
        // It returns only when it could not.
        let _ = command.args(said).env(PURGE_DELAY, "0").exec();
    }
}

/// Sets the flag at the first interrupt (Ctrl-C); a second one ends the process at once.
pub fn stop_on_interrupt(stop: Arc<AtomicBool>) {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(4);
            }
        }
    });
}

/// The person at the keyboard, as the operating system knows them.
pub fn actor() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let plain: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    if plain.is_empty() { "operator".to_owned() } else { plain }
}

/// Randomness from the operating system.
///
/// # Errors
/// When it gives none.
pub fn entropy<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    Ok(bytes)
}

/// Being asked to end: an interrupt (Ctrl-C) or a termination signal. From the moment this is made neither kills the
/// process, and none that comes while nobody waits is lost.
pub struct Ending {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Ending {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system gives no signal handler.
    pub fn listen() -> anyhow::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { signals: [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?] })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits until asked.
    pub async fn asked(&mut self) {
        #[cfg(unix)]
        {
            let [interrupt, terminate] = &mut self.signals;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Structured logs on standard error; `MANTLET_LOG` sets the filter. Bodies and secrets never reach them.
pub fn logs(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MANTLET_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call, as in tests, leaves the first one in place.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

/// Only errors, for commands whose output is the story.
pub fn quiet_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MANTLET_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
