//! Pictures of findings about data: what was beside what is, counts over time, the way down to a segment, rows to look
//! at. A room hands over numbers in the facts `picture` and `pictures`; what is no picture is not drawn.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use crate::svg::at;
use crate::words::clean_line;

/// Bars or points at most.
const MOST: usize = 60;
const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 12.0;
const BOTTOM: f64 = 46.0;
const TOP: f64 = 26.0;

/// Pictures of one finding at most.
const PICTURES: usize = 8;

/// The pictures among named facts, with a title for those who do not see them.
#[must_use]
pub fn pictures(title: &str, facts: &BTreeMap<String, Value>) -> Markup {
    let more = facts.get("pictures").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let all = facts.get("picture").into_iter().chain(more).take(PICTURES);
    html! {
        @for picture in all {
            @if let Some(drawn) = picture_of(title, picture) {
                // Wider than a narrow screen: it moves within its frame.
                div.scroll tabindex="0" role="group" aria-label={ (title) ": picture" } { (drawn) }
            }
        }
    }
}

fn picture_of(title: &str, picture: &Value) -> Option<Markup> {
    match picture.get("kind")?.as_str()? {
        "tree" => return super::tree::tree(title, picture),
        "rows" => return rows(picture),
        _ => {}
    }
    let names: Vec<String> = picture
        .get("names")?
        .as_array()?
        .iter()
        .map(|name| clean_line(name.as_str().unwrap_or("")))
        .collect();
    let numbers = |key: &str| -> Option<Vec<f64>> {
        let numbers: Option<Vec<f64>> = picture.get(key)?.as_array()?.iter().map(Value::as_f64).collect();
        numbers.filter(|numbers| {
            numbers.len() == names.len() && numbers.iter().all(|number| number.is_finite() && *number >= 0.0)
        })
    };
    if names.is_empty() || names.len() > MOST {
        return None;
    }
    match picture.get("kind")?.as_str()? {
        "then-now" => Some(bars(title, &names, &numbers("then")?, &numbers("now")?)),
        "timeline" => {
            let what = picture.get("what").and_then(Value::as_str).unwrap_or("rows with the label");
            let mark = |key: &'static str| {
                let place = picture.get(key)?.as_u64().and_then(|place| usize::try_from(place).ok());
                place.filter(|place| *place < names.len()).map(|place| (place, key))
            };
            let marks: Vec<(usize, &'static str)> =
                [mark("since"), mark("told")].into_iter().flatten().collect();
            let counts = (numbers("expected")?, numbers("seen")?);
            Some(timeline((title, &clean_line(what)), &names, (&counts.0, &counts.1), &marks))
        }
        _ => None,
    }
}

fn share(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// Two bars for each name.
fn bars(title: &str, names: &[String], then: &[f64], now: &[f64]) -> Markup {
    let most = then.iter().chain(now).copied().fold(1e-12, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "sixty names at most")]
    let step = (WIDTH - 2.0 * LEFT) / names.len() as f64;
    let height = |value: f64| value / most * (HEIGHT - TOP - BOTTOM);
    let bar = (step * 0.36).min(40.0);
    html! {
        svg.chart role="img" aria-label={ (title) ": before and now" } viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            title { (title) ": before and now" }
            text.axis-label x=(LEFT) y="16" { "share of the rows: left before, right now" }
            line.axis x1=(LEFT) x2=(WIDTH - LEFT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
            @for (place, (name, (then, now))) in names.iter().zip(then.iter().zip(now)).enumerate() {
                @let middle = middle(place, step);
                rect.bar-then x=(at(middle - bar)) y=(at(HEIGHT - BOTTOM - height(*then))) width=(at(bar)) height=(at(height(*then))) {
                    title { (name) ": " (share(*then)) " before" }
                }
                rect.bar-now x=(at(middle)) y=(at(HEIGHT - BOTTOM - height(*now))) width=(at(bar)) height=(at(height(*now))) {
                    title { (name) ": " (share(*now)) " now" }
                }
                @if names.len() <= 12 {
                    text x=(at(middle)) y=(HEIGHT - BOTTOM + 18.0) text-anchor="middle" { (name.chars().take(10).collect::<String>()) }
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sixty names at most")]
fn middle(place: usize, step: f64) -> f64 {
    LEFT + (place as f64 + 0.5) * step
}

/// What was expected as a line, what was seen as dots.
fn timeline(
    (title, what): (&str, &str),
    names: &[String],
    (expected, seen): (&[f64], &[f64]),
    marks: &[(usize, &str)],
) -> Markup {
    let most = expected.iter().chain(seen).copied().fold(1e-12, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "sixty names at most")]
    let step = (WIDTH - 2.0 * LEFT) / names.len() as f64;
    let y = |value: f64| HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM);
    let line = expected
        .iter()
        .enumerate()
        .map(|(place, value)| format!("{},{}", at(middle(place, step)), at(y(*value))));
    let line = line.collect::<Vec<_>>().join(" ");
    html! {
        svg.chart role="img" aria-label={ (title) ": expected and seen over time" } viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            title { (title) ": expected and seen over time" }
            text.axis-label x=(LEFT) y="16" { (what) ": expected (line), seen (dots); up to " (format!("{most:.0}")) }
            line.axis x1=(LEFT) x2=(WIDTH - LEFT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
            @for (place, word) in marks {
                @let x = middle(*place, step) - step / 2.0;
                line.rail x1=(at(x)) x2=(at(x)) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                text x=(at(x + 4.0)) y=(at(TOP + if *word == "told" { 26.0 } else { 12.0 })) { (word) " " (names[*place]) }
            }
            polyline.expected points=(line) {}
            @for (place, (name, value)) in names.iter().zip(seen).enumerate() {
                circle.seen cx=(at(middle(place, step))) cy=(at(y(*value))) r="4" {
                    title { (name) ": " (format!("{value:.0}")) " seen, " (format!("{:.0}", expected[place])) " expected" }
                }
                @if names.len() <= 16 {
                    text x=(at(middle(place, step))) y=(HEIGHT - BOTTOM + 18.0) text-anchor="middle" { (name.chars().take(8).collect::<String>()) }
                }
            }
        }
    }
}

/// Rows and columns of a list that are shown; the whole of it is in the other forms of the report.
const SHOWN: (usize, usize) = (40, 12);

/// Rows to look at, as they stand in the table.
fn rows(picture: &Value) -> Option<Markup> {
    let words = |of: &Value| -> Option<Vec<String>> {
        let words = of.as_array()?.iter().take(SHOWN.1);
        words.map(|word| word.as_str().map(clean_line)).collect()
    };
    let columns = words(picture.get("columns")?)?;
    let all = picture.get("rows")?.as_array()?;
    let shown: Vec<Vec<String>> = all.iter().take(SHOWN.0).map(words).collect::<Option<_>>()?;
    if columns.is_empty() || shown.is_empty() || shown.iter().any(|row| row.len() != columns.len()) {
        return None;
    }
    Some(html! {
        details open {
            summary { "Rows to look at first (" (all.len()) ")" }
            table {
                thead { tr { @for name in &columns { th scope="col" { (name) } } } }
                tbody { @for row in &shown { tr { @for cell in row { td { (cell) } } } } }
            }
            @if all.len() > shown.len() { p.small.quiet { (all.len() - shown.len()) " more are in the JSON form." } }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(picture: Value) -> Option<String> {
        let facts = [("picture".to_owned(), picture)].into();
        let drawn = pictures("an example", &facts).into_string();
        (!drawn.is_empty()).then_some(drawn)
    }

    #[test]
    fn a_tree_shows_every_branch_and_rows_are_cut_to_what_fits() {
        let branch = |name: &str, followed: bool| serde_json::json!({"name": name, "rows": 900, "then": 0.05, "now": 0.2, "followed": followed});
        let tree = serde_json::json!({"kind": "tree", "all": {"then": 0.04, "now": 0.05}, "forks": [
            {"by": "feed", "branches": [branch("bank-1", false), branch("bank<4", true)]},
            {"by": "kind", "branches": [branch("digital", true)]},
        ]});
        let drawn_tree = drawn(tree.clone()).unwrap();
        assert_eq!(drawn_tree.matches("class=\"bar-now").count(), 4, "{drawn_tree}");
        assert!(drawn_tree.contains("bank&lt;4") && drawn_tree.contains("20.0 %"), "{drawn_tree}");
        let mut wrong = tree;
        wrong["forks"][0]["branches"][0]["now"] = serde_json::json!(7.0);
        assert_eq!(drawn(wrong), None, "a share above one is none");
        let row = serde_json::json!(["t-1", "<b>"]);
        let rows = serde_json::json!({"kind": "rows", "columns": ["id", "said"], "rows": vec![row; 60]});
        let rows = drawn(rows).unwrap();
        assert_eq!((rows.matches("<tr>").count(), rows.matches("&lt;b&gt;").count()), (41, 40));
        assert!(rows.contains("20 more"), "{rows}");
        assert_eq!(drawn(serde_json::json!({"kind": "rows", "columns": ["a"], "rows": [["1", "2"]]})), None);
    }

    #[test]
    fn numbers_become_bars_and_dots_and_nonsense_nothing() {
        let bars = serde_json::json!({"kind": "then-now", "names": ["a<b", "b"], "then": [0.4, 0.6], "now": [0.1, 0.9]});
        let bars = drawn(bars).unwrap();
        assert_eq!(bars.matches("<rect").count(), 4);
        assert!(bars.contains("a&lt;b") && !bars.contains("a<b"), "{bars}");
        let line = serde_json::json!({"kind": "timeline", "names": ["1", "2", "3"], "expected": [5, 6, 5], "seen": [5, 2, 0]});
        let plain = drawn(line.clone()).unwrap();
        assert_eq!((plain.matches("<circle").count(), plain.contains("since")), (3, false));
        let mut marked = line;
        (marked["since"], marked["told"]) = (1.into(), 9.into());
        let marked = drawn(marked).unwrap();
        assert!(
            marked.contains("since 2") && !marked.contains("told"),
            "what lies outside is not marked: {marked}"
        );
        for wrong in [
            serde_json::json!({"kind": "then-now", "names": ["a"], "then": [0.4, 0.6], "now": [0.1]}),
            serde_json::json!({"kind": "then-now", "names": [], "then": [], "now": []}),
            serde_json::json!({"kind": "timeline", "names": ["a"], "expected": [-1], "seen": [1]}),
            serde_json::json!({"kind": "else", "names": ["a"]}),
            serde_json::json!("then-now"),
        ] {
            assert_eq!(drawn(wrong), None);
        }
    }
}
