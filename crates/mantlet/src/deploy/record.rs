//! What is on record of a system's switches, for its gateways to follow wherever they run.

use std::collections::BTreeMap;

use mantlet_console::path_record;
use mantlet_guard::{ActiveControl, KeyControl};
use mantlet_replicas::Topic;
use mantlet_respond::KeyStanding;
use mantlet_store::{Record, RecordKind, Store};
use mantlet_vocab::Millis;

use super::Deck;
use super::switches::REASON;
use crate::config::Loaded;

/// Begins the reason callers read when a person or the analysis of a rollout diverted the path.
pub(super) const KILL: &str = "a person decides: ";

/// Controls on record that are looked at.
const CONTROLS_MOST: usize = 10_000;

/// The controls of one key, on record.
#[derive(serde::Deserialize)]
struct KeptKey {
    key: String,
    controls: Vec<ActiveControl<KeyControl>>,
}

fn key_prefix(system: &str) -> String {
    format!("{system}/key/")
}

fn version_id(system: &str) -> String {
    format!("{system}/version")
}

/// Records whether every decision of a system goes to people; running gateways follow within seconds.
///
/// # Errors
/// When the store fails.
pub async fn put_path(
    store: &Store,
    system: &str,
    on: bool,
    reason: &str,
    actor: &str,
) -> anyhow::Result<()> {
    let record = Record {
        id: path_record(system),
        system: system.to_owned(),
        at: store.now(),
        state: if on { "on" } else { "off" }.to_owned(),
        doc: serde_json::json!({ "reason": reason }),
    };
    store.put_record(RecordKind::Controls, &record, actor).await?;
    Ok(())
}

fn config_id(system: &str) -> String {
    format!("{system}/config")
}

/// Records a configuration for every replica to take over.
///
/// # Errors
/// When the store fails.
pub async fn put_config(store: &Store, system: &str, text: &str, actor: &str) -> anyhow::Result<()> {
    let record = Record {
        id: config_id(system),
        system: system.to_owned(),
        at: store.now(),
        state: "on".to_owned(),
        doc: serde_json::json!({ "text": text }),
    };
    store.put_record(RecordKind::Controls, &record, actor).await?;
    Ok(())
}

/// The configuration that was pushed last, and when.
///
/// # Errors
/// When the store fails.
pub async fn pushed_config(store: &Store, system: &str) -> anyhow::Result<Option<(Millis, String)>> {
    let record = store.record(RecordKind::Controls, &config_id(system)).await?;
    Ok(record.and_then(|record| Some((record.at, record.doc.get("text")?.as_str()?.to_owned()))))
}

/// Says to running replicas that a command changed the record. Without NATS they see it within seconds.
pub async fn announce(loaded: &Loaded) {
    let Ok(Some(bus)) = crate::config::bus(&loaded.config.shared, &loaded.root).await else { return };
    if bus.tell(Topic::Changed, Vec::new()).is_err() {
        return;
    }
    let told = async {
        while bus.status().told == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), told).await;
}

impl Deck {
    pub(super) async fn record_key(&self, key: &str, standing: &KeyStanding) -> anyhow::Result<()> {
        let now = self.store.now();
        let control = |on: bool, what: KeyControl, until: Option<Millis>| {
            on.then(|| ActiveControl { what, since: now, until, reason: REASON.to_owned() })
        };
        let per_minute = f64::from(standing.per_minute.unwrap_or(0));
        let controls = [
            control(
                standing.per_minute.is_some(),
                KeyControl::Throttle { per_minute },
                standing.slowed_until,
            ),
            control(standing.blocked, KeyControl::Block, standing.blocked_until),
            control(standing.diverted, KeyControl::Divert, standing.diverted_until),
        ];
        let controls: Vec<ActiveControl<KeyControl>> = controls.into_iter().flatten().collect();
        let record = Record {
            id: format!("{}{key}", key_prefix(&self.system)),
            system: self.system.clone(),
            at: now,
            state: if controls.is_empty() { "off" } else { "on" }.to_owned(),
            doc: serde_json::json!({ "key": key, "controls": controls }),
        };
        self.store.put_record(RecordKind::Controls, &record, mantlet_respond::SELF).await?;
        Ok(())
    }

    pub(super) async fn record_version(&self, chosen: Option<&String>) -> anyhow::Result<()> {
        let record = Record {
            id: version_id(&self.system),
            system: self.system.clone(),
            at: self.store.now(),
            state: if chosen.is_some() { "on" } else { "off" }.to_owned(),
            doc: serde_json::json!({ "version": chosen }),
        };
        self.store.put_record(RecordKind::Controls, &record, mantlet_respond::SELF).await?;
        Ok(())
    }

    /// What incidents switched on anywhere is in force everywhere.
    pub(super) async fn follow_replicas(&self) -> anyhow::Result<()> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let now = self.store.now();
        let mut keys = BTreeMap::new();
        let prefix = key_prefix(&self.system);
        for record in self.store.records(RecordKind::Controls, Some(&self.system), CONTROLS_MOST).await? {
            if record.state == "on" && record.id.starts_with(&prefix) {
                let kept: KeptKey = serde_json::from_value(record.doc)?;
                let in_force: Vec<_> = kept.controls.into_iter().filter(|c| c.in_force(now)).collect();
                if !in_force.is_empty() {
                    keys.insert(kept.key, in_force);
                }
            }
        }
        self.guard.load().controls().replace_keys(keys);
        let chosen = self.store.record(RecordKind::Controls, &version_id(&self.system)).await?;
        let chosen = chosen.filter(|record| record.state == "on");
        let chosen = chosen.and_then(|record| Some(record.doc.get("version")?.as_str()?.to_owned()));
        let mut mine = self.chosen.lock().await;
        if *mine != chosen {
            if let Some(version) = &chosen {
                self.verify(version).await?;
                self.guard.load().controls().set_version(Some(version.clone()));
            }
            *mine = chosen;
        }
        Ok(())
    }

    pub(super) async fn follow_path(&self) -> anyhow::Result<()> {
        let record = self.store.record(RecordKind::Controls, &path_record(&self.system)).await?;
        let on = record.as_ref().filter(|record| record.state == "on");
        let guard = self.guard.load();
        let controls = guard.controls();
        let now = controls.snapshot().path.map(|path| path.reason);
        let wanted = on.map(|record| record.doc.get("reason").and_then(|r| r.as_str()).unwrap_or(REASON));
        let ours = |reason: &str| reason.starts_with(KILL);
        match (wanted, now) {
            (Some(wanted), now) if now.as_deref() != Some(&format!("{KILL}{wanted}")) => {
                controls.divert_path(self.store.now(), None, format!("{KILL}{wanted}"));
            }
            // What an incident diverted, the incident releases.
            (None, Some(reason)) if ours(&reason) => {
                controls.release_path();
            }
            _ => {}
        }
        Ok(())
    }
}
