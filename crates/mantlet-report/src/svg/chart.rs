//! Line charts with a band, guides and round ticks.

use maud::{Markup, html};

use super::{Scale, at, ticks};

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 54.0;

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// How values are laid along it.
    pub scale: Scale,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How a value is written.
    pub write: fn(f64) -> String,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name, for tooltips and the legend.
    pub name: String,
    /// A CSS class: `line-a`, `line-b`, `line-quiet`.
    pub class: &'static str,
    /// (x, y), by rising x.
    pub points: Vec<(f64, f64)>,
    /// (x, low, high) of a band around it.
    pub band: Vec<(f64, f64, f64)>,
    /// Whether each point gets a dot with a tooltip.
    pub dots: bool,
}

/// A labelled straight line across the plot.
#[derive(Debug, Clone)]
pub struct Guide {
    /// Its words.
    pub label: String,
    /// A CSS class: `guide-good`, `guide-bad`, `guide-quiet`.
    pub class: &'static str,
    /// A place on the x axis for an upright line, on the y axis otherwise.
    pub upright: bool,
    /// Where.
    pub value: f64,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows, in one sentence for those who do not see it.
    pub alt: String,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// Labelled straight lines.
    pub guides: Vec<Guide>,
}

/// A chart as inline SVG.
#[must_use]
pub fn chart(chart: &Chart) -> Markup {
    let px = |v: f64| LEFT + chart.x.scale.place(v, chart.x.low, chart.x.high) * (WIDTH - LEFT - RIGHT);
    let py = |v: f64| {
        HEIGHT - BOTTOM - chart.y.scale.place(v, chart.y.low, chart.y.high) * (HEIGHT - TOP - BOTTOM)
    };
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let line = |points: &[(f64, f64)]| {
        let drawn = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        drawn.map(|&(x, y)| format!("{},{}", at(px(x)), at(py(y)))).collect::<Vec<_>>().join(" ")
    };
    let band = |points: &[(f64, f64, f64)]| {
        let mut outline: Vec<(f64, f64)> = points.iter().map(|&(x, _, high)| (x, high)).collect();
        outline.extend(points.iter().rev().map(|&(x, low, _)| (x, low)));
        line(&outline)
    };
    html! {
        svg.chart role="img" aria-label=(chart.alt) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            title { (chart.alt) }
            g.grid {
                @for tick in ticks(chart.y.scale, chart.y.low, chart.y.high, 5) {
                    line x1=(LEFT) x2=(right) y1=(at(py(tick))) y2=(at(py(tick))) {}
                    text x=(LEFT - 8.0) y=(at(py(tick) + 4.0)) text-anchor="end" { ((chart.y.write)(tick)) }
                }
                @for tick in ticks(chart.x.scale, chart.x.low, chart.x.high, 6) {
                    line.tick x1=(at(px(tick))) x2=(at(px(tick))) y1=(bottom) y2=(bottom + 5.0) {}
                    text x=(at(px(tick))) y=(bottom + 20.0) text-anchor="middle" { ((chart.x.write)(tick)) }
                }
                line.axis x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
            }
            text.axis-label x=(at((LEFT + right) / 2.0)) y=(HEIGHT - 10.0) text-anchor="middle" { (chart.x.label) }
            text.axis-label x=(LEFT - 8.0) y="16" text-anchor="start" { (chart.y.label) }
            @for series in &chart.series {
                @if !series.band.is_empty() {
                    polygon class={ "band " (series.class) } points=(band(&series.band)) {}
                }
            }
            @for series in &chart.series {
                polyline class=(series.class) points=(line(&series.points)) { title { (series.name) } }
            }
            (guides(chart, &px, &py))
            @for series in chart.series.iter().filter(|series| series.dots) {
                g class=(series.class) {
                    @for &(x, y) in series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
                        circle cx=(at(px(x))) cy=(at(py(y))) r="3.4" {
                            title { (series.name) ": " ((chart.x.write)(x)) " → " ((chart.y.write)(y)) }
                        }
                    }
                }
            }
        }
    }
}

/// Upright guides carry their words at the top, on the side with room, each a line lower than the one
/// before; level guides carry them under their right end, where rising curves have passed them.
fn guides(chart: &Chart, px: &dyn Fn(f64) -> f64, py: &dyn Fn(f64) -> f64) -> Markup {
    let mut uprights = 0_u32;
    let mut placed = Vec::new();
    for guide in chart.guides.iter().filter(|guide| guide.value.is_finite()) {
        let drop = f64::from(uprights) * 18.0;
        uprights += u32::from(guide.upright);
        placed.push((guide, drop));
    }
    let right = WIDTH - RIGHT;
    html! {
        @for (guide, drop) in placed {
            g class={ "guide " (guide.class) } {
                @if guide.upright {
                    @let x = px(guide.value);
                    @let left_side = x > LEFT + (right - LEFT) * 0.6;
                    line x1=(at(x)) x2=(at(x)) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                    text x=(at(if left_side { x - 7.0 } else { x + 7.0 })) y=(at(TOP + 12.0 + drop))
                        text-anchor=(if left_side { "end" } else { "start" }) { (guide.label) }
                } @else {
                    @let y = py(guide.value);
                    line x1=(LEFT) x2=(right) y1=(at(y)) y2=(at(y)) {}
                    text x=(right) y=(at(y + 17.0)) text-anchor="end" { (guide.label) }
                }
            }
        }
    }
}
