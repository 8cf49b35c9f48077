//! What a table promises, written down once and held against every later version: columns and what they hold, keys,
//! the order of two columns, and values that have to stand in another table.

mod broken_order;
mod broken_value;
mod dangling_reference;
mod doubled_key;
mod infer;
mod judge;
mod other_columns;
mod promise;
#[cfg(test)]
mod tests;

use mantlet_vocab::{About, Finding, Place};

pub use infer::{Inferring, Seen};
pub use judge::{ColumnJudged, Fault, Judge, Judged, Keys, Lane, PairJudged};
pub use promise::{Column, Holds, Order, Reference, SCHEMA_VERSION, Schema, SchemaError, Unique};

/// One room: what it says about itself, and its look.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// What was held against the schema in, findings out.
    pub look: fn(&Judged, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &broken_order::ABOUT, look: broken_order::look },
        Room { about: &broken_value::ABOUT, look: broken_value::look },
        Room { about: &dangling_reference::ABOUT, look: dangling_reference::look },
        Room { about: &doubled_key::ABOUT, look: doubled_key::look },
        Room { about: &other_columns::ABOUT, look: other_columns::look },
    ]
}

/// Every finding of every room, in report order.
#[must_use]
pub fn look(judged: &Judged, place: &Place) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in all() {
        (room.look)(judged, place, &mut found);
    }
    Finding::sort(&mut found);
    found
}

/// `columns a and b`, fit for a place.
fn named(columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().map(|name| crate::datacheck::plain(name)).collect();
    let word = if names.len() == 1 { "column" } else { "columns" };
    format!("{word} {}", names.join(" and "))
}

/// `row 7: cheese`, for each row that is shown.
fn rows(examples: &[(u64, String)]) -> Vec<String> {
    let show = |(row, text): &(u64, String)| format!("row {}: {}", row + 1, crate::datacheck::plain(text));
    examples.iter().map(show).collect()
}
