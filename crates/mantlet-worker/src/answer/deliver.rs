//! The outbox: a queue and a task for each channel, bounded retries, and an outcome for each notice.

use std::time::Duration;

use mantlet_respond::Delivery;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::config::{ConfigError, NotifyConfig};
use super::mail::Mailer;
use super::notice::Notice;
use super::ports::Clock;
use super::webhook::Webhook;

/// Notices that may wait for one channel.
const QUEUE: usize = 64;
/// Longest pause between attempts.
const LONGEST_PAUSE_MS: u64 = 60_000;

/// What went wrong with an attempt, in words without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    why: String,
    again: bool,
}

impl Fault {
    /// Trying again may help.
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true }
    }

    /// Trying again cannot help.
    pub(super) fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false }
    }

    /// Why, and whether trying again may help.
    pub(super) fn told(self) -> (String, bool) {
        (self.why, self.again)
    }
}

/// How a notice fared on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The incident it was about.
    pub incident: String,
    /// What is recorded with it.
    pub delivery: Delivery,
}

enum Channel {
    Webhook(Box<Webhook>),
    Mail(Box<Mailer>),
}

impl Channel {
    fn label(&self) -> String {
        match self {
            Self::Webhook(webhook) => webhook.label(),
            Self::Mail(mailer) => mailer.label(),
        }
    }

    async fn attempt(&self, notice: &Notice, seconds: u64, timeout: Duration) -> Result<(), Fault> {
        match self {
            Self::Webhook(webhook) => webhook.deliver(notice, seconds, timeout).await,
            Self::Mail(mailer) => mailer.deliver(notice, timeout).await,
        }
    }
}

/// A queue and a task for each channel.
#[derive(Debug, Default)]
pub struct Outbox {
    channels: Vec<(String, mpsc::Sender<Notice>)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Outbox {
    /// Starts a task for each channel of the configuration; outcomes come out of `outcomes`.
    ///
    /// # Errors
    /// When a channel cannot work as configured.
    pub fn start<C: Clock + Clone + 'static>(
        config: &NotifyConfig,
        clock: &C,
        outcomes: &mpsc::UnboundedSender<Outcome>,
    ) -> Result<Self, ConfigError> {
        let mut ready = Vec::new();
        for webhook in &config.webhooks {
            ready.push(Channel::Webhook(Box::new(Webhook::new(webhook)?)));
        }
        for mail in &config.mails {
            ready.push(Channel::Mail(Box::new(Mailer::new(mail)?)));
        }
        let mut outbox = Self::default();
        for channel in ready {
            let (sender, mut queue) = mpsc::channel::<Notice>(QUEUE);
            outbox.channels.push((channel.label(), sender));
            let (config, clock, outcomes) = (config.clone(), clock.clone(), outcomes.clone());
            outbox.tasks.push(tokio::spawn(async move {
                while let Some(notice) = queue.recv().await {
                    let delivery = deliver(&channel, &notice, &config, &clock).await;
                    let _ = outcomes.send(Outcome { incident: notice.incident, delivery });
                }
            }));
        }
        Ok(outbox)
    }

    /// Whether there is nobody to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Queues a notice for every channel; gives the deliveries that failed at once because too many wait.
    pub fn send(&self, notice: &Notice) -> Vec<Delivery> {
        let mut failed = Vec::new();
        for (label, queue) in &self.channels {
            if queue.try_send(notice.clone()).is_err() {
                failed.push(Delivery {
                    at: notice.at,
                    channel: label.clone(),
                    notice: notice.kind.word().to_owned(),
                    attempts: 0,
                    failed: Some("too many notices wait for this channel".to_owned()),
                });
            }
        }
        failed
    }

    /// Takes no more notices and waits until those that wait are delivered, but not longer than `limit`.
    pub async fn finish(mut self, limit: Duration) {
        self.channels.clear();
        let deadline = tokio::time::Instant::now() + limit;
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // A replaced outbox ends by itself once its queues are empty; see `finish` for an orderly end.
        self.channels.clear();
    }
}

async fn deliver<C: Clock>(channel: &Channel, notice: &Notice, config: &NotifyConfig, clock: &C) -> Delivery {
    let timeout = Duration::from_millis(config.timeout_ms);
    let mut pause = config.backoff_ms;
    let mut attempts = 0;
    let failed = loop {
        attempts += 1;
        let seconds = clock.now().0 / 1_000;
        match channel.attempt(notice, seconds, timeout).await {
            Ok(()) => break None,
            Err(fault) if !fault.again || attempts >= config.attempts.max(1) => break Some(fault.why),
            Err(fault) => {
                tracing::debug!(
                    channel = channel.label(),
                    attempts,
                    why = fault.why,
                    "notice not delivered yet"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE_MS);
    };
    if let Some(why) = &failed {
        tracing::warn!(
            channel = channel.label(),
            incident = notice.incident,
            attempts,
            why,
            "notice not delivered"
        );
    }
    Delivery {
        at: clock.now(),
        channel: channel.label(),
        notice: notice.kind.word().to_owned(),
        attempts,
        failed,
    }
}
