//! Wrong labels that go one way only.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::Labelled;

pub(super) const ABOUT: About = About {
    name: "label-flip",
    title: "wrong labels go from one class to one other and not back",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0020"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Fewer rows are no direction.
const FEWEST: u64 = 10;
/// One direction holds this many times what any other does, against the size of the class it is taken from.
const TIMES: f64 = 4.0;

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
pub(super) fn look(labelled: &Labelled<'_>, place: &Place, found: &mut Vec<Finding>) {
    if labelled.classes.len() < 3 {
        // With two classes the rarer one always loses more than it gains.
        return;
    }
    let ways = labelled.directions(labelled.confident.rows.iter());
    // Honest confusion takes a like share of each class and goes both ways.
    let share = |&((meant, _), count): &((usize, usize), u64)| {
        count as f64 / labelled.counts.get(meant).copied().unwrap_or(0).max(50) as f64
    };
    let mut ranked = ways.clone();
    ranked.sort_by(|a, b| share(b).total_cmp(&share(a)));
    let Some(first) = ranked.iter().find(|(_, count)| *count >= FEWEST) else { return };
    let other = ranked.iter().filter(|way| way.0 != first.0).map(share).fold(0.0, f64::max);
    let all: u64 = ways.iter().map(|(_, count)| count).sum();
    if share(first) < TIMES * other || first.1 * 2 < all || share(first) < 0.005 {
        return;
    }
    let ((meant, given), count) = *first;
    let message = format!(
        "{count} rows look like `{}` and are called `{}`: {:.1} % of that class, {} times as often as any other confusion",
        labelled.word(meant),
        labelled.word(given),
        share(first) * 100.0,
        if other > 0.0 { format!("{:.0}", share(first) / other) } else { "many".to_owned() }
    );
    found.push(
        ABOUT
            .finding(place.clone(), message)
            .fact("direction", labelled.way((meant, given)))
            .fact("rows", count)
            .fact("share", share(first)),
    );
}
