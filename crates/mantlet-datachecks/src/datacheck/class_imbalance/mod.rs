//! Classes that are rare beside the others.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use crate::TableSummary;

pub(super) const ABOUT: About = About {
    name: "datacheck-class-imbalance",
    title: "a class is rare beside the others",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023", "ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn check(table: &TableSummary, place: &Place, found: &mut Vec<Finding>) {
    let Some(label) = table.label.and_then(|label| table.columns.get(label)) else { return };
    let classes = table.classes();
    // A label of very many values is a quantity, not a class.
    if classes.is_empty() || label.values_full_at.is_some() || classes.len() as u64 * 2 > label.filled() {
        return;
    }
    let place = super::column(place, &label.spec.name);
    if let (1, Some(only)) = (classes.len(), classes.keys().next()) {
        let message = format!("every row has the label `{}`", super::plain(only));
        found.push(ABOUT.finding(place, message).severity(Severity::Suspicious));
        return;
    }
    let fair = 1.0 / f64::from(u32::try_from(classes.len()).unwrap_or(u32::MAX));
    let rare: Vec<_> = classes
        .iter()
        .filter(|(_, count)| **count < 10 || super::share(**count, label.filled()) < fair / 10.0)
        .collect();
    let Some((class, count)) = rare.iter().min_by_key(|(class, count)| (**count, **class)) else { return };
    let message = format!(
        "{} of {} classes are rare; `{}` has {count} of {} rows",
        rare.len(),
        classes.len(),
        super::plain(class),
        label.filled()
    );
    let trace = rare.iter().take(20).map(|(class, count)| format!("{}: {count}", super::plain(class)));
    found.push(
        ABOUT.finding(place, message).trace(trace).fact("classes", classes.len()).fact("rare", rare.len()),
    );
}
