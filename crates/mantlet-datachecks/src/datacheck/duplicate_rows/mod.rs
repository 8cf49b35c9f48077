//! Rows that occur more than once.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-duplicate-rows",
    title: "rows are repeated",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    let extra: u64 = table.duplicates.values().map(|seen| seen.count - 1).sum();
    let Some(most) =
        table.duplicates.values().max_by_key(|seen| (seen.count, std::cmp::Reverse(seen.first_row)))
    else {
        return;
    };
    let extra_share = super::share(extra, table.rows);
    let most_share = super::share(most.count, table.rows);
    // With few possible rows repetition is natural: a table of three yes-or-no columns repeats by itself.
    let flood = most.count >= 20 && most_share >= 0.01 && most_share >= 10.0 * typical(table);
    if (extra < 3 || extra_share < 0.01) && !flood {
        return;
    }
    let message = format!(
        "{extra} of {} rows repeat another ({:.1} %); row {} occurs {} times",
        table.rows,
        extra_share * 100.0,
        most.first_row,
        most.count
    );
    let finding = ABOUT
        .finding(place.clone(), message)
        .fact("repeated_rows", extra)
        .fact("rows", table.rows)
        .fact("most_repeated_row", most.first_row)
        .fact("most_repeated", most.count);
    found.push(if flood { finding.severity(Severity::Suspicious) } else { finding });
}

/// How large a share an ordinary distinct row has.
fn typical(table: &TableSummary) -> f64 {
    super::share(1, table.duplicates.len() as u64)
}
