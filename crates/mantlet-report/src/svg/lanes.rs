//! Moments on a time axis, in lanes: what the attacker did, what was noticed, what was done.

use maud::{Markup, html};

use super::{Scale, at, ticks};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 42.0;
const TOP: f64 = 12.0;

/// One moment.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Milliseconds from the start.
    pub at: u64,
    /// Its words.
    pub label: String,
}

/// One row of moments.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Its name.
    pub name: &'static str,
    /// A CSS class: `tone-bad`, `tone-good`, ...
    pub class: &'static str,
    /// Its moments, by rising time.
    pub moments: Vec<Moment>,
}

/// Lanes as inline SVG; `since` says what time zero is.
#[must_use]
pub fn lanes(rows: &[Lane], since: &str, alt: &str) -> Markup {
    let rows: Vec<&Lane> = rows.iter().filter(|lane| !lane.moments.is_empty()).collect();
    let most = rows.iter().flat_map(|lane| &lane.moments).map(|moment| moment.at).max().unwrap_or(0).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a drawing")]
    let (end, count) = (most as f64 * 1.02, rows.len() as f64);
    let bottom = TOP + count * ROW;
    let height = bottom + 40.0;
    let px = |v: f64| LEFT + Scale::Linear.place(v, 0.0, end) * (WIDTH - LEFT - RIGHT);
    let (unit, size) = if end < 2_000.0 {
        ("milliseconds", 1.0)
    } else if end < 180_000.0 {
        ("seconds", 1_000.0)
    } else if end < 7_200_000.0 {
        ("minutes", 60_000.0)
    } else {
        ("hours", 3_600_000.0)
    };
    html! {
        svg.chart.lanes role="img" aria-label=(alt) viewBox={ "0 0 " (WIDTH) " " (at(height)) } {
            title { (alt) }
            g.grid {
                @for tick in ticks(Scale::Linear, 0.0, end / size, 7) {
                    line x1=(at(px(tick * size))) x2=(at(px(tick * size))) y1=(TOP) y2=(at(bottom)) {}
                    text x=(at(px(tick * size))) y=(at(bottom + 16.0)) text-anchor="middle" { (crate::words::number(tick)) }
                }
            }
            text.axis-label x=(at((LEFT + WIDTH - RIGHT) / 2.0)) y=(at(bottom + 34.0)) text-anchor="middle" {
                (unit) " since " (since)
            }
            @for (index, lane) in rows.iter().enumerate() {
                @let y = TOP + (f64::from(u32::try_from(index).unwrap_or(0)) + 0.5) * ROW;
                text.lane-name x=(LEFT - 16.0) y=(at(y + 4.5)) text-anchor="end" { (lane.name) }
                line.rail x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y)) y2=(at(y)) {}
                g class={ "moment " (lane.class) } {
                    @for moment in &lane.moments {
                        @let x = {
                            #[expect(clippy::cast_precision_loss, reason = "a drawing")]
                            let place = px(moment.at as f64);
                            place
                        };
                        circle cx=(at(x)) cy=(at(y)) r="6" {
                            title { (crate::words::duration(moment.at)) ": " (moment.label) }
                        }
                    }
                }
            }
        }
    }
}
