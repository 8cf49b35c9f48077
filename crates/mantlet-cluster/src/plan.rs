//! The plan: its text.

use std::fmt::Write as _;
use std::ops::Range;

use crate::{bucket, gather, sum};

/// The table's name in the plan.
pub(crate) const TABLE: &str = "later";

/// The query of drift: one tally of columns in the buckets of these places of the job's profile, and what could not be
/// read.
pub(crate) fn counting(id: &str, places: Range<usize>) -> String {
    let (mut cells, mut buckets) = (String::new(), String::new());
    for (at, place) in places.enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(cells, "{comma}c{at}");
        let _ = write!(buckets, ", {}(c{at}, '{id}', {place}) AS c{at}", bucket::NAME);
    }
    let fixed = gather::arguments(id);
    let [_, own @ ..] = &fixed;
    format!(
        "SELECT {}({cells}), {}({}) FROM (SELECT {}{buckets} FROM {TABLE})",
        sum::NAME,
        gather::NAME,
        fixed.join(", "),
        own.join(", ")
    )
}

/// The query of every other pass.
pub(crate) fn gathering(id: &str, columns: usize) -> String {
    let mut arguments = gather::arguments(id).to_vec();
    arguments.extend((0..columns).map(|at| format!("c{at}")));
    format!("SELECT {}({}) FROM {TABLE}", gather::NAME, arguments.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_columns_by_place_so_that_no_name_can_leave_its_quotes() {
        assert_eq!(
            counting("ab", 7..9),
            "SELECT tally(c0, c1), gather('ab', file, \"row\", unreadable) FROM (SELECT file, \"row\", unreadable, \
             bucket(c0, 'ab', 7) AS c0, bucket(c1, 'ab', 8) AS c1 FROM later)"
        );
        assert_eq!(gathering("ab", 1), "SELECT gather('ab', file, \"row\", unreadable, c0) FROM later");
    }
}
