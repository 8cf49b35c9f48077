//! What people are told, and how often.

use std::collections::{HashMap, VecDeque};

use mantlet_respond::{Delivery, Incident};
use mantlet_vocab::{Impact, Millis};
use serde_json::{Value, json};

/// Decisions named in a notice; the rest is in the incident.
const MOST_EXCHANGES: usize = 50;
/// Different news remembered for the cooldown.
const MOST_REMEMBERED: usize = 4_096;
const HOUR: u64 = 3_600_000;

/// The news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// There is a new incident.
    Opened,
    /// The answer was escalated.
    Escalated,
    /// It became graver, or more callers joined.
    Changed,
    /// A step could not be done or undone.
    Failed,
    /// A step that does not end by itself is still in force.
    Reminder,
}

impl NoticeKind {
    /// The word used in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Reminder => "reminder",
        }
    }
}

/// One thing people are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Unique, and the same at each attempt.
    pub id: String,
    /// The incident.
    pub incident: String,
    /// The news.
    pub kind: NoticeKind,
    /// When.
    pub at: Millis,
    /// One line.
    pub subject: String,
    /// Plain text: the five answers, details, timeline.
    pub text: String,
    /// The same as a JSON document.
    pub document: Value,
}

impl Notice {
    /// The news about an incident as it stands.
    #[must_use]
    pub fn new(incident: &Incident, kind: NoticeKind, at: Millis, console: Option<&str>) -> Self {
        let lead = match kind {
            NoticeKind::Opened => "",
            NoticeKind::Escalated => "escalated: ",
            NoticeKind::Changed => "graver: ",
            NoticeKind::Failed => "A STEP FAILED: ",
            NoticeKind::Reminder => "still in force: ",
        };
        let link = console.map(|base| format!("{}/incidents/{}", base.trim_end_matches('/'), incident.id));
        let open = link.as_ref().map(|link| format!("Open it: {link}\n\n")).unwrap_or_default();
        let subject = format!("{lead}{}", incident.subject_line());
        let mut small = incident.clone();
        small.exchanges.drain(..small.exchanges.len().saturating_sub(MOST_EXCHANGES));
        let document = json!({
            "type": format!("incident.{}", kind.word()),
            "version": 1,
            "timestamp": at.rfc3339(),
            "data": { "subject": subject, "link": link, "times": incident.times(), "incident": small },
        });
        Self {
            id: format!("{}-{}-{}", incident.id, kind.word(), at.0),
            incident: incident.id.clone(),
            kind,
            at,
            subject,
            text: format!("{open}{}", incident.plain()),
            document,
        }
    }
}

/// Remembers what was told when.
#[derive(Debug, Default)]
pub(super) struct Cooldown {
    told: HashMap<(String, NoticeKind), Millis>,
    hour: VecDeque<Millis>,
}

impl Cooldown {
    /// Whether the news may be told now; if so, it counts as told.
    ///
    /// # Errors
    /// Why not, in plain words.
    pub(super) fn admit(
        &mut self,
        incident: &Incident,
        kind: NoticeKind,
        now: Millis,
        cooldown_ms: u64,
        most_an_hour: usize,
    ) -> Result<(), String> {
        let about = (subject_of(incident), kind);
        if let Some(told) = self.told.get(&about)
            && now.since(*told) < cooldown_ms
        {
            return Err(format!(
                "people were told the same {} ago",
                mantlet_respond::lasting(now.since(*told))
            ));
        }
        while self.hour.front().is_some_and(|first| now.since(*first) >= HOUR) {
            self.hour.pop_front();
        }
        if self.hour.len() >= most_an_hour && incident.impact < Impact::Critical {
            return Err(format!("{most_an_hour} notices were sent within an hour"));
        }
        if self.told.len() >= MOST_REMEMBERED {
            self.told.retain(|_, told| now.since(*told) < cooldown_ms);
        }
        if self.told.len() < MOST_REMEMBERED {
            self.told.insert(about, now);
        }
        if self.hour.len() < most_an_hour.max(1) {
            self.hour.push_back(now);
        }
        Ok(())
    }

    /// Remembers what was told before a restart.
    pub(super) fn recall(&mut self, incident: &Incident, delivery: &Delivery) {
        let kinds = [NoticeKind::Opened, NoticeKind::Escalated, NoticeKind::Changed, NoticeKind::Failed];
        if let Some(kind) = kinds.into_iter().find(|kind| kind.word() == delivery.notice) {
            let told = self.told.entry((subject_of(incident), kind)).or_default();
            *told = (*told).max(delivery.at);
        }
    }
}

/// What news are about: the same caller (or file, or version) doing the same to the same system.
fn subject_of(incident: &Incident) -> String {
    let about = incident.caller.as_ref().or(incident.subject.as_ref()).or(incident.version.as_ref());
    format!("{}\n{}\n{}", incident.system, incident.kind, about.map_or("", String::as_str))
}
