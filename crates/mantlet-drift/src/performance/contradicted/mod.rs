//! Labels say something else than the scores promised: the relation between inputs and truth has changed.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Contradiction, Performance, Window, span, stretches};
use crate::statistic::real;

pub(super) const ABOUT: About = About {
    name: "performance-contradicted",
    title: "labels contradict the scores",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0020", "AML.T0059"],
    owasp: &["ML02:2023", "ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(performance: &Performance, place: &Place, found: &mut Vec<Finding>) {
    for said in [false, true] {
        for more in [false, true] {
            let told = |window: &Window| {
                let one = window.contradictions.iter().find(|one| one.said == said && one.told)?;
                ((real(one.positive) > one.expected) == more).then_some(*one)
            };
            for stretch in stretches(&performance.windows, told) {
                say(&stretch, said, more, place, found);
            }
        }
    }
}

fn say(
    stretch: &[(&Window, Contradiction)],
    said: bool,
    more: bool,
    place: &Place,
    found: &mut Vec<Finding>,
) {
    let rows: u64 = stretch.iter().map(|(_, one)| one.rows).sum();
    let positive: u64 = stretch.iter().map(|(_, one)| one.positive).sum();
    let expected: f64 = stretch.iter().map(|(_, one)| one.expected).sum();
    let chance = stretch.iter().map(|(_, one)| one.chance).fold(1.0, f64::min);
    let answer = if said { "positive" } else { "negative" };
    let (span, how) = (span(stretch), if more { "more" } else { "fewer" });
    let message = format!(
        "{span}: of {rows} labelled decisions that the model called {answer}, {positive} turned out positive where \
         their scores promised {expected:.0}, {how} than chance explains; estimates without labels are withheld"
    );
    found.push(
        ABOUT
            .finding(place.part(format!("called {answer} in {span}")), message)
            .fact("labelled", rows)
            .fact("positive", positive)
            .fact("expected", expected)
            .fact("chance", chance),
    );
}
