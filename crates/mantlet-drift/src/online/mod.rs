//! Change as it comes: shares of decisions, misses and false alarms, bin after bin, and an alarm as early as a stated
//! run length allows.

mod rate_change;
mod slow_evasion;
#[cfg(test)]
mod tests;
mod usual;
mod watch;

use mantlet_vocab::{About, Finding, Place};
use serde::{Deserialize, Serialize};

pub use usual::{LEAST_BINS, Usual};
pub use watch::{Alarm, Bin, Watch, WatchSettings};

/// What a stream counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Positive decisions among all.
    Decided,
    /// Positives by their label that the model missed.
    Missed,
    /// Negatives by their label that the model called positive.
    FalseAlarms,
    /// Rows above the usual upper tenth of a column.
    High,
    /// Rows below its usual lower tenth.
    Low,
}

/// Which rows a stream counts, and what of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// What is counted.
    pub counted: Counted,
    /// The column whose tail is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Only rows with this word in this column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<(String, String)>,
}

impl Stream {
    /// What is counted, in words.
    #[must_use]
    pub fn what(&self) -> String {
        match (self.counted, &self.column) {
            (Counted::Decided, _) => "positive decisions".into(),
            (Counted::Missed, _) => "positives that the model missed".into(),
            (Counted::FalseAlarms, _) => "negatives that the model called positive".into(),
            (Counted::High, Some(column)) => format!("unusually high values of {}", plain(column)),
            (Counted::Low, Some(column)) => format!("unusually low values of {}", plain(column)),
            (Counted::High | Counted::Low, None) => "unusual values".into(),
        }
    }

    /// Whose rows are counted, in words.
    #[must_use]
    pub fn whose(&self) -> String {
        self.segment.as_ref().map_or_else(
            || "all rows".to_owned(),
            |(column, word)| format!("rows with {} {}", plain(column), plain(word)),
        )
    }
}

/// Foreign text in a message: no control characters, at most 60 characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// An alarm, with what puts it into words.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The alarm.
    pub alarm: &'a Alarm,
    /// Its stream.
    pub stream: &'a Stream,
    /// The bin from which on it changed, in words.
    pub since: &'a str,
    /// The bin after which it was told, in words.
    pub at: &'a str,
    /// Bins between false alarms, at least, on average.
    pub run_length: f64,
    /// Other streams that changed in the same bins, in words.
    pub beside: &'a [String],
    /// The command that shows the rows.
    pub look: &'a str,
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// An alarm in, findings out.
    pub look: fn(&Told<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &rate_change::ABOUT, look: rate_change::look },
        Room { about: &slow_evasion::ABOUT, look: slow_evasion::look },
    ]
}

/// What the rooms say of an alarm; exactly one speaks.
#[must_use]
pub fn look(told: &Told<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(told, place, &mut found);
    }
    found
}

impl Told<'_> {
    /// Whether a narrow class is missed more and more.
    fn is_evasion(&self) -> bool {
        self.stream.counted == Counted::Missed && self.alarm.rose
    }

    /// The finding, with the five answers in its trace.
    fn finding(&self, about: &'static About, place: &Place, suspicious: &str, doubt: &str) -> Finding {
        let alarm = self.alarm;
        let (what, whose) = (self.stream.what(), self.stream.whose());
        let (before, now) = (alarm.expected * 100.0, alarm.share() * 100.0);
        let verb = if alarm.rose { "rose" } else { "fell" };
        let message = format!(
            "since {}, among {whose}: {what} {verb} from {before:.1} % to {now:.1} % of {} rows",
            self.since, alarm.rows
        );
        let beside = if self.beside.is_empty() {
            String::new()
        } else {
            format!("; in the same time also {}", self.beside.join(", "))
        };
        let excess =
            (crate::statistic::real(alarm.hits) - alarm.expected * crate::statistic::real(alarm.rows)).abs();
        about
            .finding(place.part(format!("{what} among {whose}")), message.clone())
            .trace([
                format!("what changed: {message}"),
                format!("what is suspicious: {suspicious}{beside}"),
                format!("who and what is affected: {whose}, {} rows since {}", alarm.rows, self.since),
                format!("which decisions may be wrong: {doubt}, about {excess:.0} more or fewer than usual"),
                format!("what to do now: {}; hold retraining until the cause is known", self.look),
            ])
            .fact("since", self.since)
            .fact("told", self.at)
            .fact("rows", alarm.rows)
            .fact("hits", alarm.hits)
            .fact("share", alarm.share())
            .fact("usual", alarm.expected)
            .fact("evidence", alarm.evidence)
            .fact("run_length", self.run_length)
    }
}
