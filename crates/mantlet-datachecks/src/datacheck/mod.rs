//! The rooms of training data: each looks at the summary of one table.

mod class_imbalance;
mod conflicting_labels;
mod constant_column;
mod duplicate_rows;
mod identifier_column;
mod label_leak;
mod label_outlier;
mod missing_values;
mod mixed_types;
mod out_of_range;

use mantlet_vocab::{About, Finding, Place};

use crate::TableSummary;

/// One room: what it says about itself, and its check.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// A summary in, findings out.
    pub check: fn(&TableSummary, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &class_imbalance::ABOUT, check: class_imbalance::check },
        Room { about: &conflicting_labels::ABOUT, check: conflicting_labels::check },
        Room { about: &constant_column::ABOUT, check: constant_column::check },
        Room { about: &duplicate_rows::ABOUT, check: duplicate_rows::check },
        Room { about: &identifier_column::ABOUT, check: identifier_column::check },
        Room { about: &label_leak::ABOUT, check: label_leak::check },
        Room { about: &label_outlier::ABOUT, check: label_outlier::check },
        Room { about: &missing_values::ABOUT, check: missing_values::check },
        Room { about: &mixed_types::ABOUT, check: mixed_types::check },
        Room { about: &out_of_range::ABOUT, check: out_of_range::check },
    ]
}

/// `column amount`, the name made fit to stand in a message.
fn column(place: &Place, name: &str) -> Place {
    place.part(format!("column {}", plain(name)))
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

/// `count` of `all` as a share; 0 of nothing is 0.
#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
pub(crate) fn share(count: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { count as f64 / all as f64 }
}

#[cfg(test)]
mod tests;
