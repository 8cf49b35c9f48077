//! What each caller has been doing lately, and the alert it amounts to.
//!
//! Long because what is kept of a caller, how it is bounded and what it amounts to are one thing.

use std::collections::{BTreeMap, HashMap, vec_deque};

use mantlet_vocab::{Action, Confidence, Exchange, Impact, Millis, Signal};

use crate::alert::{Alert, AlertKind, Traffic};
use crate::ids::{Id, Ids};
use crate::playbook::Playbook;

/// Callers followed at once, more than a guard remembers; the one that was quiet longest gives way.
const MOST_CALLERS: usize = 4_096;
/// Ids of decisions given out, kept per caller.
const MOST_EXCHANGES: usize = 256;
/// Ids kept of all callers together; beyond that each keeps its last [`FEW_EXCHANGES`].
const ALL_EXCHANGES: usize = 1 << 16;
const FEW_EXCHANGES: usize = 16;
/// A caller that was quiet this long starts anew.
const QUIET_MS: u64 = 10 * 60_000;
/// Requests a minute are counted over this many minutes.
const MINUTES: u32 = 5;

/// A signal at or above this has reached its threshold.
pub(crate) const REACHED: f64 = 1.0;

/// One exchange as the guard saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// When.
    pub at: Millis,
    /// The exchange's id.
    pub exchange: String,
    /// The system.
    pub system: String,
    /// Its impact class.
    pub impact: Impact,
    /// The route.
    pub route: String,
    /// The caller's key id.
    pub caller: String,
    /// The version that answered or would have.
    pub version: String,
    /// The row's number in the caller's stream, as the guard counts; 0 when not known. It tells of requests
    /// that were not marked and so not seen here.
    pub row: u64,
    /// What detectors noticed.
    pub signals: Vec<Signal>,
    /// What the guard did.
    pub action: Action,
}

impl Seen {
    /// Whether it was turned away without an answer or a person to give one.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.action, Action::Throttle { .. } | Action::StepUp | Action::Refuse)
    }
}

#[derive(Debug, Clone, Default)]
struct Stream {
    since: Millis,
    last: Millis,
    queries: u64,
    row: u64,
    /// Requests seen since the last numbered one.
    unnumbered: u64,
    /// Whether it was known before it fell quiet.
    anew: bool,
    passed: Ids,
    passed_total: u64,
    /// How many of the last in `passed` no incident has yet.
    untold: usize,
    /// The incident that the last alert went to.
    told: String,
    hints: BTreeMap<AlertKind, u64>,
    minutes: Minutes,
}

/// Requests counted by the minute: those of the last one, and of the few before it.
#[derive(Debug, Clone, Copy, Default)]
struct Minutes {
    last: u32,
    /// Each minute's in the place of its number modulo how many there are.
    counts: [u32; MINUTES as usize],
}

impl Minutes {
    fn count(&mut self, at: Millis) {
        let minute = minute(at);
        if minute > self.last {
            let gone = (minute - self.last).min(MINUTES);
            (0..gone).for_each(|back| self.counts[((minute - back) % MINUTES) as usize] = 0);
            self.last = minute;
        }
        let count = &mut self.counts[(self.last % MINUTES) as usize];
        *count = count.saturating_add(1);
    }

    fn per_minute(&self, at: Millis) -> f64 {
        let minute = minute(at);
        let (mut total, mut first) = (0_u64, minute);
        for back in 0..MINUTES.min(self.last + 1) {
            let m = self.last - back;
            let count = self.counts[(m % MINUTES) as usize];
            if count > 0 && m.saturating_add(MINUTES) > minute {
                total += u64::from(count);
                first = first.min(m);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of five minutes")]
        let rate = total as f64 / f64::from(minute - first + 1);
        rate
    }
}

/// The number of a minute.
fn minute(at: Millis) -> u32 {
    u32::try_from(at.0 / 60_000).unwrap_or(u32::MAX - 1)
}

/// What the signals of an exchange amount to, in the light of what its caller did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The gravest kind.
    pub kind: AlertKind,
    /// How sure its detector is.
    pub confidence: Confidence,
}

/// What a caller has been doing, as far as the incident that knows of it does not know yet.
#[derive(Debug)]
pub(crate) struct Doing<'a> {
    /// Start of the current activity.
    pub(crate) since: Millis,
    /// Requests since then.
    pub(crate) queries: u64,
    /// Of these, how many got an answer.
    pub(crate) passed: u64,
    /// The last ids of these that no incident has yet, oldest first.
    pub(crate) untold: vec_deque::Iter<'a, Id>,
    /// The incident that the last alert went to; empty when there was none.
    pub(crate) told: &'a str,
}

/// The callers of one system.
#[derive(Debug, Clone, Default)]
struct System {
    /// On the heap one by one: a map has room for up to twice as many as are in it.
    callers: HashMap<Box<str>, Box<Stream>>,
    minutes: Minutes,
}

/// What callers of every system have been doing lately. Bounded.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    systems: BTreeMap<String, System>,
    /// Ids in all of them.
    ids: usize,
}

impl Streams {
    /// Takes in what the guard saw; an alert when its signals amount to one.
    pub fn observe(&mut self, seen: &Seen, playbook: &Playbook) -> Option<Alert> {
        let raised = self.take(seen, playbook)?;
        Some(self.alert(seen, raised))
    }

    /// Takes in what the guard saw; what its signals amount to, when that is an alert.
    pub fn take(&mut self, seen: &Seen, playbook: &Playbook) -> Option<Raised> {
        let most = self.most();
        let stream = self.stream(&seen.system, &seen.caller, seen.at);
        stream.catch_up(seen);
        let (held, raised) = (
            stream.count(seen.at, &seen.exchange, seen.action.passes(), most),
            stream.weigh(&seen.signals, playbook),
        );
        self.ids = self.ids.saturating_add_signed(held);
        raised
    }

    /// Takes in an exchange that nothing was noticed about and that was let through.
    pub fn passed(&mut self, exchange: &Exchange) {
        let most = self.most();
        let stream = self.stream(&exchange.system, &exchange.caller, exchange.at);
        // It has no number here.
        stream.unnumbered += 1;
        let held = stream.count(exchange.at, &exchange.id, true, most);
        self.ids = self.ids.saturating_add_signed(held);
    }

    /// How many ids a caller may have now.
    const fn most(&self) -> usize {
        if self.ids < ALL_EXCHANGES { MOST_EXCHANGES } else { FEW_EXCHANGES }
    }

    /// What a caller has been doing, from now on with something at this instant; it is counted for its system.
    fn stream(&mut self, system: &str, caller: &str, at: Millis) -> &mut Stream {
        self.make_room(at);
        if !self.systems.contains_key(system) {
            self.systems.insert(system.to_owned(), System::default());
        }
        let system = self.systems.get_mut(system).expect("it was put there when it was missing");
        system.minutes.count(at);
        if !system.callers.contains_key(caller) {
            system.callers.insert(caller.into(), Box::default());
        }
        let stream = system.callers.get_mut(caller).expect("it was put there when it was missing");
        if stream.queries == 0 || at.since(stream.last) > QUIET_MS {
            self.ids = self.ids.saturating_sub(stream.passed.len());
            **stream = Stream { since: at, row: stream.row, anew: stream.queries > 0, ..Stream::default() };
        }
        stream.last = stream.last.max(at);
        stream
    }

    /// The alert that an exchange just taken in amounts to, with everything known of its caller.
    #[must_use]
    pub fn alert(&self, seen: &Seen, raised: Raised) -> Alert {
        let mut alert = Alert::new(raised.kind, &seen.system, seen.impact, seen.at);
        alert.confidence = raised.confidence;
        alert.route = Some(seen.route.clone());
        alert.caller = Some(seen.caller.clone());
        alert.version = Some(seen.version.clone());
        alert.serving = true;
        alert.signals = seen.signals.iter().filter(|signal| signal.score >= REACHED).cloned().collect();
        alert.noticed = alert.signals.iter().map(|signal| signal.message.clone()).collect();
        let system = self.systems.get(&seen.system);
        let callers = system.into_iter().flat_map(|system| system.callers.values());
        let mut traffic = Traffic {
            callers: callers.filter(|stream| seen.at.since(stream.last) <= QUIET_MS).count() as u64,
            per_minute: system.map_or(0.0, |system| system.minutes.per_minute(seen.at)),
            caller_per_minute: 0.0,
        };
        if let Some(stream) = system.and_then(|system| system.callers.get(seen.caller.as_str())) {
            alert.since = stream.since;
            alert.queries = stream.queries;
            alert.exchanges = stream.passed.iter().map(ToString::to_string).collect();
            alert.in_doubt = stream.passed_total;
            traffic.caller_per_minute = stream.minutes.per_minute(seen.at);
        }
        alert.traffic = Some(traffic);
        alert
    }

    /// What the caller of an exchange just taken in has been doing.
    pub(crate) fn doing(&self, seen: &Seen) -> Option<Doing<'_>> {
        let stream = self.systems.get(&seen.system)?.callers.get(seen.caller.as_str())?;
        let from = stream.passed.len().saturating_sub(stream.untold);
        Some(Doing {
            since: stream.since,
            queries: stream.queries,
            passed: stream.passed_total,
            untold: stream.passed.range(from..),
            told: &stream.told,
        })
    }

    /// An incident knows what this caller has done so far.
    pub fn told(&mut self, system: &str, caller: &str, incident: &str) {
        let Some(system) = self.systems.get_mut(system) else { return };
        let Some(stream) = system.callers.get_mut(caller) else { return };
        stream.untold = 0;
        if stream.told != incident {
            incident.clone_into(&mut stream.told);
        }
    }

    fn make_room(&mut self, now: Millis) {
        let held = |systems: &BTreeMap<String, System>| -> usize {
            systems.values().map(|system| system.callers.len()).sum()
        };
        if held(&self.systems) < MOST_CALLERS {
            return;
        }
        let callers = |systems: &mut BTreeMap<String, System>, keep: &mut dyn FnMut(&Stream) -> bool| {
            systems.values_mut().for_each(|system| system.callers.retain(|_, stream| keep(stream)));
        };
        callers(&mut self.systems, &mut |stream| now.since(stream.last) <= QUIET_MS);
        if held(&self.systems) < MOST_CALLERS {
            return;
        }
        // A tenth at a time, so that a flood of new callers does not sort the map at every request. Those that nothing was
        // noticed about go first: whoever brings many names pushes out these, not the one that is being followed.
        let streams = self.systems.values().flat_map(|system| system.callers.values());
        let mut ages: Vec<(bool, Millis)> = streams.map(|stream| stream.worth()).collect();
        let tenth = ages.len() / 10;
        let (_, last, _) = ages.select_nth_unstable(tenth);
        let last = *last;
        let mut room = tenth + 1;
        callers(&mut self.systems, &mut |stream| {
            let goes = stream.worth() <= last && room > 0;
            room -= usize::from(goes);
            !goes
        });
        let streams = self.systems.values().flat_map(|system| system.callers.values());
        self.ids = streams.map(|stream| stream.passed.len()).sum();
    }
}

impl Stream {
    /// What is forgotten first is least: who nothing was noticed about, then who was quiet longest.
    fn worth(&self) -> (bool, Millis) {
        (!self.hints.is_empty() || !self.told.is_empty(), self.last)
    }

    /// Counts a request, and keeps its id when it got an answer, as one of at most so many; gives how many more ids
    /// there are then.
    fn count(&mut self, at: Millis, exchange: &str, passes: bool, most: usize) -> isize {
        self.queries += 1;
        self.minutes.count(at);
        if !passes {
            return 0;
        }
        let before = self.passed.len();
        self.passed_total += 1;
        // One that has more than it may loses two for each new one.
        for _ in 0..2 {
            if self.passed.len() >= most {
                self.passed.pop_front();
            }
        }
        self.passed.push_back(Id::of(exchange));
        self.untold = (self.untold + 1).min(self.passed.len());
        self.passed.len().cast_signed() - before.cast_signed()
    }

    /// Counts what the guard let through unmarked, and so unseen here, by the guard's own numbers. What lies
    /// before a quiet time is not counted.
    fn catch_up(&mut self, seen: &Seen) {
        let row = seen.row;
        if row == 0 {
            // What is refused at the door gets no number.
            self.unnumbered += u64::from(!seen.is_refused());
            return;
        }
        let unseen = row.saturating_sub(self.row).saturating_sub(1).saturating_sub(self.unnumbered);
        if !self.anew {
            self.passed_total += unseen;
            self.queries += unseen;
        }
        (self.row, self.unnumbered, self.anew) = (row, 0, false);
    }

    /// The gravest alert the signals amount to. An attack's signal is one at once; hints must be many, and
    /// many of what the caller asked.
    fn weigh(&mut self, signals: &[Signal], playbook: &Playbook) -> Option<Raised> {
        let mut gravest: Option<(AlertKind, Confidence)> = None;
        for signal in signals.iter().filter(|signal| signal.score >= REACHED) {
            let kind = AlertKind::of_signal(&signal.name);
            if kind.is_hint() {
                let hints = self.hints.entry(kind).or_default();
                *hints += 1;
                #[expect(clippy::cast_precision_loss, reason = "request counts")]
                let share = *hints as f64 / self.queries as f64;
                let few = kind.is_of_the_caller() && share < playbook.hint_share;
                if *hints < playbook.hints || few {
                    continue;
                }
            }
            gravest = gravest.max(Some((kind, signal.confidence)));
        }
        gravest.map(|(kind, confidence)| Raised { kind, confidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(caller: &str, number: u64, signals: Vec<Signal>) -> Seen {
        Seen {
            at: Millis(number),
            exchange: format!("00000000-0000-4000-8000-{number:012x}"),
            system: "s".into(),
            impact: Impact::Low,
            route: "r".into(),
            caller: caller.into(),
            version: "1".into(),
            row: 0,
            signals,
            action: Action::Allow,
        }
    }

    #[test]
    fn what_the_route_lacks_is_told_however_much_went_well_before() {
        let (mut streams, playbook) = (Streams::default(), Playbook::default());
        for number in 0..1_000 {
            assert!(streams.take(&seen("ada", number, Vec::new()), &playbook).is_none());
        }
        let signal = |name: &str| Signal {
            name: name.into(),
            impact: Impact::Medium,
            confidence: Confidence::High,
            score: REACHED,
            message: String::new(),
            facts: std::collections::BTreeMap::new(),
        };
        let raised = |streams: &mut Streams, name: &str, from: u64| -> Vec<bool> {
            (from..from + playbook.hints)
                .map(|number| streams.take(&seen("ada", number, vec![signal(name)]), &playbook).is_some())
                .collect()
        };
        let other = raised(&mut streams, "request-malformed", 2_000);
        assert!(other.iter().all(|raised| !raised), "few of many: {other:?}");
        // Hints of other kinds do not count for it: the fifth of its own is the first that is told.
        let lost = raised(&mut streams, "dependency-lost", 3_000);
        let first = lost.iter().position(|raised| *raised);
        assert_eq!(first, usize::try_from(playbook.hints - 1).ok(), "{lost:?}");
    }

    #[test]
    fn however_many_callers_there_are_ids_are_bounded_and_who_is_followed_stays() {
        let (mut streams, playbook) = (Streams::default(), Playbook::default());
        streams.take(&seen("followed", 0, Vec::new()), &playbook);
        streams.told("s", "followed", "incident-1");
        // Each of many callers asks often, then as many come once.
        let mut number = 0;
        for turn in 0..200 {
            for caller in 0..2_000 {
                number += 1;
                streams.take(&seen(&format!("caller-{caller}"), number + turn, Vec::new()), &playbook);
            }
        }
        for caller in 0..30_000 {
            number += 1;
            streams.take(&seen(&format!("once-{caller}"), number, Vec::new()), &playbook);
        }
        let held = |streams: &Streams| -> usize {
            streams.systems["s"].callers.values().map(|stream| stream.passed.len()).sum()
        };
        assert_eq!(streams.ids, held(&streams));
        assert!(streams.ids <= ALL_EXCHANGES + MOST_CALLERS * FEW_EXCHANGES, "{}", streams.ids);
        assert!(streams.systems["s"].callers.len() <= MOST_CALLERS);
        assert!(streams.systems["s"].callers.contains_key("followed"));
        // The last ones are there, and whole.
        let last = seen("caller-1999", number + 1, Vec::new());
        streams.take(&last, &playbook);
        let raised = Raised { kind: AlertKind::of_signal("input-outlier"), confidence: Confidence::High };
        assert_eq!(streams.alert(&last, raised).exchanges.last(), Some(&last.exchange));
    }
    #[test]
    fn a_rate_is_of_the_minutes_there_were() {
        let (mut minutes, at) = (Minutes::default(), |minute: u64| Millis(minute * 60_000));
        let rate = |minutes: &Minutes, minute| minutes.per_minute(at(minute)).to_bits();
        assert_eq!(rate(&minutes, 3), 0.0_f64.to_bits());
        (0..6).for_each(|_| minutes.count(at(1_000_000)));
        assert_eq!(rate(&minutes, 1_000_000), 6.0_f64.to_bits());
        minutes.count(at(1_000_002));
        // One that comes late counts with the last.
        minutes.count(at(1_000_001));
        assert_eq!(rate(&minutes, 1_000_002), (8.0_f64 / 3.0).to_bits());
        // What is older than five minutes is over.
        assert_eq!(rate(&minutes, 1_000_005), (2.0_f64 / 4.0).to_bits());
        minutes.count(at(1_000_006));
        assert_eq!(rate(&minutes, 1_000_006), (3.0_f64 / 5.0).to_bits());
        minutes.count(at(1_000_100));
        assert_eq!(rate(&minutes, 1_000_100), 1.0_f64.to_bits());
        assert_eq!(rate(&minutes, 2_000_000), 0.0_f64.to_bits());
    }
}
