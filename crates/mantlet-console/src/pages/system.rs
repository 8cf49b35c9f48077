//! One system: what it decides, its versions, its way back, its history.

use std::sync::Arc;

use axum::extract::{Form, Path, State as Extract};
use axum::response::{Html, Redirect};
use mantlet_access::Act;
use mantlet_registry::{ModelVersion, System, Transition};
use mantlet_respond::IncidentFilter;
use mantlet_vocab::Millis;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At, token};
use super::overview::{incident_card, mode_words};
use super::{impact_tone, path, version_tone, when};
use crate::server::Shared;
use crate::session::{Fields, Who};

/// The system of this name.
pub(super) async fn find(shared: &Shared, name: &str) -> Result<System, Fault> {
    let systems = shared.ports.views.systems().await?;
    let found = systems.into_iter().find(|system| system.name == name);
    found.ok_or_else(|| Fault::Missing(format!("system {name}")))
}

pub(crate) async fn show(
    Extract(shared): Extract<Arc<Shared>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Html<String>, Fault> {
    let system = find(&shared, &name).await?;
    let views = &shared.ports.views;
    let versions = views.versions(&name).await?;
    let history = views.history(&name).await?;
    let filter = IncidentFilter { system: Some(name.clone()), limit: Some(20), ..IncidentFilter::open() };
    let incidents = views.incidents(&filter).await?;
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/" { "Systems" } " / " (system.name) }
        h1 { (system.name) }
        p.lede { (system.decides) }
        p.tags { span.tag.(impact_tone(system.impact)) { (system.impact.word()) " impact" } }
        dl.facts {
            dt { "Mode" } dd { (mode_words(system.mode)) }
            dt { "Responsible" } dd { (system.owner) }
            dt { "Serving" } dd { (system.serving.as_deref().unwrap_or("nothing")) }
            dt { "Known good" } dd { (system.known_good.as_deref().unwrap_or("none marked")) }
            dt { "Added" } dd { (when(system.created, now)) }
        }
        @if !incidents.is_empty() {
            h2 { "Incidents" }
            ul.stack { @for incident in &incidents { li { (incident_card(incident, now)) } } }
        }
        p { a href=(path(&["systems", &system.name, "rollout"])) { "Rollout and kill switch" } }
        (table(&system, &versions, now))
        (way_back(&who, &system))
        (past(&history))
    };
    Ok(frame::page(&who, At::Overview, &system.name, &body))
}

fn table(system: &System, versions: &[ModelVersion], now: Millis) -> Markup {
    html! {
        section aria-labelledby="versions-title" {
            h2 id="versions-title" { "Versions" }
            div.scroll tabindex="0" role="group" aria-labelledby="versions-title" {
                table {
                    thead { tr { th scope="col" { "Version" } th scope="col" { "State" } th scope="col" { "Why" } th scope="col" { "Added" } th scope="col" { "Approved by" } } }
                    tbody {
                        @for version in versions.iter().rev() {
                            tr {
                                th scope="row" { a href=(path(&["systems", &system.name, "versions", &version.version])) { (version.version) } }
                                td { span.tag.(version_tone(version.state)) { (version.state.word()) } }
                                td { (version.reasons.first().map_or("", String::as_str)) }
                                td { (when(version.added, now)) " by " (version.added_by) }
                                td { (version.approvals.iter().map(|one| one.by.as_str()).collect::<Vec<_>>().join(", ")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn way_back(who: &Who, system: &System) -> Markup {
    let target = system.known_good.as_ref().filter(|good| system.serving.as_ref() != Some(*good));
    html! {
        @if let Some(good) = target && who.may(Act::RollBack) {
            details.panel {
                summary { "Roll back to " (good) }
                form method="post" action=(path(&["systems", &system.name, "roll-back"])) {
                    (token(who))
                    p {
                        "Version " (good) " answers again instead of " (system.serving.as_deref().unwrap_or("nothing"))
                        ". Its digest and signature are verified first; if they do not hold, nothing changes."
                    }
                    label for="why" { "Why" }
                    textarea id="why" name="why" rows="2" required maxlength="1000" {}
                    button { "Verify and roll back" }
                }
            }
        }
    }
}

fn past(history: &[Transition]) -> Markup {
    html! {
        @if !history.is_empty() {
            section aria-labelledby="history-title" {
                h2 id="history-title" { "History" }
                div.scroll tabindex="0" role="group" aria-labelledby="history-title" {
                    table {
                        thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "Version" } th scope="col" { "Became" } th scope="col" { "Why" } } }
                        tbody {
                            @for line in history.iter().rev().take(100) {
                                tr {
                                    td { (line.at.rfc3339().get(..16).unwrap_or("").replace('T', " ")) }
                                    td { (line.actor) } td { (line.version) } td { (line.to.word()) } td { (line.reason) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(crate) async fn roll_back(
    Extract(shared): Extract<Arc<Shared>>,
    who: Who,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect, Fault> {
    who.check(&fields)?;
    who.must(Act::RollBack)?;
    let why: String = fields.get("why").map_or("", |why| why.trim()).chars().take(1_000).collect();
    if why.is_empty() {
        return Err(Fault::Wrong("Say why the system goes back.".to_owned()));
    }
    shared.ports.actions.roll_back(who.name(), &name, &why).await?;
    Ok(Redirect::to(&path(&["systems", &name])))
}
