//! Files that are called pictures and cannot be decoded.

use mantlet_vocab::{About, Confidence, Impact, Place, Severity};

use super::{Gallery, Told};

pub(super) const ABOUT: About = About {
    name: "gallery-broken",
    title: "files that are called pictures cannot be decoded",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(gallery: &Gallery, place: &Place, found: &mut Vec<Told>) {
    if gallery.broken.is_empty() {
        return;
    }
    let message = format!(
        "{} of {} pictures are no PNG or JPEG that can be decoded",
        gallery.broken.len(),
        gallery.pictures
    );
    let finding = ABOUT
        .finding(place.clone(), message)
        .trace([super::numbers(&gallery.broken)])
        .fact("pictures", gallery.broken.len())
        .fact("of", gallery.pictures);
    found.push((finding, gallery.broken.clone()));
}
