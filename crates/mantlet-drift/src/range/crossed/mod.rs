//! A share, a mean or a rate has left the range that was declared safe.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{Held, Stands};
use crate::drift::plain;
use crate::statistic::real;

pub(super) const ABOUT: About = About {
    name: "range-crossed",
    title: "what the model decides has left a declared range",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0031"],
    owasp: &["ML09:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(held: &[Held<'_>], command: &str, place: &Place, found: &mut Vec<Finding>) {
    for one in held.iter().filter(|one| one.stands == Stands::Crossed) {
        let Some(bound) = one.bound else { continue };
        let (range, whose, rows) = (one.range, one.whose(), one.sums.rows);
        let name = plain(&range.name);
        let message = format!(
            "{name}: {} among {whose} is {} over {rows} rows; declared safe is {}",
            range.what(),
            range.said(one.value),
            range.bounds()
        );
        let rose = one.value > bound;
        let doubt = match &range.word {
            Some(_) => format!(
                "about {:.0} of these {rows} rows {} than the range allows",
                (one.value - bound).abs() * real(rows),
                if rose { "have the decision more" } else { "lack the decision more" },
            ),
            None => format!(
                "those of these {rows} rows that rest on {}, which lies {} by {:.4} on average",
                plain(&range.column),
                if rose { "too high" } else { "too low" },
                (one.value - bound).abs()
            ),
        };
        found.push(
            ABOUT
                .finding(place.part(format!("range {name}, {whose}")), message.clone())
                .trace([
                    format!("what changed: {message}"),
                    "what is suspicious: people declared this range; the model, its input or who asks it is not what \
                     it was declared for"
                        .to_owned(),
                    format!("who and what is affected: {whose}, {rows} rows"),
                    format!("which decisions may be wrong: {doubt}"),
                    format!(
                        "what to do now: {command}; let a person decide on these rows until the cause is known, or declare \
                         another range"
                    ),
                ])
                .fact("range", name)
                .fact("rows", rows)
                .fact("value", one.value)
                .fact("bound", bound)
                .fact("chance", one.chance),
        );
    }
}
