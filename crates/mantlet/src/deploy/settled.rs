//! What follows when a withheld decision is settled: the label goes to the analysis of a rollout, and whoever the
//! configuration names is told, signed, until it is taken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use mantlet_store::{DEADLINE, Review, ReviewDecision, ReviewState, Store};
use mantlet_worker::answer::{Hook, WebhookConfig};
use serde_json::{Value, json};

use super::notify::{read_secret, webhook_secret};
use super::systems::Sinks;
use crate::config::Loaded;

/// How often settled decisions are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How long the other side may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Decisions told at once.
const MOST: usize = 64;
/// The pause after a failure, doubled each time up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// The webhook that is told what became of withheld decisions.
///
/// # Errors
/// When its secret cannot be read or its address cannot be used.
pub(super) fn hook(loaded: &Loaded) -> anyhow::Result<Option<Hook>> {
    let reviews = &loaded.config.reviews;
    let Some(url) = &reviews.webhook else { return Ok(None) };
    let secret = match &reviews.webhook_secret_file {
        Some(path) => read_secret(&loaded.path(path))?,
        None => webhook_secret(loaded)?,
    };
    let hook = Hook::new(&WebhookConfig { url: url.clone(), secret });
    Ok(Some(hook.context("`reviews.webhook` cannot be used")?))
}

/// Hands on what is settled, as the installation's worker.
pub(super) async fn hand_on(store: Store, hook: Arc<ArcSwapOption<Hook>>, rollout: Option<Sinks>) {
    // When a ticket that was not taken is tried again, and the pause after that.
    let mut later: HashMap<String, (Instant, Duration)> = HashMap::new();
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let settled = match store.reviews_to_tell(MOST).await {
            Ok(settled) => settled,
            Err(fault) => {
                tracing::warn!(%fault, "what became of withheld decisions cannot be read; trying again");
                continue;
            }
        };
        let hook = hook.load_full();
        later.retain(|ticket, _| settled.iter().any(|review| review.ticket == *ticket));
        for review in settled {
            let tried = later.get(&review.ticket).copied();
            if tried.is_some_and(|(at, _)| at > Instant::now()) {
                continue;
            }
            if let Some(hook) = &hook {
                let seconds = store.now().0 / 1_000;
                let sent = hook.send(&review.ticket, &document(&review, seconds), seconds, PATIENCE).await;
                if let Err((why, again)) = sent {
                    tracing::warn!(
                        ticket = review.ticket,
                        fault = why,
                        "the webhook of reviews did not take it"
                    );
                    if again {
                        let pause = tried.map_or(PAUSE, |(_, pause)| (pause * 2).min(LONGEST));
                        later.insert(review.ticket.clone(), (Instant::now() + pause, pause));
                        continue;
                    }
                }
            }
            if let (Some(rollout), Some(wrong)) = (&rollout, wrong(&review)) {
                rollout.label(&review.system, &review.version, review.at, wrong);
            }
            if let Err(fault) = store.review_was_told(&review).await {
                tracing::warn!(%fault, "that a decision was handed on could not be kept; it is handed on again");
            }
        }
    }
}

/// Whether a person found the model's answer wrong; nothing where no person said so.
fn wrong(review: &Review) -> Option<bool> {
    if review.decided_by.as_deref() == Some(DEADLINE) || review.reply.is_none() {
        return None;
    }
    match &review.decision {
        Some(ReviewDecision::Release) => Some(false),
        Some(ReviewDecision::Answer(_)) => Some(true),
        Some(ReviewDecision::Reject(_)) | None => None,
    }
}

/// What is told: as a poll tells the caller.
fn document(review: &Review, seconds: u64) -> Value {
    let (status, answer, reason) = match (&review.decision, review.state) {
        (Some(ReviewDecision::Release), _) if review.reply.is_none() => ("goes-on", None, None),
        (Some(ReviewDecision::Release), _) => ("released", review.reply.clone(), None),
        (Some(ReviewDecision::Answer(answer)), _) => ("released", Some(answer.clone()), None),
        (Some(ReviewDecision::Reject(why)), _) => ("rejected", None, Some(why.clone())),
        (None, ReviewState::Expired) => ("rejected", None, Some("nobody decided in time".to_owned())),
        (None, _) => ("rejected", None, None),
    };
    json!({
        "type": "review.settled",
        "version": 1,
        "timestamp": mantlet_vocab::Millis(seconds * 1_000).rfc3339(),
        "data": {
            "ticket": review.ticket,
            "exchange": review.exchange,
            "system": review.system,
            "status": status,
            "answer": answer,
            "reason": reason,
        },
    })
}
