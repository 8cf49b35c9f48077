//! What is on record, followed: keys, versions, rollouts and switches that another process changed.
//!
//! A replica that cannot reach the record goes by what it read last. Routes are told after a few seconds, what they do then
//! is `gateway.replicas_on_failure`, and once the record is there again it says from when to when.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mantlet_access::KeyRing;
use mantlet_gateway::Gateway;
use mantlet_replicas::Bus;
use mantlet_store::{NewEntry, Stamp, Store};
use mantlet_vocab::Millis;
use tokio::time::Instant;

use super::{Decks, KeyCache};

/// How often keys and versions changed by another process are looked for.
const REFRESH: Duration = Duration::from_millis(400);
/// How long a record that replicas share may give no answer before routes are told.
const OUT_OF_REACH: Duration = Duration::from_secs(3);

/// New keys count at once, and one that was revoked is not believed a moment longer.
pub(super) fn take_keys(ring: KeyRing, keys: &KeyCache, gateway: Option<&Gateway>) {
    if keys.replace(ring)
        && let Some(gateway) = gateway
    {
        gateway.forget_keys();
    }
}

/// Follows the record for as long as it is let.
pub(super) async fn follow(
    store: Store,
    keys: Arc<KeyCache>,
    decks: Arc<Decks>,
    gateway: Weak<Gateway>,
    bus: Option<Bus>,
) {
    let mut tick = tokio::time::interval(REFRESH);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut changes = bus.as_ref().map(Bus::changes);
    let mut read = None;
    let mut reach = Reach::new(store.now());
    loop {
        // Another replica said that something changed, or it is time to look anyway.
        let changed = async {
            match &mut changes {
                Some(changes) => changes.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tick.tick() => {}
            heard = changed => if !heard {
                changes = None;
                continue;
            },
        }
        let looking = look(&store, &keys, &decks, &gateway, &mut read);
        tokio::pin!(looking);
        // No answer takes longer than routes may go without being told.
        let late = tokio::time::sleep_until(reach.last + OUT_OF_REACH);
        let reached = tokio::select! {
            reached = &mut looking => reached,
            () = late, if store.is_shared() && !reach.is_lost() => {
                reach.lost(&decks);
                looking.await
            }
        };
        if !store.is_shared() {
            continue;
        }
        if reached {
            reach.there(&store, &decks).await;
        } else if reach.last.elapsed() >= OUT_OF_REACH && !reach.is_lost() {
            reach.lost(&decks);
        }
    }
}

/// Looks at the record once; whether it gave an answer.
async fn look(
    store: &Store,
    keys: &KeyCache,
    decks: &Decks,
    gateway: &Weak<Gateway>,
    read: &mut Option<Stamp>,
) -> bool {
    let stamp = store.stamp();
    let still = stamp.as_ref().zip(read.as_ref()).is_some_and(|(stamp, read)| stamp.is_still(read));
    let mut reached = true;
    if !still {
        match store.key_ring().await {
            Ok(ring) => {
                take_keys(ring, keys, gateway.upgrade().as_deref());
                *read = stamp;
            }
            Err(error) => {
                tracing::warn!(%error, "keys could not be read again; the old ones count on");
                *read = None;
                reached = false;
            }
        }
    }
    if let Err(error) = decks.follow_the_record().await {
        tracing::error!(error = format!("{error:#}"), "what is on record is not in force");
    }
    reached
}

/// Whether the record that replicas share can be reached from here.
struct Reach {
    /// When it last gave an answer.
    last: Instant,
    at: Millis,
    lost: bool,
    /// From when to when it was out of reach, until that is on the audit log.
    owed: Option<(Millis, Millis)>,
}

impl Reach {
    fn new(at: Millis) -> Self {
        Self { last: Instant::now(), at, lost: false, owed: None }
    }

    const fn is_lost(&self) -> bool {
        self.lost
    }

    fn lost(&mut self, decks: &Decks) {
        self.lost = true;
        decks.own_controls().set_cut_off(true);
        tracing::error!("the record that replicas share is out of reach: what was read last counts on");
    }

    async fn there(&mut self, store: &Store, decks: &Decks) {
        let now = store.now();
        if self.lost {
            self.lost = false;
            decks.own_controls().set_cut_off(false);
            tracing::info!(
                seconds = now.since(self.at) / 1_000,
                "the record that replicas share is there again"
            );
            let since = self.owed.map_or(self.at, |(since, _)| since);
            self.owed = Some((since, now));
        }
        (self.last, self.at) = (Instant::now(), now);
        if let Some((from, to)) = self.owed {
            let detail = serde_json::json!({
                "from": from.rfc3339(),
                "to": to.rfc3339(),
                "seconds": to.since(from) / 1_000,
                "served_by": "what was read last",
            });
            let entry = NewEntry::new(mantlet_respond::SELF, "record-out-of-reach", decks.system(), detail);
            match store.audit().append(entry).await {
                Ok(_) => self.owed = None,
                Err(error) => {
                    tracing::warn!(%error, "that the record was out of reach is not on the audit log yet")
                }
            }
        }
    }
}
