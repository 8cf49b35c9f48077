//! Who turned a label, where and when: counts by feed, labeler, segment and batch against what the features say.

mod additive;
mod concept_change;
mod control;
mod grid;
mod held;
mod label_noise;
mod label_shift;
mod scan;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

use mantlet_vocab::{About, Finding, Place};

pub use additive::Additive;
pub use grid::{Axis, COUNTS_MOST, Crossing, Grid, GridCounts, REST, Role, Tally};
pub use scan::{Alarm, ScanSettings, Spot, Spread, scan};
pub(crate) use tail::binomial_tail;

/// An alarm with what is needed to put it into words.
#[derive(Debug, Clone, Copy)]
pub struct Turned<'a> {
    /// The counts it comes from.
    pub grid: &'a Grid,
    /// The alarm.
    pub alarm: &'a Alarm,
    /// The label that is said too seldom or too often.
    pub label: &'a str,
    /// What is said instead, when there is one other label.
    pub other: Option<&'a str>,
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// An alarm in, findings out.
    pub look: fn(&Turned<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &concept_change::ABOUT, look: concept_change::look },
        Room { about: &label_noise::ABOUT, look: label_noise::look },
        Room { about: &label_shift::ABOUT, look: label_shift::look },
    ]
}

/// What the rooms say of an alarm; exactly one speaks.
#[must_use]
pub fn look(turned: &Turned<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(turned, place, &mut found);
    }
    found
}

/// Counts as numbers.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
pub(crate) const fn real(count: u64) -> f64 {
    count as f64
}

/// What an alarm is: exactly one of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// Every feed says it alike: the world changed, or something that all feeds share.
    Change,
    /// One feed or labeler errs evenly over everything.
    Noise,
    /// One feed or labeler says one label instead of another.
    Shift,
}

impl Turned<'_> {
    fn nature(&self) -> Nature {
        let alarm = self.alarm;
        if alarm.axes.iter().all(|&axis| self.grid.axes[axis].role == Role::Segment) {
            return Nature::Change;
        }
        // Careless labels fall on all segments alike, and on likely rows as on unlikely ones; where one label is
        // rare this adds to it. Labels that vanish, or are added in one place only, are aimed.
        let even = |spread: &Spread| {
            spread.even > 0.001 && spread.lost + 3.0 * spread.lost_error >= 0.5 * alarm.share()
        };
        if !alarm.few && alarm.spread.as_ref().is_some_and(even) { Nature::Noise } else { Nature::Shift }
    }

    /// Whether it is more than carelessness: a label that was turned, by one source or by all.
    #[must_use]
    pub fn is_aimed(&self) -> bool {
        self.nature() != Nature::Noise
    }

    fn who(&self) -> String {
        self.grid.words(&self.alarm.axes, &self.alarm.levels)
    }

    fn label(&self) -> String {
        crate::datacheck::plain(self.label)
    }

    fn batch(&self, at: usize) -> String {
        self.grid.batches.get(at).map(|name| crate::datacheck::plain(name)).unwrap_or_default()
    }

    /// `expected 310, seen 172, from batch 5 to 12`.
    fn figures(&self) -> String {
        let alarm = self.alarm;
        format!(
            "`{}` in {} of {} rows where {:.0} are expected, batches {} to {}",
            self.label(),
            alarm.seen,
            alarm.rows,
            alarm.expected,
            self.batch(alarm.window.0),
            self.batch(alarm.window.1)
        )
    }

    /// Since when it could be told, in words.
    fn honest(&self) -> Vec<String> {
        let name = |at: Option<usize>| at.map_or("none of these".to_owned(), |at| self.batch(at));
        vec![
            format!("told first after batch {}", self.batch(self.alarm.first)),
            format!(
                "earliest batch at which it could honestly be told: {} had every such row been turned, {} at the \
                 strength measured",
                name(self.alarm.earliest_whole),
                name(self.alarm.earliest)
            ),
        ]
    }

    /// The finding of a room with the facts that all three share.
    fn finding(&self, about: &'static About, place: &Place, message: String) -> Finding {
        let alarm = self.alarm;
        let names = |at: usize| serde_json::Value::from(self.batch(at));
        let finding = about
            .finding(place.part(self.who()), message)
            .trace(self.honest())
            .fact("label", self.label)
            .fact("direction", if alarm.few { "too few" } else { "too many" })
            .fact("rows", alarm.rows)
            .fact("seen", alarm.seen)
            .fact("expected", (alarm.expected * 10.0).round() / 10.0)
            .fact("share", (alarm.share() * 1e4).round() / 1e4)
            .fact("chance", alarm.chance)
            .fact("from_batch", names(alarm.window.0))
            .fact("to_batch", names(alarm.window.1))
            .fact("first_told", names(alarm.first))
            .fact("earliest_honest", alarm.earliest.map(names));
        match self.picture() {
            Some(picture) => finding.fact("picture", picture),
            None => finding,
        }
    }

    /// What was expected and seen, batch by batch, where they are few enough to be drawn.
    fn picture(&self) -> Option<serde_json::Value> {
        let course = self.grid.course(&self.alarm.axes, &self.alarm.levels)?;
        let names: Vec<String> = (0..course.len()).map(|at| self.batch(at)).collect();
        let (expected, seen): (Vec<f64>, Vec<u64>) =
            course.into_iter().map(|(expected, seen)| ((expected * 10.0).round() / 10.0, seen)).unzip();
        (names.len() <= 60).then(
            || serde_json::json!({ "kind": "timeline", "names": names, "expected": expected, "seen": seen }),
        )
    }
}
