//! One picture over and over.

use mantlet_vocab::{About, Confidence, Impact, Place, Severity};

use super::{Gallery, Group, Told};

pub(super) const ABOUT: About = About {
    name: "gallery-copies",
    title: "one picture is there over and over",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(gallery: &Gallery, place: &Place, found: &mut Vec<Told>) {
    let fewest = crate::flood::fewest(gallery.pictures);
    let rows = |group: &Group| -> Vec<u64> { group.rows.iter().map(|(row, _)| *row).collect() };
    let (large, small): (Vec<&Group>, Vec<&Group>) =
        gallery.groups.iter().partition(|group| group.rows.len() as u64 >= fewest);
    for group in large {
        let own = rows(group);
        let what = if group.exact { "the same picture" } else { "near copies of one picture" };
        let message = format!("{} of {} pictures are {what}", own.len(), gallery.pictures);
        let finding =
            ABOUT.finding(place.clone(), message).trace([super::numbers(&own)]).fact("pictures", own.len());
        found.push((finding.fact("exact", group.exact), own));
    }
    if small.is_empty() {
        return;
    }
    let own: Vec<u64> = small.iter().flat_map(|group| rows(group)).collect();
    let message = format!(
        "{} of {} pictures are copies of each other, in {} groups of at most {}",
        own.len(),
        gallery.pictures,
        small.len(),
        small.iter().map(|group| group.rows.len()).max().unwrap_or(0)
    );
    let finding =
        ABOUT.finding(place.clone(), message).severity(Severity::Note).trace([super::numbers(&own)]);
    found.push((finding.fact("pictures", own.len()).fact("groups", small.len()), own));
}
