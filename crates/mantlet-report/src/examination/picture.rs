//! Pictures of findings about data: what was beside what is, and counts over time. A room hands over numbers in the
//! fact `picture`; what is no picture is not drawn.

use mantlet_vocab::Finding;
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

/// The picture of a finding, if it has one.
pub(super) fn picture(finding: &Finding) -> Option<Markup> {
    let picture = finding.facts.get("picture")?;
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
        "then-now" => Some(bars(&finding.title, &names, &numbers("then")?, &numbers("now")?)),
        "timeline" => Some(timeline(&finding.title, &names, &numbers("expected")?, &numbers("seen")?)),
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
fn timeline(title: &str, names: &[String], expected: &[f64], seen: &[f64]) -> Markup {
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
            text.axis-label x=(LEFT) y="16" { "rows with the label: expected (line), seen (dots); up to " (format!("{most:.0}")) }
            line.axis x1=(LEFT) x2=(WIDTH - LEFT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
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

#[cfg(test)]
mod tests {
    use mantlet_vocab::{Confidence, Place, Severity};

    use super::*;

    fn drawn(picture: Value) -> Option<String> {
        let finding = Finding {
            name: "drift-example".into(),
            title: "an example".into(),
            severity: Severity::Note,
            confidence: Confidence::Low,
            place: Place::artifact("t"),
            message: "m".into(),
            why: String::new(),
            help: String::new(),
            trace: Vec::new(),
            facts: [("picture".to_owned(), picture)].into(),
            atlas: Vec::new(),
            owasp: Vec::new(),
        };
        super::picture(&finding).map(|markup| markup.into_string())
    }

    #[test]
    fn numbers_become_bars_and_dots_and_nonsense_nothing() {
        let bars = serde_json::json!({"kind": "then-now", "names": ["a<b", "b"], "then": [0.4, 0.6], "now": [0.1, 0.9]});
        let bars = drawn(bars).unwrap();
        assert_eq!(bars.matches("<rect").count(), 4);
        assert!(bars.contains("a&lt;b") && !bars.contains("a<b"), "{bars}");
        let line = serde_json::json!({"kind": "timeline", "names": ["1", "2", "3"], "expected": [5, 6, 5], "seen": [5, 2, 0]});
        assert_eq!(drawn(line).unwrap().matches("<circle").count(), 3);
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
