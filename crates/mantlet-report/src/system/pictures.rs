//! The picture half of a system report.

use mantlet_vocab::Millis;
use maud::{Markup, html};

use super::data::{
    EvasionGrid, EvasionItem, EventKind, ExtractionCurve, HoldCurve, IncidentStory, Input, MembershipRoc,
    RecoveredTrigger, SystemReport, TimelineEvent, TriggerPanel,
};
use super::{basis, value};
use crate::svg::{self, Axis, Chart, Guide, Lane, Moment, Scale, Series};
use crate::words::{count, duration, instant, number, percent, plural, prose};

/// How many rows of an evasion grid are shown.
const SHOWN: usize = 8;

pub(super) type Section = (&'static str, &'static str, Markup);

/// The picture sections that have content, in reading order.
pub(super) fn sections(report: &SystemReport) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |id, title, present: bool, markup: Markup| {
        if present {
            sections.push((id, title, markup));
        }
    };
    let each = |parts: Vec<Markup>| html! { @for part in parts { (part) } };
    add(
        "backdoors",
        "Hidden triggers",
        !report.triggers.is_empty(),
        each(report.triggers.iter().map(triggers).collect()),
    );
    add(
        "evasion",
        "Small changes that fool the model",
        !report.evasion.is_empty(),
        each(report.evasion.iter().map(evasion).collect()),
    );
    add(
        "curves",
        "How far rows hold",
        !report.curves.is_empty(),
        each(report.curves.iter().map(holds).collect()),
    );
    add(
        "extraction",
        "Stealing the model by asking",
        !report.extraction.is_empty(),
        each(report.extraction.iter().map(extraction).collect()),
    );
    add(
        "membership",
        "Telling who was in the training data",
        !report.membership.is_empty(),
        each(report.membership.iter().map(membership).collect()),
    );
    add(
        "incidents",
        "Incidents",
        !report.incidents.is_empty(),
        each(report.incidents.iter().map(incident).collect()),
    );
    sections
}

fn scored((label, score): &(String, Option<f64>)) -> String {
    score.map_or_else(|| label.clone(), |score| format!("{label} ({})", percent(score)))
}

fn evasion(grid: &EvasionGrid) -> Markup {
    html! {
        div.panel {
            h3 { (grid.title) }
            p { (grid.sentence) }
            ul.grid-evasion { @for item in grid.items.iter().take(SHOWN) { li { (evasion_item(item)) } } }
            @if grid.items.len() > SHOWN {
                p.small.quiet { (plural(grid.items.len() - SHOWN, "more row")) " not shown." }
            }
            (basis(&grid.basis))
        }
    }
}

/// One row before and after an attack; the console shows findings with it too.
pub(crate) fn evasion_item(item: &EvasionItem) -> Markup {
    html! {
        @match (&item.clean, &item.perturbed) {
            (Input::Picture(clean), Input::Picture(perturbed)) => {
                div.triple {
                    figure {
                        (svg::picture(clean, &format!("Clean picture of {}", item.truth)))
                        figcaption { "clean" }
                    }
                    figure {
                        (svg::picture(perturbed, &format!("The same picture, perturbed; read as {}", item.after.0)))
                        figcaption { "perturbed" }
                    }
                    figure {
                        (svg::difference(clean, perturbed, "What the attack changed: warm is brighter, cool is darker"))
                        figcaption { "difference" }
                    }
                }
            }
            (clean, perturbed) => (changed_fields(clean, perturbed))
        }
        p.says {
            "Truly " strong { (item.truth) } ". Read as " (scored(&item.before)) ", then as "
            strong { (scored(&item.after)) } "."
        }
    }
}

fn changed_fields(clean: &Input, perturbed: &Input) -> Markup {
    let fields = |input: &Input| match input {
        Input::Fields { fields } => fields.clone(),
        Input::Picture(_) => Vec::new(),
    };
    let (before, after) = (fields(clean), fields(perturbed));
    let changed: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b.value != a.value).collect();
    html! {
        table {
            thead { tr { th scope="col" { "Input" } th scope="col" { "Before" } th scope="col" { "After" } } }
            tbody {
                @for (before, after) in changed.iter().take(12) {
                    tr { th scope="row" { (before.name) } td { (before.value) } td { (after.value) } }
                }
            }
        }
        @if changed.len() > 12 { p.small.quiet { (plural(changed.len() - 12, "more changed input")) "." } }
    }
}

fn triggers(panel: &TriggerPanel) -> Markup {
    html! {
        div.panel {
            h3 { (panel.title) }
            p { (panel.sentence) }
            ul.grid-triggers { @for trigger in &panel.triggers { li { (recovered(trigger)) } } }
            p.small.quiet {
                "Each tile shows the smallest change we found that turns any input into that class: where it sits "
                "and what it paints. A class that takes far less change than the others ("
                (number(panel.threshold)) " deviations or more) has a backdoor."
            }
            (basis(&panel.basis))
        }
    }
}

fn recovered(trigger: &RecoveredTrigger) -> Markup {
    html! {
        figure.trigger.flagged[trigger.flagged] {
            @let alt = format!("Trigger recovered for class {}", trigger.class);
            @match (&trigger.pattern, &trigger.mask) {
                (Some(pattern), Some(mask)) => (svg::masked(pattern, mask, &alt)),
                (Some(only), None) | (None, Some(only)) => (svg::picture(only, &alt)),
                (None, None) => {}
            }
            figcaption {
                strong { "class " (trigger.class) }
                @if trigger.flagged { span.tag.tone-bad { "backdoor" } br; }
                "size " (number(trigger.size)) br;
                (number(trigger.anomaly)) " deviations" br;
                "works on " (percent(trigger.success))
            }
        }
    }
}

fn plot(chart: &Chart) -> Markup {
    html! { div.scroll tabindex="0" role="group" aria-label=(chart.alt) { (svg::chart(chart)) } }
}

#[expect(clippy::cast_precision_loss, reason = "query counts on a plot")]
fn extraction(curve: &ExtractionCurve) -> Markup {
    let points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p.queries as f64, p.agreement)).collect();
    let band =
        curve.points.iter().filter_map(|p| p.interval.map(|(low, high)| (p.queries as f64, low, high)));
    let marks = [curve.flagged_at, curve.blocked_at].into_iter().flatten();
    let most = curve.points.iter().map(|p| p.queries).chain(marks).max().unwrap_or(1).max(1);
    let mut guides = vec![Guide {
        label: format!("counts as stolen: {}", percent(curve.goal)),
        class: "guide-quiet",
        upright: false,
        value: curve.goal,
    }];
    if let Some(at) = curve.flagged_at {
        let label = format!("flagged at query {}", count(at));
        guides.push(Guide { label, class: "guide-bad", upright: true, value: at as f64 });
    }
    if let Some(at) = curve.blocked_at {
        let label = format!("blocked at query {}", count(at));
        guides.push(Guide { label, class: "guide-bad", upright: true, value: at as f64 });
    }
    let chart = Chart {
        alt: format!("{} Agreement of the copy over queries spent.", curve.sentence),
        x: Axis {
            label: "queries spent".into(),
            scale: Scale::Linear,
            low: 0.0,
            high: most as f64 * 1.03,
            write: number,
        },
        y: Axis {
            label: "agreement with the model on unseen rows".into(),
            scale: Scale::Linear,
            low: 0.0,
            high: 1.0,
            write: percent,
        },
        series: vec![Series {
            name: "copy".into(),
            class: "line-a",
            points,
            band: band.collect(),
            dots: curve.points.len() <= 60,
        }],
        guides,
    };
    html! { div.panel { h3 { (curve.title) } p { (curve.sentence) } (plot(&chart)) (basis(&curve.basis)) } }
}

fn holds(curve: &HoldCurve) -> Markup {
    let most = curve.lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
    let series = curve.lines.iter().enumerate().map(|(at, line)| Series {
        name: line.name.clone(),
        class: if at == 0 { "line-a" } else { "line-quiet" },
        points: line.points.clone(),
        band: Vec::new(),
        dots: at == 0 && line.points.len() <= 60,
    });
    let axis = |label: &str, high: f64, write| Axis {
        label: label.to_owned(),
        scale: Scale::Linear,
        low: 0.0,
        high,
        write,
    };
    let chart = Chart {
        alt: format!("{} {} over {}.", curve.sentence, curve.y, curve.x),
        x: axis(&curve.x, if most > 0.0 { most * 1.03 } else { 1.0 }, number),
        y: axis(&curve.y, 1.0, percent),
        series: series.collect(),
        guides: Vec::new(),
    };
    html! { div.panel { h3 { (curve.title) } p { (curve.sentence) } (plot(&chart)) (basis(&curve.basis)) } }
}

fn membership(roc: &MembershipRoc) -> Markup {
    let lowest = roc.points.iter().map(|p| p.0).filter(|v| *v > 0.0).fold(0.1_f64, f64::min).max(1e-5);
    let low = 10_f64.powf(lowest.log10().floor());
    let inside = |v: f64| v.max(low);
    let drawn = roc.points.iter().filter(|p| p.0 > 0.0 || p.1 > 0.0);
    let points = drawn.map(|&(x, y)| (inside(x), inside(y))).collect();
    let axis = |label: &str| Axis { label: label.into(), scale: Scale::Log, low, high: 1.0, write: percent };
    let chart = Chart {
        alt: format!("{} ROC curve on logarithmic axes.", roc.sentence),
        x: axis("wrongly called members (false-positive rate)"),
        y: axis("rightly called members (true-positive rate)"),
        series: vec![
            Series {
                name: "guessing".into(),
                class: "line-quiet",
                points: vec![(low, low), (1.0, 1.0)],
                band: vec![],
                dots: false,
            },
            Series { name: "attack".into(), class: "line-a", points, band: vec![], dots: false },
        ],
        guides: vec![],
    };
    html! {
        div.panel {
            h3 { (roc.title) } p { (roc.sentence) }
            (plot(&chart))
            p.small.quiet { "The dashed line is guessing." }
            ul.numbers {
                li { b { (number(roc.auc)) } span { "area under the curve (0.5 is guessing)" } }
                @for figure in roc.figures.iter().filter(|figure| !figure.name.contains("area")) { li { b { (value(figure)) } span { (figure.name) } } }
            }
            (basis(&roc.basis))
        }
    }
}

const fn lane_of(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::Attack => ("attacker", "tone-bad"),
        EventKind::Signal | EventKind::Alert => ("noticed", "tone-warning"),
        EventKind::Contain | EventKind::Undo => ("contained", "tone-good"),
        EventKind::Deliver | EventKind::Person => ("people", "tone-accent"),
        EventKind::Case => ("cases", "tone-neutral"),
    }
}

/// Lines of a timeline that stand open; later ones are folded.
const LINES: usize = 20;

fn incident(story: &IncidentStory) -> Markup {
    let (first, rest) = story.events.split_at(story.events.len().min(LINES));
    let start = story.events.iter().map(|event| event.at).min().unwrap_or_default();
    let lanes: Vec<Lane> = ["attacker", "noticed", "contained", "people", "cases"]
        .into_iter()
        .map(|name| {
            let own = story.events.iter().filter(|event| lane_of(event.kind).0 == name);
            let class = own.clone().next().map_or("tone-neutral", |event| lane_of(event.kind).1);
            let moments = own.map(|event| Moment { at: event.at.since(start), label: event.what.clone() });
            Lane { name, class, moments: moments.collect() }
        })
        .collect();
    let alt = format!("Timeline of incident {}, listed in the table below", story.id);
    html! {
        div.panel {
            h3 { (story.title) " " span.tag.tone-bad { (story.impact.word()) " impact" } }
            dl.answers {
                dt { "What changed" } dd { (prose(&story.answers.changed)) }
                dt { "What is suspicious" } dd { (prose(&story.answers.suspicious)) }
                dt { "Who and what is affected" } dd { (prose(&story.answers.affected)) }
                dt { "Which decisions may be wrong" } dd { (prose(&story.answers.decisions)) }
                dt { "What to do now" } dd { (prose(&story.answers.next)) }
            }
            ul.numbers {
                @if let Some(ms) = story.time_to_detect_ms { li { b { (duration(ms)) } span { "from first hostile query to alert" } } }
                @if let Some(n) = story.queries_to_detect { li { b { (count(n)) } span { "hostile queries until the alert" } } }
                @if let Some(ms) = story.time_to_contain_ms { li { b { (duration(ms)) } span { "from alert to containment" } } }
            }
            @if !story.events.is_empty() {
                div.scroll tabindex="0" role="group" aria-label=(alt) { (svg::lanes(&lanes, "the first event", &alt)) }
                div.scroll {
                    table {
                        caption { "What happened, in order (incident " (story.id) ")" }
                        thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } } }
                        tbody { @for event in first { (happened(event, start)) } }
                    }
                }
                @if !rest.is_empty() {
                    details {
                        summary { "What happened after that (" (rest.len()) " lines)" }
                        table { tbody { @for event in rest { (happened(event, start)) } } }
                    }
                }
            }
            (containment(story))
            (basis(&story.basis))
        }
    }
}

fn happened(event: &TimelineEvent, start: Millis) -> Markup {
    html! {
        tr { td title=(event.at.rfc3339()) { "+" (duration(event.at.since(start))) } td { (event.actor) } td { (event.what) } }
    }
}

fn containment(story: &IncidentStory) -> Markup {
    html! {
        @if !story.steps.is_empty() {
            div.scroll {
                table {
                    caption { "Containment" }
                    thead { tr {
                        th scope="col" { "Step" } th scope="col" { "State" } th scope="col" { "Whom it touches" }
                        th scope="col" { "Undo" } th scope="col" { "Ends by itself" }
                    } }
                    tbody {
                        @for step in &story.steps {
                            tr { th scope="row" { (step.action) } td { (step.state) } td { (step.blast_radius) } td { (step.undo) }
                                td { @match step.expires { Some(at) => (instant(at)), None => "no" } } }
                        }
                    }
                }
            }
        }
        @for case in &story.pinned {
            h3 { "What the attack left behind: case " code { (case.case) } }
            p { (case.pins) }
            @if !case.replays.is_empty() {
                ul {
                    @for (what, held) in &case.replays {
                        li { (what) ": " @if *held { strong.tone-text.tone-good { "held" } } @else { strong.tone-text.tone-bad { "did not hold" } } }
                    }
                }
            }
        }
    }
}
