//! One more of what an incident is about already.
//!
//! Whoever attacks sends thousands of requests, each of them marked. The first ones are alerts, with everything known
//! of their caller; those that change nothing a person would want to know are only counted here, with their ids, so
//! that being attacked costs hardly more than serving. What the incident says in words follows when it is kept
//! ([`Incident::refresh`]).

use mantlet_vocab::Mode;

use crate::alert::impact;
use crate::desk::{Desk, escalates, lapsed};
use crate::incident::{Incident, MOST_EXCHANGES, MOST_SIGNALS};
use crate::stream::{Doing, REACHED};
use crate::{Raised, Seen, Streams};

/// Ids beyond the most an incident keeps before the oldest are dropped.
const SLACK: usize = 128;

impl Desk {
    /// Takes a marked exchange into the incident that its caller's last alert went to, when it changes nothing there
    /// but counts, ids and figures; gives that incident's id. `None`: nothing was taken, and what was raised is an
    /// alert to be received ([`Streams::alert`], [`Desk::receive`]). Its signals are moved out of `seen` when taken.
    pub fn more(
        &mut self,
        streams: &mut Streams,
        seen: &mut Seen,
        raised: Raised,
        mode: Mode,
    ) -> Option<&str> {
        let doing = streams.doing(seen)?;
        let (window, playbook) = (self.playbook.window_ms, &self.playbook);
        let incident = self.incidents.get_mut(doing.told)?;
        let fresh = seen.at.since(incident.last_alert) <= window
            && incident.last_alert.since(seen.at) <= window
            && incident.closed.is_none();
        let known = incident.system == seen.system
            && incident.mode == mode
            && incident.serving
            && raised.kind <= incident.kind
            && raised.confidence <= incident.confidence
            && impact(raised.kind, raised.confidence, seen.impact, true) <= incident.impact
            && incident.callers.contains(&seen.caller);
        let counts = u64::from(seen.at > incident.rung_at);
        if !fresh || !known || lapsed(incident) || escalates(incident, counts, playbook) {
            return None;
        }
        incident.since_rung = incident.since_rung.saturating_add(counts);
        incident.more(seen, &doing);
        streams.told(&seen.system, &seen.caller, &incident.id);
        Some(&incident.id)
    }
}

impl Incident {
    fn more(&mut self, seen: &mut Seen, doing: &Doing<'_>) {
        self.alerts = self.alerts.saturating_add(1);
        self.last_alert = self.last_alert.max(seen.at);
        self.since = self.since.min(doing.since);
        for (mine, theirs) in [(&mut self.route, &seen.route), (&mut self.version, &seen.version)] {
            if mine.is_none() {
                *mine = Some(theirs.clone());
            }
        }
        if self.callers.len() <= 1 {
            self.queries = self.queries.max(doing.queries);
            self.in_doubt = self.in_doubt.max(doing.passed);
        } else {
            self.queries = self.queries.saturating_add(1);
            self.in_doubt = self.in_doubt.saturating_add(doing.untold.len() as u64);
        }
        self.exchanges.extend(doing.untold.clone().map(ToString::to_string));
        if self.exchanges.len() > MOST_EXCHANGES + SLACK {
            self.drop_oldest();
        }
        let mut stronger = false;
        for signal in seen.signals.drain(..).filter(|signal| signal.score >= REACHED) {
            if self.noticed.len() < MOST_SIGNALS && !self.noticed.contains(&signal.message) {
                self.noticed.push(signal.message.clone());
            }
            let known = self.signals.iter().position(|mine| mine.name == signal.name);
            match known {
                Some(at) if self.signals[at].score < signal.score => self.signals[at] = signal,
                None if self.signals.len() < MOST_SIGNALS => self.signals.push(signal),
                _ => continue,
            }
            stronger = true;
        }
        if stronger {
            self.sort_signals();
        }
    }
}
