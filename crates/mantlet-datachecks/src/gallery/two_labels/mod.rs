//! One picture with two labels.

use mantlet_vocab::{About, Confidence, Impact, Place, Severity};

use super::{Gallery, Group, Told};

pub(super) const ABOUT: About = About {
    name: "gallery-two-labels",
    title: "copies of one picture carry different labels",
    severity: Severity::Note,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// The share of all pictures from which on it is more than carelessness.
const SHARE: f64 = 0.01;

pub(super) fn look(gallery: &Gallery, place: &Place, found: &mut Vec<Told>) {
    let differ = |group: &&Group| {
        let mut labels = group.rows.iter().map(|(_, label)| *label);
        labels.next().is_some_and(|first| labels.any(|label| label != first))
    };
    let torn: Vec<&Group> = gallery.groups.iter().filter(differ).collect();
    let Some(first) = torn.first() else { return };
    let mut labels: Vec<u16> = first.rows.iter().map(|(_, label)| *label).collect();
    labels.sort_unstable();
    labels.dedup();
    let words: Vec<String> =
        labels.iter().take(4).map(|&label| format!("`{}`", gallery.word(label))).collect();
    let rows: Vec<u64> = torn.iter().flat_map(|group| group.rows.iter().map(|(row, _)| *row)).collect();
    let message = format!(
        "{} pictures are copies of others with another label, in {} groups; the first is called {}",
        rows.len(),
        torn.len(),
        words.join(" and ")
    );
    let finding = ABOUT
        .finding(place.clone(), message)
        .trace([super::numbers(&rows)])
        .fact("pictures", rows.len())
        .fact("groups", torn.len());
    let many = gallery.share(rows.len()) >= SHARE;
    found.push((if many { finding.severity(Severity::Suspicious) } else { finding }, rows));
}
