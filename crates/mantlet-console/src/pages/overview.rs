//! The overview: what needs a person, then every system.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use mantlet_registry::System;
use mantlet_respond::{Incident, IncidentFilter, IncidentState};
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At};
use super::{impact_tone, incident_tone, path, when};
use crate::Review;
use crate::server::Shared;
use crate::session::Who;

pub(crate) async fn show(State(shared): State<Arc<Shared>>, who: Who) -> Result<Html<String>, Fault> {
    let views = &shared.ports.views;
    let systems = views.systems().await?;
    let incidents = views.incidents(&IncidentFilter { limit: Some(50), ..IncidentFilter::open() }).await?;
    let reviews = views.reviews(true).await?;
    let now = shared.now();
    let seen = shared.ports.live.seen();
    let body = html! {
        (headline(&incidents, &reviews))
        @if !incidents.is_empty() {
            section aria-labelledby="incidents-title" {
                h2 id="incidents-title" { "Incidents" }
                ul.stack { @for incident in &incidents { li { (incident_card(incident, now)) } } }
            }
        }
        @if !reviews.is_empty() {
            section aria-labelledby="reviews-title" {
                h2 id="reviews-title" { "Decisions waiting for a person" }
                p {
                    a href="/reviews" { (reviews.len()) @if reviews.len() == 1 { " decision waits" } @else { " decisions wait" } }
                    @if let Some(first) = reviews.first() { ", the oldest since " (when(first.at, now)) } "."
                }
            }
        }
        section aria-labelledby="systems-title" {
            h2 id="systems-title" { "Systems" }
            @if systems.is_empty() {
                p { "No system yet. " code { "mantlet init" } " looks at a folder and proposes one." }
            }
            div.cards { @for system in &systems { (system_card(system, &incidents)) } }
        }
        p.small.quiet { (mantlet_report::count(seen)) " requests came by since the console started." }
    };
    Ok(frame::page(&who, At::Overview, "Overview", &body))
}

fn headline(incidents: &[Incident], reviews: &[Review]) -> Markup {
    let open = incidents.iter().filter(|incident| incident.state == IncidentState::Open).count();
    let held = incidents.len() - open;
    let (tone, sign, words) = match (open, held, reviews.len()) {
        (0, 0, 0) => ("tone-good", "✓", "All is quiet".to_owned()),
        (0, 0, 1) => ("tone-warning", "!", "One decision waits for a person".to_owned()),
        (0, 0, n) => ("tone-warning", "!", format!("{n} decisions wait for a person")),
        (0, 1, _) => ("tone-warning", "!", "One incident is contained and wants a look".to_owned()),
        (0, n, _) => ("tone-warning", "!", format!("{n} incidents are contained and want a look")),
        (1, _, _) => ("tone-bad", "✕", "One incident is open: nothing holds it back yet".to_owned()),
        (n, _, _) => ("tone-bad", "✕", format!("{n} incidents are open: nothing holds them back yet")),
    };
    html! {
        div.verdict.(tone) {
            span.sign aria-hidden="true" { (sign) }
            div { h1 { (words) } }
        }
    }
}

pub(crate) fn incident_card(incident: &Incident, now: mantlet_vocab::Millis) -> Markup {
    html! {
        article.panel.row {
            div {
                h3 { a href=(path(&["incidents", &incident.id])) { (incident.title) } }
                p.quiet.small {
                    (incident.system) " · opened " (when(incident.opened, now))
                    @if let Some(caller) = &incident.caller { " · key " (caller) }
                }
            }
            div.tags {
                span.tag.(incident_tone(incident.state)) { (incident.state.word()) }
                span.tag.(impact_tone(incident.impact)) { (incident.impact.word()) " impact" }
            }
        }
    }
}

fn system_card(system: &System, incidents: &[Incident]) -> Markup {
    let own = incidents.iter().filter(|incident| incident.system == system.name).count();
    html! {
        article.card {
            h3 { a href=(path(&["systems", &system.name])) { (system.name) } }
            p { (system.decides) }
            dl.facts.small {
                dt { "Impact" } dd { (system.impact.word()) }
                dt { "Serving" } dd { (system.serving.as_deref().unwrap_or("nothing")) }
                dt { "Known good" } dd { (system.known_good.as_deref().unwrap_or("none marked")) }
                dt { "Mode" } dd { (mode_words(system.mode)) }
                dt { "Incidents" } dd { @if own == 0 { "none" } @else { (own) } }
            }
        }
    }
}

pub(crate) const fn mode_words(mode: mantlet_vocab::Mode) -> &'static str {
    match mode {
        mantlet_vocab::Mode::Observe => "observe: records what it would do",
        mantlet_vocab::Mode::Advise => "advise: proposes, a person does it",
        mantlet_vocab::Mode::Enforce => "enforce: acts by itself",
    }
}
