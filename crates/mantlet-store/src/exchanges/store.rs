//! The histories of a store: that of its own system, and those of further systems that answer beside it.
//!
//! Each system's exchanges are in a folder of their own, so that what looks over a model's numbers finds no other model's
//! among them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mantlet_columns::Row;
use mantlet_vocab::Exchange;
use tokio::sync::broadcast;

use super::{Counters, ExchangeFilter, ExchangeRecorder, History, HistoryStatus, held, query};
use crate::audit::blocking;
use crate::{Store, StoreError};

/// Further systems whose folders are looked into.
const SYSTEMS_MOST: usize = 1_000;

/// Where what a further system keeps in files is.
#[must_use]
pub fn system_folder(folder: &Path, system: &str) -> PathBuf {
    folder.join("systems").join(system)
}

/// The histories under a folder, and the system of each but the first.
fn folders(folder: &Path) -> Vec<(Option<String>, PathBuf)> {
    let mut found = vec![(None, folder.join("exchanges"))];
    let Ok(entries) = std::fs::read_dir(folder.join("systems")) else { return found };
    for entry in entries.flatten().take(SYSTEMS_MOST) {
        let own = entry.path().join("exchanges");
        if own.is_dir()
            && let Ok(system) = entry.file_name().into_string()
        {
            found.push((Some(system), own));
        }
    }
    found
}

impl Store {
    fn histories(&self) -> impl Iterator<Item = &History> {
        self.inner.history.iter().chain(self.inner.further.values())
    }

    /// Where the gateway hands over finished exchanges of a further system; `None` for one that has no history of its own
    /// here.
    #[must_use]
    pub fn recorder_of(&self, system: &str) -> Option<ExchangeRecorder> {
        self.inner.further.get(system).map(History::recorder)
    }

    /// Writes buffered exchanges into segments now.
    ///
    /// # Errors
    /// When a segment cannot be written; its rows stay buffered.
    pub async fn flush_exchanges(&self) -> Result<(), StoreError> {
        for history in self.histories() {
            history.flush().await?;
        }
        Ok(())
    }

    /// How the histories are doing together; zeros when this process does not serve.
    #[must_use]
    pub fn history_status(&self) -> HistoryStatus {
        let sum = |read: fn(&Counters) -> &std::sync::atomic::AtomicU64| {
            let of = |history: &History| read(&history.recorder.shared.counters).load(Ordering::Relaxed);
            self.histories().map(of).sum()
        };
        HistoryStatus {
            recorded: sum(|counters| &counters.recorded),
            dropped: sum(|counters| &counters.dropped),
            lost: sum(|counters| &counters.lost),
            unprotected: sum(|counters| &counters.unprotected),
            segments: sum(|counters| &counters.segments),
            recovered: sum(|counters| &counters.recovered),
            torn: sum(|counters| &counters.torn),
            failures: sum(|counters| &counters.failures),
        }
    }

    /// The last exchanges of this process, whole, newest first.
    #[must_use]
    pub fn recent_exchanges(&self, most: usize) -> Vec<Arc<Exchange>> {
        let mut recent = Vec::new();
        for history in self.histories() {
            recent.extend(held(&history.recorder.shared.recent).iter().rev().take(most).cloned());
        }
        if !self.inner.further.is_empty() {
            recent.sort_by_key(|exchange| std::cmp::Reverse(exchange.at));
            recent.truncate(most);
        }
        recent
    }

    /// Exchanges as they are recorded from now on; a slow reader is told how many it missed.
    #[must_use]
    pub fn subscribe(&self) -> Option<broadcast::Receiver<Arc<Exchange>>> {
        self.inner.history.as_ref().map(|history| history.recorder.shared.live.subscribe())
    }

    /// Recorded exchanges of every system, newest first, from memory and disk.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub async fn exchanges(&self, filter: ExchangeFilter) -> Result<Vec<Row>, StoreError> {
        let store = self.clone();
        blocking(move || {
            let mut found = Vec::new();
            for (system, folder) in folders(&store.inner.folder) {
                let other = |system: &String| filter.system.as_ref().is_some_and(|wanted| wanted != system);
                if system.as_ref().is_some_and(other) {
                    continue;
                }
                let history = match &system {
                    Some(system) => store.inner.further.get(system),
                    None => store.inner.history.as_ref(),
                };
                let shared = history.map(|history| history.recorder.shared.clone());
                found.extend(query::find(&folder, shared.as_deref(), &filter)?);
            }
            query::newest(&mut found, filter.most);
            Ok(found)
        })
        .await
    }

    /// The recorded exchange of this id.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub async fn exchange(&self, id: &str) -> Result<Option<Row>, StoreError> {
        let filter = ExchangeFilter { ids: vec![id.to_owned()], most: 1, ..ExchangeFilter::default() };
        Ok(self.exchanges(filter).await?.pop())
    }
}
