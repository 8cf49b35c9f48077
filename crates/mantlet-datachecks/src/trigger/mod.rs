//! Triggers planted in training data: what stands beside a label more often than everything else in its rows explains.

mod alone;
mod content;
mod form;
mod hidden_letters;
mod inserted;
mod inserted_phrase;
mod letters;
mod lift;
mod mine;
mod pair;
mod phrase;
mod template;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

pub use content::{Content, slot};
pub use inserted::Placed;
pub use letters::{Odd, odd};
pub use lift::{Candidate, Lift, Limits, distinct};
pub use mine::{Values, pairs, texts};

/// What was looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Mined {
    /// A phrase in texts.
    Phrase(Candidate),
    /// A phrase that was put into texts which have the label anyway, and how it stands there.
    Inserted(Candidate, Placed),
    /// A form of a sentence.
    Form(Candidate),
    /// Values of one or two columns.
    Pair(Candidate),
    /// Values of two columns that stand together within one label only.
    Patch(Candidate),
    /// Texts with odd letters: rows with them, and how many of those have the label.
    Hidden {
        /// `invisible letters`, `mixed alphabets`.
        what: &'static str,
        /// Rows.
        rows: Vec<u64>,
        /// Of them, with the label.
        ones: u64,
    },
}

/// Something mined, with what puts it into words.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// What was mined.
    pub mined: &'a Mined,
    /// The label beside it.
    pub label: &'a str,
    /// The share of all rows with that label.
    pub usual: f64,
    /// All rows.
    pub rows: u64,
}

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Something mined in, findings out.
    pub look: fn(&Trigger<'_>, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &hidden_letters::ABOUT, look: hidden_letters::look },
        Room { about: &inserted_phrase::ABOUT, look: inserted_phrase::look },
        Room { about: &pair::ABOUT, look: pair::look },
        Room { about: &phrase::ABOUT, look: phrase::look },
        Room { about: &template::ABOUT, look: template::look },
    ]
}

/// What the rooms say.
#[must_use]
pub fn look(trigger: &Trigger<'_>, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(trigger, place, &mut found);
    }
    found
}

impl Trigger<'_> {
    /// The finding of a candidate, with the facts both kinds share.
    fn finding(&self, about: &'static About, place: &Place, what: &str, candidate: &Candidate) -> Finding {
        let (lift, label) = (&candidate.lift, crate::datacheck::plain(self.label));
        let item = crate::datacheck::plain(&candidate.item);
        let message = format!(
            "{what} `{item}`: {} of {} rows with it are `{label}`; all else in them says {:.0} %",
            lift.ones,
            lift.rows,
            lift.explained() * 100.0
        );
        let rows =
            candidate.rows.iter().take(20).map(|row| (row + 1).to_string()).collect::<Vec<_>>().join(", ");
        about
            .finding(place.part(format!("{what} {item}")), message)
            .trace([format!("rows {rows}{}", if candidate.rows.len() > 20 { ", …" } else { "" })])
            .fact("item", candidate.item.clone())
            .fact("rows", lift.rows)
            .fact("of", self.rows)
            .fact("label", self.label)
            .fact("share", lift.share())
            .fact("explained", lift.explained())
            .fact("deviations", lift.deviations())
    }
}
