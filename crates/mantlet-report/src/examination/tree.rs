//! The way from all rows down to a segment: at each fork the parts beside one another, error rates then and now.

use maud::{Markup, html};
use serde_json::Value;

use crate::svg::at;
use crate::words::clean_line;

const WIDTH: f64 = 620.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 26.0;
const INDENT: f64 = 22.0;
const BARS: f64 = 300.0;
/// Forks and branches that are drawn at most.
const FORKS: usize = 3;
const BRANCHES: usize = 80;

struct Branch {
    name: String,
    rows: u64,
    then: f64,
    now: f64,
    followed: bool,
}

impl Branch {
    fn read(value: &Value) -> Option<Self> {
        let share = |key: &str| value.get(key)?.as_f64().filter(|share| (0.0..=1.0).contains(share));
        Some(Self {
            name: clean_line(value.get("name")?.as_str()?),
            rows: value.get("rows")?.as_u64()?,
            then: share("then")?,
            now: share("now")?,
            followed: value.get("followed")?.as_bool()?,
        })
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The picture; nothing where the numbers are none.
pub(super) fn tree(title: &str, picture: &Value) -> Option<Markup> {
    let all = picture.get("all")?;
    let share = |key: &str| all.get(key)?.as_f64().filter(|share| (0.0..=1.0).contains(share));
    let (then, now) = (share("then")?, share("now")?);
    let mut forks: Vec<(String, Vec<Branch>)> = Vec::new();
    for fork in picture.get("forks")?.as_array()?.iter().take(FORKS) {
        let branches = fork.get("branches")?.as_array()?.iter().take(BRANCHES);
        let branches: Option<Vec<Branch>> = branches.map(Branch::read).collect();
        forks.push((clean_line(fork.get("by")?.as_str()?), branches?));
    }
    let most = forks
        .iter()
        .flat_map(|(_, own)| own)
        .flat_map(|own| [own.then, own.now])
        .fold(now.max(then), f64::max);
    let most = most.max(1e-9);
    let wide = |share: f64| share / most * (WIDTH - BARS - 130.0);
    // Each line: how deep it stands, its words, and its rates.
    let mut lines: Vec<(usize, String, Option<Branch>)> = vec![(
        0,
        "all rows".to_owned(),
        Some(Branch { name: String::new(), rows: 0, then, now, followed: true }),
    )];
    for (depth, (by, branches)) in forks.into_iter().enumerate() {
        lines.push((depth + 1, format!("by {by}"), None));
        for own in branches {
            lines.push((depth + 1, format!("{} ({})", own.name, crate::count(own.rows)), Some(own)));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred lines at most")]
    let (down, right) =
        (|place: usize| HEAD + place as f64 * ROW, |depth: usize| 12.0 + depth as f64 * INDENT);
    let height = down(lines.len()) + 8.0;
    let alt = format!("{title}: error rates before and now, from all rows down to the segment");
    Some(html! {
        svg.chart role="img" aria-label=(alt) viewBox={ "0 0 " (WIDTH) " " (at(height)) } {
            title { (alt) }
            text.axis-label x="12" y="16" { "errors of the model: before (upper), now (lower); rows now in brackets" }
            @for (place, (depth, words, own)) in lines.iter().enumerate() {
                @let (x, y) = (right(*depth), down(place));
                @let words: String = words.chars().take(if own.is_some() { 36 - 3 * depth } else { 30 }).collect();
                @match own {
                    None => text.axis-label x=(at(x)) y=(at(y + 15.0)) { (words) },
                    Some(own) => {
                        @if own.followed && *depth > 0 {
                            line.rail x1=(at(x - 14.0)) x2=(at(x - 4.0)) y1=(at(y + 11.0)) y2=(at(y + 11.0)) {}
                        }
                        text x=(at(x)) y=(at(y + 15.0)) font-weight=(if own.followed { "700" } else { "400" }) { (words) }
                        rect.bar-then x=(at(BARS)) y=(at(y + 3.0)) width=(at(wide(own.then).max(1.0))) height="7" {
                            title { (words) ": " (percent(own.then)) " before" }
                        }
                        rect.bar-now x=(at(BARS)) y=(at(y + 11.0)) width=(at(wide(own.now).max(1.0))) height="7" {
                            title { (words) ": " (percent(own.now)) " now" }
                        }
                        text x=(at(BARS + wide(own.then.max(own.now)).max(1.0) + 6.0)) y=(at(y + 15.0)) { (percent(own.then)) " → " (percent(own.now)) }
                    }
                }
            }
        }
    })
}
