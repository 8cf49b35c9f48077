//! The rooms of drift: each reads one kind of change out of a comparison.

mod joint_shift;
mod marginal_shift;
mod missing_values;
mod new_words;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

use crate::{ColumnProfile, Comparison};

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A comparison in, findings out.
    pub look: fn(&Comparison<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &joint_shift::ABOUT, look: joint_shift::look },
        Room { about: &marginal_shift::ABOUT, look: marginal_shift::look },
        Room { about: &missing_values::ABOUT, look: missing_values::look },
        Room { about: &new_words::ABOUT, look: new_words::look },
    ]
}

/// Every finding of every room, in report order.
#[must_use]
pub fn look(comparison: &Comparison<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(comparison, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

/// `column amount`, made fit to stand in a message.
fn column(place: &Place, column: &ColumnProfile) -> Place {
    place.part(format!("column {}", plain(&column.name)))
}

/// Foreign text in a message: no control characters, at most 60 characters.
pub(crate) fn plain(text: &str) -> String {
    let mut out: String =
        text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}

/// A picture of a share and what is left of it, before and now.
fn two(names: [&str; 2], before: f64, now: f64) -> serde_json::Value {
    serde_json::json!({
        "kind": "then-now",
        "names": names,
        "then": [before, (1.0 - before).max(0.0)],
        "now": [now, (1.0 - now).max(0.0)],
    })
}

/// A share in percent, with digits enough to be told from none.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent != 0.0 && percent.abs() < 0.95 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}
