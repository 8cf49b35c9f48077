//! The answering loop: guard events in; incidents, containment and deliveries out.
//!
//! [`Answer`] does the work, one input after the other, and knows no timer of its own; [`start`] runs it as a
//! task with a bounded queue for events and a second one for people, so that a flood of events never keeps
//! anybody from undoing a step. Notifications leave through [`Outbox`], a task for each channel, so that a slow
//! mail server delays neither containment nor the webhook.

mod config;
mod core;
mod deliver;
mod mail;
mod notice;
mod ports;
mod run;
mod tell;
mod webhook;

#[cfg(test)]
mod tests;

pub use self::core::Answer;
pub use config::{
    AnswerConfig, ConfigError, MailConfig, NotifyConfig, Secret, Security, SystemRule, WebhookConfig,
};
pub use deliver::{Outbox, Outcome};
pub use notice::{Notice, NoticeKind};
pub use ports::{AnswerError, Clock, Journal, SystemClock};
pub use run::{AnswerHandle, EventSink, ReloadError, StartError, Wishes, start};
pub use webhook::{Hook, sign, verify};
