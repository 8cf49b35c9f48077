//! History on an object store, in builds that have the `remote` feature.

use std::time::Duration;

use crate::config::Loaded;

/// Segments that go to the store, and come from it.
pub struct History {
    #[cfg(feature = "remote")]
    mirrors: Vec<(std::sync::Arc<tokio::sync::Mutex<mantlet_remote::Mirror>>, tokio::task::JoinHandle<()>)>,
}

/// How long the last pass may take when the program ends.
#[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "only builds that reach stores use it"))]
const GOODBYE: Duration = Duration::from_secs(20);

impl History {
    /// Whether this build can keep history where the configuration says.
    ///
    /// # Errors
    /// When a store is named and this build cannot reach one.
    pub fn possible(loaded: &Loaded) -> anyhow::Result<()> {
        anyhow::ensure!(
            cfg!(feature = "remote") || loaded.config.shared.history.is_none(),
            "`shared.history` needs a build with the `remote` feature: `cargo xtask dist --features remote`"
        );
        Ok(())
    }

    /// Begins to keep the folder and the store alike; `fetch` when people look at history here.
    ///
    /// # Errors
    /// When a store is named and this build cannot reach one, or the address is none.
    #[cfg(not(feature = "remote"))]
    pub fn start(loaded: &Loaded, _further: &[String], _fetch: bool) -> anyhow::Result<Self> {
        Self::possible(loaded)?;
        Ok(Self {})
    }

    /// Begins to keep the folders of every system and the store alike; `fetch` when people look at history here.
    ///
    /// # Errors
    /// When the address or the credentials are none.
    #[cfg(feature = "remote")]
    pub fn start(loaded: &Loaded, further: &[String], fetch: bool) -> anyhow::Result<Self> {
        let Some(address) = &loaded.config.shared.history else { return Ok(Self { mirrors: Vec::new() }) };
        let every = Duration::from_secs(loaded.config.shared.history_seconds.max(1));
        let storage = loaded.storage();
        let mut mirrors = vec![mirror(address, &storage.join("exchanges"), fetch, every)?];
        for system in further {
            let address = format!("{}/systems/{system}", address.trim_end_matches('/'));
            let folder = mantlet_store::system_folder(&storage, system).join("exchanges");
            mirrors.push(mirror(&address, &folder, fetch, every)?);
        }
        Ok(Self { mirrors })
    }

    /// Sends what was written last.
    pub async fn stop(self) {
        #[cfg(feature = "remote")]
        for (mirror, task) in self.mirrors {
            task.abort();
            let _ = task.await;
            let mut mirror = mirror.lock().await;
            match tokio::time::timeout(GOODBYE, mirror.pass()).await {
                Ok(Ok(_)) => {}
                Ok(Err(fault)) => {
                    tracing::error!(fault, "the last of the history stays here until the next start")
                }
                Err(_) => tracing::error!("the last of the history stays here until the next start"),
            }
        }
    }
}

#[cfg(feature = "remote")]
fn mirror(
    address: &str,
    folder: &std::path::Path,
    fetch: bool,
    every: Duration,
) -> anyhow::Result<(std::sync::Arc<tokio::sync::Mutex<mantlet_remote::Mirror>>, tokio::task::JoinHandle<()>)>
{
    // A segment is one answer.
    let limits = mantlet_remote::Limits { document: 256 << 20, ..mantlet_remote::Limits::default() };
    let environment = |name: &str| std::env::var(name).ok();
    let mirror = mantlet_remote::Mirror::new(address, folder, fetch, limits, &environment)?;
    let mirror = std::sync::Arc::new(tokio::sync::Mutex::new(mirror));
    let task = tokio::spawn({
        let mirror = mirror.clone();
        async move {
            let mut tick = tokio::time::interval(every);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                if let Err(fault) = mirror.lock().await.pass().await {
                    tracing::error!(fault, "history is here and not yet on the store; trying again");
                }
            }
        }
    });
    Ok((mirror, task))
}
