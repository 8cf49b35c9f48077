//! The model errs more in one segment than its own past explains.

use mantlet_vocab::{About, Confidence, Finding, Impact, Place, Severity};
use serde_json::{Value, json};

use super::{Erring, Found, Segments};
use crate::drift::{percent, plain};
use crate::statistic::real;

pub(super) const ABOUT: About = About {
    name: "segment-loss",
    title: "the model has become worse in one segment",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::High,
    atlas: &["AML.T0059"],
    owasp: &["ML08:2023"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

/// Rows named in one sentence; the others are in the list.
const NAMED: usize = 8;

pub(super) fn look(segments: &Segments<'_>, place: &Place, found: &mut Vec<Finding>) {
    for segment in &segments.losses {
        let said = Said::of(segments, segment);
        let mut finding = ABOUT
            .finding(place.part(format!("segment {}", said.who)), said.message.clone())
            .trace(said.answers())
            .fact("rows", segment.rows)
            .fact("error_rate_before", segment.before)
            .fact("error_rate_now", segment.now)
            .fact("share_of_errors", segment.share)
            .fact("share_of_rows_before", segment.reach.0)
            .fact("share_of_rows_now", segment.reach.1)
            .fact("chance", segment.chance)
            .fact("likely_cause", said.cause.clone());
        if let Some(since) = &said.since {
            finding = finding.fact("since", since.as_str());
        }
        if !segment.told.review.is_empty() {
            finding = finding.fact("review", segment.told.review.iter().map(name).collect::<Vec<_>>());
        }
        if let Some(picture) = tree(segments, segment) {
            finding = finding.fact("picture", picture);
        }
        let pictures: Vec<Value> =
            [segment.told.picture(segment.expected), sheet(segment)].into_iter().flatten().collect();
        if !pictures.is_empty() {
            finding = finding.fact("pictures", pictures);
        }
        found.push(finding);
    }
}

/// What identifies a row, or its number as people count.
fn name(row: &Erring) -> String {
    row.id.as_deref().map_or_else(|| format!("row {}", row.row + 1), plain)
}

/// A segment in words.
struct Said<'a> {
    segment: &'a Found,
    who: String,
    since: Option<String>,
    message: String,
    cause: String,
}

impl<'a> Said<'a> {
    fn of(segments: &Segments<'_>, segment: &'a Found) -> Self {
        let who = segments.words(segment);
        let stretch = segment.told.since(segment.expected);
        let since = stretch.and_then(|at| segment.told.stretches.get(at)).map(|own| plain(&own.name));
        let lead = since.as_ref().map(|since| format!("since {since}, ")).unwrap_or_default();
        let times = segment.now / segment.before.max(1e-9);
        let times = if times >= 1.5 { format!(", {times:.1} times as often") } else { String::new() };
        let message = format!(
            "{lead}{who}: the model errs on {} of {} rows, before on {}{times}; over all rows {}, before {}. This \
             segment's excess is {} of all errors",
            percent(segment.now),
            segment.rows,
            percent(segment.before),
            percent(segment.everywhere.1),
            percent(segment.everywhere.0),
            percent(segment.share),
        );
        let cause = cause(segments, segment);
        Self { segment, who, since, message, cause }
    }

    /// The five answers, a line each.
    fn answers(&self) -> [String; 5] {
        let segment = self.segment;
        let stretch = segment.told.since(segment.expected);
        let (rows, errors) = match segment.told.from(stretch) {
            (0, _) => (segment.rows, None),
            (rows, errors) => (rows, Some(errors)),
        };
        let from = self.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
        let excess = (segment.now - segment.expected).max(0.0) * real(segment.rows);
        let kind = segment.told.review.first().map(|own| {
            format!(", most of them {} that the model called {}", plain(&own.label), plain(&own.said))
        });
        let wrong = errors.map_or_else(
            || format!("about {:.0} of them", segment.now * real(segment.rows)),
            |errors| format!("{errors} of them{from}{}", kind.unwrap_or_default()),
        );
        let review = match segment.told.review.as_slice() {
            [] => "look at its rows".to_owned(),
            rows => {
                let named: Vec<String> = rows.iter().take(NAMED).map(name).collect();
                let more = rows.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more in the list") } else { String::new() };
                format!("review these {} rows first: {}{more}", rows.len(), named.join(", "))
            }
        };
        [
            format!("what changed: {}", self.message),
            format!("what is suspicious: likely cause: {}", self.cause),
            format!(
                "who and what is affected: {}: {rows} decisions{from}, {} of all rows",
                self.who,
                percent(segment.reach.1)
            ),
            format!(
                "which decisions may be wrong: {wrong}; {excess:.0} more than this segment's past explains"
            ),
            format!(
                "what to do now: {review}; hold retraining until the cause is known: `mantlet data freeze --note \
                 \"segment {}\" --user YOU`",
                self.who.replace(['"', '`', '\\', '$'], "'")
            ),
        ]
    }
}

/// What else is different in the segment, as far as its inputs tell.
fn cause(segments: &Segments<'_>, segment: &Found) -> String {
    let column = |at: usize| {
        let column = segments.layout.measures.get(at)?.column;
        Some(plain(&segments.profile.columns.get(column)?.name))
    };
    let moved: Vec<String> = segment
        .causes
        .iter()
        .take(3)
        .filter_map(|cause| {
            let by = cause.ranks.1 - cause.ranks.0;
            Some(format!(
                "{} {} in this segment only, by {:.0} of 100 ranks on average (over all rows by {:.1})",
                column(cause.measure)?,
                if by >= 0.0 { "rose" } else { "fell" },
                by.abs() * 100.0,
                (cause.everywhere.1 - cause.everywhere.0).abs() * 100.0,
            ))
        })
        .collect();
    let (before, now) = segment.reach;
    let grew = (now >= 1.5 * before && before > 0.0)
        .then(|| format!("its part of all rows grew from {} to {}", percent(before), percent(now)));
    let told: Vec<String> = moved.into_iter().chain(grew).collect();
    let own: Vec<usize> = segment.conditions.iter().map(|(dimension, _)| *dimension).collect();
    if told.is_empty() && !segments.layout.is_summed(&own) {
        return "not looked for: there are too many columns of numbers to tell which of them moved in ranges of one; leave \
                some out (`--without`)"
            .to_owned();
    }
    if told.is_empty() {
        return "no column moved in this segment and it is as large as before, so its inputs are as they were: the model \
                changed, or what is true; look at what the version that decides now learned from (`mantlet data \
                batches`)"
            .to_owned();
    }
    told.join("; ")
}

/// The forks from all rows to the segment, as a picture.
fn tree(segments: &Segments<'_>, segment: &Found) -> Option<Value> {
    let forks: Vec<Value> = segment
        .way
        .iter()
        .filter_map(|fork| {
            let column = segments.layout.dimensions.get(fork.dimension)?.column;
            let branches: Vec<Value> = fork
                .branches
                .iter()
                .map(|own| {
                    json!({"name": plain(&own.name), "rows": own.rows, "then": own.before, "now": own.now,
                        "followed": own.followed})
                })
                .collect();
            Some(json!({"by": plain(&segments.profile.columns.get(column)?.name), "branches": branches}))
        })
        .collect();
    let (then, now) = segment.everywhere;
    (!forks.is_empty()).then(|| json!({"kind": "tree", "all": {"then": then, "now": now}, "forks": forks}))
}

/// The rows to look at first, as a picture.
fn sheet(segment: &Found) -> Option<Value> {
    let sheet = &segment.told.sheet;
    (!sheet.rows.is_empty() && !sheet.columns.is_empty())
        .then(|| json!({"kind": "rows", "columns": sheet.columns, "rows": sheet.rows}))
}
