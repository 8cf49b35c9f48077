//! Reports about data and behaviour: the list, and one with its pictures.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Html;
use mantlet_vocab::{Severity, Verdict};
use maud::html;

use super::fault::Fault;
use super::frame::{self, At};
use super::{path, when};
use crate::server::Shared;
use crate::session::Who;

const fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "tone-good",
        Verdict::Found => "tone-bad",
        Verdict::NotFullyExamined => "tone-warning",
    }
}

pub(crate) async fn list(State(shared): State<Arc<Shared>>, who: Who) -> Result<Html<String>, Fault> {
    let reports = shared.ports.views.reports().await?;
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/data" { "Training data" } " / Reports" }
        h1 { "Reports" }
        p {
            "What the gate of each batch said, and what monitors said that were run with "
            code { "--incidents" } ": the newest of each system."
        }
        @if reports.is_empty() { p { "None yet." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Reports" {
                table {
                    thead { tr {
                        th scope="col" { "Report" } th scope="col" { "System" } th scope="col" { "Verdict" }
                        th scope="col" { "Suspicious" } th scope="col" { "Of what" }
                    } }
                    tbody {
                        @for report in &reports {
                            @let loud = report.examination.findings.iter().filter(|own| own.severity >= Severity::Suspicious).count();
                            tr {
                                th scope="row" {
                                    a href=(path(&["reports", &report.id])) { (report.command) } " "
                                    span.quiet.small { (when(report.at, now)) }
                                }
                                td { (report.system) }
                                td { span.tag.(tone(report.verdict())) { (report.verdict().word()) } }
                                td.num { (loud) }
                                td { @for artifact in report.examination.artifacts.iter().take(3) { (mantlet_report::clean_line(&artifact.path)) " " } }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(frame::page(&who, At::Data, "Reports", &body))
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Html<String>, Fault> {
    let report = shared.ports.views.report(&id).await?;
    let report = report.ok_or_else(|| Fault::Missing(format!("report {id}")))?;
    let now = shared.now();
    let body = html! {
        p.crumbs { a href="/data" { "Training data" } " / " a href="/reports" { "Reports" } " / " (report.command) }
        div.verdict.(tone(report.verdict())) {
            span.sign aria-hidden="true" { @match report.verdict() { Verdict::Clean => "✓", Verdict::Found => "✕", Verdict::NotFullyExamined => "!" } }
            div { h1 { (report.command) ": " (report.verdict().word()) } p { (report.system) ", " (when(report.at, now)) } }
        }
        (mantlet_report::findings(&report.examination))
        @if report.left_out > 0 { p.small.quiet { (report.left_out) " further findings are in the command's own report only." } }
        @if !report.examination.artifacts.is_empty() {
            section aria-labelledby="looked-title" {
                h2 id="looked-title" { "What was looked at" }
                ul { @for artifact in &report.examination.artifacts {
                    li { code { (mantlet_report::clean_line(&artifact.path)) } " " (mantlet_report::clean_line(&artifact.formats.join(", "))) }
                } }
            }
        }
    };
    Ok(frame::page(&who, At::Data, &report.command, &body))
}
