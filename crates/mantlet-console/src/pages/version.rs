//! One model version: the verdict, what was found, the pictures of its probes, its passport.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::response::Html;
use mantlet_registry::{ModelVersion, State};
use mantlet_report::ModelCard;
use mantlet_vocab::Millis;
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At};
use super::{path, version_tone, when};
use crate::server::Shared;
use crate::session::Who;

pub(crate) async fn show(
    Extract(shared): Extract<Arc<Shared>>,
    who: Who,
    Path((system, name)): Path<(String, String)>,
) -> Result<Html<String>, Fault> {
    let views = &shared.ports.views;
    let versions = views.versions(&system).await?;
    let version = versions.into_iter().find(|version| version.version == name);
    let version = version.ok_or_else(|| Fault::Missing(format!("version {name} of {system}")))?;
    let evidence = views.evidence(&system, &name).await?;
    let report = evidence.report.map(|report| report.of_version(&name));
    let sections = report.as_ref().map(mantlet_report::sections).unwrap_or_default();
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/" { "Systems" } " / " a href=(path(&["systems", &system])) { (system) } " / " (name) }
        div.verdict.(version_tone(version.state)) {
            span.sign aria-hidden="true" { (sign(version.state)) }
            div {
                h1 { (name) " is " (words(version.state)) }
                @for reason in &version.reasons { p { (reason) } }
            }
        }
        (passport(&version, report.as_ref().and_then(|report| report.models.first()), now))
        @if sections.is_empty() {
            p { "No probe of this version is recorded. " code { "mantlet protect" } " probes and judges it." }
        }
        @for (id, title, content) in &sections {
            section id=(id) aria-labelledby={ (id) "-title" } { h2 id={ (id) "-title" } { (title) } (content) }
        }
    };
    Ok(frame::page(&who, At::Overview, &format!("{system} {name}"), &body))
}

const fn words(state: State) -> &'static str {
    match state {
        State::Candidate => "a candidate: nobody has judged it yet",
        State::Admitted => "admitted: it may serve",
        State::Serving => "serving",
        State::KnownGood => "known good: a rollback goes to it",
        State::Refused => "refused: it never serves",
        State::Retired => "retired",
    }
}

const fn sign(state: State) -> &'static str {
    match state {
        State::Admitted | State::Serving | State::KnownGood => "✓",
        State::Candidate => "!",
        State::Refused => "✕",
        State::Retired => "·",
    }
}

fn passport(version: &ModelVersion, card: Option<&ModelCard>, now: Millis) -> Markup {
    html! {
        section aria-labelledby="passport-title" {
            h2 id="passport-title" { "Passport" }
            dl.facts {
                dt { "Digest" } dd { code { (version.digest.to_string()) } }
                dt { "File" } dd { (version.path.display().to_string()) }
                dt { "Signature" }
                dd { @match &version.signature { Some(file) => (file.display().to_string()), None => "none: it cannot be promoted" } }
                @if let Some(evidence) = version.evidence { dt { "Evidence" } dd { code { (evidence.to_string()) } } }
                @if let Some(passport) = card.and_then(|card| card.passport.as_ref()) { dt { "Verify" } dd { code { (passport.verify) } } }
                @for (name, value) in card.map(|card| card.facts.as_slice()).unwrap_or_default() { dt { (name) } dd { (value) } }
                dt { "Added" } dd { (when(version.added, now)) " by " (version.added_by) }
                dt { "Approvals" }
                dd {
                    @if version.approvals.is_empty() { "none" }
                    @for approval in &version.approvals {
                        p { (approval.by) ", " (when(approval.at, now)) ": " (approval.note)
                            @if approval.digest != version.digest { " " span.tag.tone-bad { "for other bytes, does not count" } } }
                    }
                }
            }
        }
    }
}
