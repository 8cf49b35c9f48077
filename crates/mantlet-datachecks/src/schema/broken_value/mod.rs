//! Values of a column that its schema does not allow.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};

use super::{ColumnJudged, Fault, Holds, Judged};
use crate::datacheck::{plain, share};

pub(super) const ABOUT: About = About {
    name: "schema-broken-value",
    title: "values are not what the schema promises",
    severity: Severity::Suspicious,
    impact: Impact::Medium,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML02:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

pub(super) fn look(judged: &Judged, place: &Place, found: &mut Vec<Finding>) {
    for column in &judged.columns {
        for (fault, (count, examples)) in &column.faults {
            let name = plain(&column.promised.name);
            let of =
                format!("{count} of {} values ({:.2} %)", judged.rows, share(*count, judged.rows) * 100.0);
            let finding = ABOUT
                .finding(place.part(format!("column {name}")), format!("{of} {}", said(column, *fault)))
                .fact("rows", *count)
                .fact("of", judged.rows)
                .fact("fault", word(*fault));
            // Where nothing stands there is nothing to show.
            let shown = if *fault == Fault::Missing {
                examples.iter().map(|(row, _)| format!("row {}", row + 1)).collect()
            } else {
                super::rows(examples)
            };
            found.push(finding.trace(shown));
        }
    }
}

const fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::Missing => "missing",
        Fault::Kind => "kind",
        Fault::Range => "range",
        Fault::Word => "words",
        Fault::Spelling => "spelling",
    }
}

fn said(column: &ColumnJudged, fault: Fault) -> String {
    let promised = &column.promised;
    match fault {
        Fault::Missing => format!("are missing; at most {:.2} % may be", promised.missing * 100.0),
        Fault::Kind => match promised.kind {
            Holds::Numbers => "are no numbers".to_owned(),
            Holds::Whole => "are no whole numbers".to_owned(),
            Holds::Times => "are no dates or times".to_owned(),
            Holds::Words => "are no words".to_owned(),
        },
        Fault::Range => match (promised.range, promised.kind) {
            (Some([low, high]), _) => format!("are outside {low} to {high}"),
            (None, Holds::Times) => {
                let bound = |time: &Option<String>| time.clone().unwrap_or_else(|| "any".to_owned());
                format!("are outside {} to {}", bound(&promised.earliest), bound(&promised.latest))
            }
            (None, _) => "are infinite".to_owned(),
        },
        Fault::Word => {
            let count = promised.words.as_ref().map_or(0, Vec::len);
            format!("are none of the {count} words that there may be")
        }
        Fault::Spelling => match (&promised.pattern, promised.longest) {
            (Some(pattern), _) => format!("are not spelled like `{}`", plain(pattern)),
            (None, Some(longest)) => format!("are longer than {longest} letters"),
            (None, None) => "are spelled otherwise".to_owned(),
        },
    }
}
