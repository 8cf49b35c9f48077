//! One incident: five answers first, then what to do about it, then what happened, figures below.

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect};
use mantlet_access::Act;
use mantlet_respond::{Incident, Step, StepState, Undo, lasting};
use mantlet_vocab::Millis;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At, token};
use super::{clock_time, impact_tone, incident_tone, path, step_tone, when};
use crate::server::Shared;
use crate::session::{Fields, Who};

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Html<String>, Fault> {
    let incident = shared.ports.views.incident(&id).await?;
    let incident = incident.ok_or_else(|| Fault::Missing(format!("incident {id}")))?;
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/incidents" { "Incidents" } " / " (incident.id) }
        h1 { (incident.title) }
        p.tags {
            span.tag.(incident_tone(incident.state)) { (incident.state.word()) }
            span.tag.(impact_tone(incident.impact)) { (incident.impact.word()) " impact" }
            span.quiet { (incident.confidence.word()) " confidence" }
            span.quiet { a href=(path(&["systems", &incident.system])) { (incident.system) } }
            span.quiet { "opened " (when(incident.opened, now)) }
        }
        dl.answers.panel {
            @for (question, answer) in incident.five.pairs() { dt { (question) } dd { (mantlet_report::prose(answer)) } }
        }
        (mantlet_report::pictures(&incident.title, &incident.facts))
        (steps(&who, &incident, now))
        (close_form(&who, &incident))
        (timeline(&incident))
        (figures(&incident))
    };
    Ok(frame::page(&who, At::Incidents, &incident.title, &body))
}

fn steps(who: &Who, incident: &Incident, now: Millis) -> Markup {
    html! {
        section aria-labelledby="steps-title" {
            h2 id="steps-title" { "What can be done" }
            @if incident.steps.is_empty() { p { "No step is planned." } }
            ol.stack {
                @for group in incident.step_groups() {
                    li {
                        @if let Some(one) = group.only() { (step(who, incident, one, now)) } @else {
                            details.panel id={ "steps-" (group.steps()[0].id) } {
                                summary {
                                    (group.plain()) " "
                                    span.tag.(step_tone(&group.steps()[0].state)) { (group.steps()[0].state.word()) }
                                }
                                ol.stack { @for one in group.steps() { li { (step(who, incident, one, now)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn step(who: &Who, incident: &Incident, step: &Step, now: Millis) -> Markup {
    let address = |deed: &str| path(&["incidents", &incident.id, "steps", &step.id, deed]);
    let title = format!("{}-title", step.id);
    html! {
        article.panel.step aria-labelledby=(title) id={ "step-" (step.id) } {
            div {
                h3 id=(title) { (step.action.plain()) }
                p { (mantlet_report::sentence(&step.why)) }
                dl.facts.small {
                    dt { "Whom it touches" } dd { (mantlet_report::sentence(&step.blast_radius.plain)) }
                    dt { "How it ends" } dd { (ending(step, now)) }
                    dt { "Undo" } dd { @match &step.undo { Undo::By { plain } => (mantlet_report::sentence(plain)), Undo::None { why } => { "Cannot be undone: " (why) "." } } }
                    @if let StepState::Failed { why, .. } = &step.state { dt { "What went wrong" } dd { (why) } }
                }
            }
            div.deed {
                span.tag.(step_tone(&step.state)) { (step.state.word()) }
                @if step.state.can_apply() && who.may(Act::Contain) && incident.closed.is_none() {
                    form method="post" action=(address("apply")) {
                        (token(who))
                        button.strong aria-describedby=(title) { "Do this now" }
                    }
                }
                @if may_undo(step) && who.may(Act::UndoContainment) {
                    form method="post" action=(address("undo")) {
                        (token(who))
                        button aria-describedby=(title) { "Undo" }
                    }
                }
                p.small.quiet { (step.by) ", " (when(step.changed, now)) }
            }
        }
    }
}

fn may_undo(step: &Step) -> bool {
    let standing = matches!(step.state, StepState::Applied | StepState::Failed { undoing: true, .. });
    standing && step.undoable()
}

fn ending(step: &Step, now: Millis) -> Markup {
    use mantlet_respond::OnExpiry;
    let by_itself = matches!(step.on_expiry, OnExpiry::Undo);
    html! {
        @match (step.expires, by_itself) {
            (Some(at), true) if step.state.may_hold() => { "By itself " (when(at, now)) }
            (Some(at), false) if step.state.may_hold() => { "Stays; a person is reminded " (when(at, now)) }
            (_, true) => { "By itself after " (lasting(step.lasts_ms)) }
            (_, false) => { "Stays; a person is reminded after " (lasting(step.lasts_ms)) }
        }
    }
}

fn close_form(who: &Who, incident: &Incident) -> Markup {
    html! {
        @if incident.closed.is_none() && who.may(Act::CloseIncident) {
            details.panel {
                summary { "Close this incident" }
                form method="post" action=(path(&["incidents", &incident.id, "close"])) {
                    (token(who))
                    p.small.quiet { "Steps in force stay until they end or are undone. No further alert joins a closed incident." }
                    label for="why" { "Why it can be closed" }
                    textarea id="why" name="why" rows="2" required maxlength="1000" {}
                    button { "Close incident" }
                }
            }
        }
    }
}

/// Lines of the timeline that stand open; earlier ones are folded.
const LINES: usize = 20;

fn timeline(incident: &Incident) -> Markup {
    let (earlier, latest) = incident.timeline.split_at(incident.timeline.len().saturating_sub(LINES));
    html! {
        section aria-labelledby="timeline-title" {
            h2 id="timeline-title" { "What happened" }
            div.scroll tabindex="0" role="group" aria-labelledby="timeline-title" {
                table {
                    thead { tr { th scope="col" { "When (UTC)" } th scope="col" { "Who" } th scope="col" { "What" } } }
                    tbody { @for entry in latest { (line(entry)) } }
                }
            }
            @if !earlier.is_empty() {
                details {
                    summary { "What happened before (" (earlier.len()) " lines)" }
                    table { tbody { @for entry in earlier { (line(entry)) } } }
                }
            }
        }
    }
}

fn line(entry: &mantlet_respond::Entry) -> Markup {
    html! { tr { td { (clock_time(entry.at)) } td { (entry.actor) } td { (entry.what) } } }
}

fn figures(incident: &Incident) -> Markup {
    let times = incident.times();
    html! {
        section aria-labelledby="figures-title" {
            h2 id="figures-title" { "Figures" }
            ul.numbers {
                li { b { (mantlet_report::duration(times.detect_ms)) } span { "to detect, at most" } }
                li { b { (mantlet_report::count(times.detect_queries)) } span { "requests until detected" } }
                @if let Some(ms) = times.contain_ms { li { b { (mantlet_report::duration(ms)) } span { "from detection to containment" } } }
                li { b { (mantlet_report::count(incident.queries)) } span { "requests in all" } }
                li { b { (mantlet_report::count(incident.in_doubt)) } span { "decisions that may be wrong" } }
            }
            @if !incident.signals.is_empty() {
                div.scroll tabindex="0" role="group" aria-label="Signals" {
                    table {
                        caption { "Signals, strongest first. A score of 1 is the detector's threshold." }
                        thead { tr { th scope="col" { "Detector" } th scope="col" { "What it noticed" } th.num scope="col" { "Score" } th scope="col" { "Confidence" } } }
                        tbody {
                            @for signal in &incident.signals {
                                tr {
                                    th scope="row" { code { (signal.name) } }
                                    td { (signal.message) }
                                    td.num { (mantlet_report::number(signal.score)) }
                                    td { (signal.confidence.word()) }
                                }
                            }
                        }
                    }
                }
            }
            dl.facts.small {
                @if !incident.callers.is_empty() { dt { "Keys" } dd { (incident.callers.join(", ")) } }
                @if let Some(version) = &incident.version { dt { "Version" } dd { a href=(path(&["systems", &incident.system, "versions", version])) { (version) } } }
                @if let Some(route) = &incident.route { dt { "Route" } dd { (route) } }
                @if !incident.cases.is_empty() { dt { "Cases" } dd { (incident.cases.join(", ")) } }
                @let ids = incident.kind.ids();
                @if !ids.is_empty() {
                    dt { "Catalogues" }
                    dd { @for id in ids { span title=(mantlet_vocab::catalogue::title(id).unwrap_or("")) { (id) } " " } }
                }
                @for (name, value) in incident.figures() { dt { (name) } dd { (fact(value)) } }
            }
            @if !incident.exchanges.is_empty() {
                details {
                    summary { "Ids of decisions that may be wrong (" (incident.exchanges.len()) " kept)" }
                    p.small { @for id in &incident.exchanges { code { (id) } " " } }
                }
            }
        }
    }
}

fn fact(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), mantlet_report::number)
        }
        other => other.to_string(),
    }
}

pub(crate) async fn apply(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path((id, step)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    who.must(Act::Contain)?;
    shared.ports.actions.apply_step(who.name(), &id, &step).await?;
    Ok(Redirect::to(&format!(
        "{}#step-{}",
        path(&["incidents", &id]),
        path(&[&step]).trim_start_matches('/')
    )))
}

pub(crate) async fn undo(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path((id, step)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    who.must(Act::UndoContainment)?;
    shared.ports.actions.undo_step(who.name(), &id, &step).await?;
    Ok(Redirect::to(&format!(
        "{}#step-{}",
        path(&["incidents", &id]),
        path(&[&step]).trim_start_matches('/')
    )))
}

pub(crate) async fn close(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    who.must(Act::CloseIncident)?;
    let why = fields.get("why").map_or("", |why| why.trim());
    if why.is_empty() {
        return Err(Fault::Wrong("Say why the incident can be closed.".to_owned()));
    }
    let why: String = why.chars().take(1_000).collect();
    shared.ports.actions.close_incident(who.name(), &id, &why).await?;
    Ok(Redirect::to(&path(&["incidents", &id])))
}
