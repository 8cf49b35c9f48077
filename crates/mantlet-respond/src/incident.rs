//! An incident: alerts that belong together, in plain words, with what was done about them.
//!
//! Long because an incident and how alerts join it stand together.

use std::collections::BTreeMap;

use mantlet_vocab::{Confidence, Digest, Impact, Millis, Mode, Signal};
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertKind};
use crate::answers;
use crate::record::{Delivery, Entry, FiveAnswers, Times};
use crate::step::{Step, StepState};

/// Lines of a timeline; older ones in the middle give way.
const MOST_ENTRIES: usize = 400;
/// Ids of doubtful decisions kept with the incident.
pub(crate) const MOST_EXCHANGES: usize = 1_000;
/// Callers kept with the incident.
const MOST_CALLERS: usize = 100;
/// Deliveries kept with the incident.
const MOST_DELIVERIES: usize = 100;
/// Different signals kept with the incident, the strongest of each name.
pub(crate) const MOST_SIGNALS: usize = 32;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// Nothing is in force against it.
    Open,
    /// At least one step is in force.
    Contained,
    /// A person closed it and every step has ended.
    Closed,
}

impl IncidentState {
    /// The word used on screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Contained => "contained",
            Self::Closed => "closed",
        }
    }
}

/// The actor of what mantlet does by itself.
pub const SELF: &str = "mantlet";

/// Alerts that belong together, and what was done about them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// `inc-` and eight hexadecimal digits.
    pub id: String,
    /// Raised by one at each save; see [`crate::IncidentStore::save`].
    pub revision: u64,
    /// One line in plain words.
    pub title: String,
    /// The gravest kind among its alerts.
    pub kind: AlertKind,
    /// The system of the configuration.
    pub system: String,
    /// The system's impact class.
    pub system_impact: Impact,
    /// How much harm it can mean.
    pub impact: Impact,
    /// How sure.
    pub confidence: Confidence,
    /// Where it stands.
    pub state: IncidentState,
    /// The mode it was handled in.
    pub mode: Mode,
    /// Start of the caller's activity; the attack began then or later.
    pub since: Millis,
    /// When the incident was opened.
    pub opened: Millis,
    /// When the first step was in force.
    pub contained: Option<Millis>,
    /// When a person closed it.
    pub closed: Option<Millis>,
    /// When the last alert joined it.
    pub last_alert: Millis,
    /// The first caller's key id.
    pub caller: Option<String>,
    /// Every caller's key id.
    pub callers: Vec<String>,
    /// The route.
    pub route: Option<String>,
    /// The model version concerned.
    pub version: Option<String>,
    /// The file, data set or case concerned.
    pub subject: Option<String>,
    /// Whether what is concerned answers real requests.
    pub serving: bool,
    /// The five answers.
    pub five: FiveAnswers,
    /// What happened, oldest first.
    pub timeline: Vec<Entry>,
    /// What is done about it.
    pub steps: Vec<Step>,
    /// How far the answer was escalated.
    pub rung: u8,
    /// Alerts since the last escalation took hold.
    pub since_rung: u64,
    /// Refused requests since the last escalation took hold.
    pub refused_since_rung: u64,
    /// When the last escalation was planned or took hold.
    pub rung_at: Millis,
    /// Ids of decisions that may be wrong, oldest first, bounded.
    pub exchanges: Vec<String>,
    /// How many decisions may be wrong in all.
    pub in_doubt: u64,
    /// Replayable cases.
    pub cases: Vec<String>,
    /// The strongest signal of each name.
    pub signals: Vec<Signal>,
    /// What was noticed, in plain words.
    pub noticed: Vec<String>,
    /// Named figures.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Alerts that joined.
    pub alerts: u64,
    /// Requests of the callers since `since`.
    pub queries: u64,
    /// Of these, at the time the incident was opened.
    pub queries_at_opening: u64,
    /// Of these, at the time the first step was in force.
    pub queries_at_containment: Option<u64>,
    /// How notifications went.
    pub deliveries: Vec<Delivery>,
    /// The five answers as who raised it knows them, newest alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<FiveAnswers>,
    /// Whether whoever runs the notifications has still to tell it: it was opened, or became graver, elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
}

impl Incident {
    /// A new incident of an alert, without steps.
    #[must_use]
    pub fn open(alert: &Alert, mode: Mode) -> Self {
        let key = format!(
            "{}\n{}\n{}\n{}\n{}",
            alert.system,
            alert.caller.as_deref().unwrap_or(""),
            alert.subject.as_deref().or(alert.version.as_deref()).unwrap_or(""),
            alert.kind,
            alert.at.0
        );
        let id = format!("inc-{}", Digest::of(key.as_bytes()).hex().get(..8).unwrap_or_default());
        let mut incident = Self {
            id,
            revision: 0,
            title: String::new(),
            kind: alert.kind,
            system: alert.system.clone(),
            system_impact: alert.system_impact,
            impact: alert.impact(),
            confidence: alert.confidence,
            state: IncidentState::Open,
            mode,
            since: alert.since,
            opened: alert.at,
            contained: None,
            closed: None,
            last_alert: alert.at,
            caller: alert.caller.clone(),
            callers: Vec::new(),
            route: alert.route.clone(),
            version: alert.version.clone(),
            subject: alert.subject.clone(),
            serving: alert.serving,
            five: FiveAnswers::default(),
            timeline: Vec::new(),
            steps: Vec::new(),
            rung: 0,
            since_rung: 0,
            refused_since_rung: 0,
            rung_at: alert.at,
            exchanges: Vec::new(),
            in_doubt: 0,
            cases: Vec::new(),
            signals: Vec::new(),
            noticed: Vec::new(),
            facts: BTreeMap::new(),
            alerts: 0,
            queries: 0,
            queries_at_opening: alert.queries,
            queries_at_containment: None,
            deliveries: Vec::new(),
            told: None,
            untold: false,
        };
        incident.take(alert);
        incident.refresh();
        let what = format!("incident opened: {}", incident.title);
        incident.note(alert.at, SELF, what);
        incident
    }

    /// Takes in another alert.
    pub fn join(&mut self, alert: &Alert) {
        if alert.kind > self.kind {
            self.note(alert.at, SELF, format!("{} joined what was {}", alert.kind, self.kind));
            self.kind = alert.kind;
        }
        if let Some(caller) = &alert.caller
            && !self.callers.contains(caller)
        {
            self.note(alert.at, SELF, format!("key {caller} joined"));
        }
        if alert.impact() > self.impact {
            self.note(alert.at, SELF, format!("impact raised from {} to {}", self.impact, alert.impact()));
        }
        self.take(alert);
        self.refresh();
    }

    fn take(&mut self, alert: &Alert) {
        self.alerts = self.alerts.saturating_add(1);
        self.last_alert = self.last_alert.max(alert.at);
        self.since = self.since.min(alert.since);
        self.impact = self.impact.max(alert.impact());
        self.confidence = self.confidence.max(alert.confidence);
        self.serving |= alert.serving;
        if let Some(caller) = &alert.caller
            && !self.callers.contains(caller)
            && self.callers.len() < MOST_CALLERS
        {
            self.callers.push(caller.clone());
        }
        for (mine, theirs) in [
            (&mut self.route, &alert.route),
            (&mut self.version, &alert.version),
            (&mut self.subject, &alert.subject),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        let one_caller = self.callers.len() <= 1;
        self.queries =
            if one_caller { self.queries.max(alert.queries) } else { self.queries.saturating_add(1) };
        self.doubt(&alert.exchanges, alert.in_doubt, one_caller);
        for case in &alert.cases {
            if !self.cases.contains(case) && self.cases.len() < MOST_CALLERS {
                self.cases.push(case.clone());
            }
        }
        for line in &alert.noticed {
            if !self.noticed.contains(line) && self.noticed.len() < MOST_SIGNALS {
                self.noticed.push(line.clone());
            }
        }
        if alert.told.is_some() {
            self.told.clone_from(&alert.told);
        }
        self.facts.extend(alert.facts.iter().map(|(name, value)| (name.clone(), value.clone())));
        for signal in &alert.signals {
            if let Some(mine) = self.signals.iter_mut().find(|mine| mine.name == signal.name) {
                if mine.score < signal.score {
                    mine.clone_from(signal);
                }
            } else if self.signals.len() < MOST_SIGNALS {
                self.signals.push(signal.clone());
            }
        }
        self.sort_signals();
    }

    /// The strongest first.
    pub(crate) fn sort_signals(&mut self) {
        self.signals.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
    }

    fn doubt(&mut self, exchanges: &[String], in_doubt: u64, one_caller: bool) {
        let known: std::collections::HashSet<&String> = self.exchanges.iter().collect();
        let fresh: Vec<String> = exchanges.iter().filter(|id| !known.contains(id)).cloned().collect();
        self.in_doubt = if one_caller {
            self.in_doubt.max(in_doubt)
        } else {
            self.in_doubt.saturating_add(fresh.len() as u64)
        };
        self.exchanges.extend(fresh);
        self.drop_oldest();
    }

    /// Keeps the last ids of doubtful decisions.
    pub(crate) fn drop_oldest(&mut self) {
        let over = self.exchanges.len().saturating_sub(MOST_EXCHANGES);
        self.exchanges.drain(..over);
    }

    /// Adds a line to the timeline.
    pub fn note(&mut self, at: Millis, actor: &str, what: impl Into<String>) {
        if self.timeline.len() >= MOST_ENTRIES {
            self.timeline.remove(MOST_ENTRIES / 2);
        }
        self.timeline.push(Entry { at, actor: actor.to_owned(), what: what.into() });
    }

    /// Records how a notification went.
    pub fn delivered(&mut self, delivery: Delivery) {
        let how = match &delivery.failed {
            None => format!("told {} ({})", delivery.channel, delivery.notice),
            Some(why) => format!("could not tell {} ({}): {why}", delivery.channel, delivery.notice),
        };
        self.note(delivery.at, SELF, how);
        if self.deliveries.len() >= MOST_DELIVERIES {
            self.deliveries.remove(0);
        }
        self.deliveries.push(delivery);
    }

    /// Closes it: no further alert joins. Steps in force stay until they end or are undone, and it stays
    /// `contained` until then.
    pub fn close(&mut self, now: Millis, actor: &str, why: &str) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(now);
        self.note(now, actor, format!("closed: {why}"));
        self.refresh();
    }

    /// The step of this id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// How fast it was found and contained.
    #[must_use]
    pub fn times(&self) -> Times {
        Times {
            detect_ms: self.opened.since(self.since),
            detect_queries: self.queries_at_opening,
            contain_ms: self.contained.map(|at| at.since(self.opened)),
            contain_queries: self
                .queries_at_containment
                .map(|queries| queries.saturating_sub(self.queries_at_opening)),
        }
    }

    /// Adds what another copy of the same incident knows and this one does not: counts, signals, doubtful
    /// decisions, lines, deliveries and further steps. Steps known here, state and revision stay as they are.
    pub fn merge(&mut self, other: &Self) {
        for step in &other.steps {
            if self.step(&step.id).is_none() {
                self.steps.push(step.clone());
            }
        }
        if other.rung > self.rung {
            (self.rung, self.rung_at) = (other.rung, other.rung_at);
        }
        self.since_rung = self.since_rung.max(other.since_rung);
        self.refused_since_rung = self.refused_since_rung.max(other.refused_since_rung);
        self.alerts = self.alerts.max(other.alerts);
        self.queries = self.queries.max(other.queries);
        self.in_doubt = self.in_doubt.max(other.in_doubt);
        self.last_alert = self.last_alert.max(other.last_alert);
        self.impact = self.impact.max(other.impact);
        self.kind = self.kind.max(other.kind);
        if self.told.is_none() || other.last_alert >= self.last_alert {
            self.told = other.told.clone().or_else(|| self.told.take());
        }
        for caller in &other.callers {
            if !self.callers.contains(caller) {
                self.callers.push(caller.clone());
            }
        }
        if other.exchanges.len() > self.exchanges.len() {
            self.exchanges.clone_from(&other.exchanges);
        }
        for signal in &other.signals {
            if !self.signals.iter().any(|mine| mine.name == signal.name) {
                self.signals.push(signal.clone());
            }
        }
        for entry in &other.timeline {
            if !self.timeline.contains(entry) {
                self.timeline.push(entry.clone());
            }
        }
        self.timeline.sort_by_key(|entry| entry.at);
        for delivery in &other.deliveries {
            if !self.deliveries.contains(delivery) {
                self.deliveries.push(delivery.clone());
            }
        }
        self.refresh();
    }

    /// Brings state and words up to date after a change.
    pub fn refresh(&mut self) {
        self.drop_oldest();
        let may_hold = self.steps.iter().any(|step| step.state.may_hold());
        let holds = self.steps.iter().any(|step| step.state.may_hold() && step.state != StepState::Applying);
        self.state = match self.closed {
            None if holds => IncidentState::Contained,
            None => IncidentState::Open,
            Some(_) if may_hold => IncidentState::Contained,
            Some(_) => IncidentState::Closed,
        };
        self.title = answers::title(self);
        self.five = answers::five(self);
    }
}
