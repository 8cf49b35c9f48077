//! Columns that name the row instead of describing it.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::{ColumnSummary, Kind, TableSummary};

pub(super) const ABOUT: About = About {
    name: "datacheck-identifier-column",
    title: "a column names the row instead of describing it",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::Medium,
    atlas: &["AML.T0059"],
    owasp: &["ML04:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    for (index, column) in table.columns.iter().enumerate() {
        if Some(index) == table.label || column.filled() < 50 || !is_identifier(column) {
            continue;
        }
        let message = format!("nearly every one of {} values occurs once", column.filled());
        found.push(ABOUT.finding(super::column(place, &column.spec.name), message));
    }
}

fn is_identifier(column: &ColumnSummary) -> bool {
    // Once the limit is reached, the part before it decides.
    let counted = column.values_full_at.unwrap_or_else(|| column.filled());
    if super::share(column.values.len() as u64, counted) < 0.99 {
        return false;
    }
    match column.spec.kind {
        // Measurements differ in every row too; running numbers are whole and lie close together, or say their name.
        Kind::Numeric => {
            let whole = column.integers == column.filled();
            let span = column.max - column.min + 1.0;
            let dense = counted == column.filled()
                && span <= 2.0 * f64::from(u32::try_from(counted).unwrap_or(u32::MAX));
            whole && (dense || is_named_so(&column.spec.name))
        }
        Kind::Categorical => true,
        // Free text is different in each row, and the label is no feature.
        Kind::Text | Kind::Label => is_named_so(&column.spec.name),
    }
}

fn is_named_so(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["id", "uuid", "guid", "key", "email", "phone", "ssn", "iban"]
        .iter()
        .any(|word| lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == *word))
        || lower.ends_with("_id")
        || name.ends_with("Id")
        || name.ends_with("ID")
}
