//! Batches of training data: the list, what waits for a person first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use mantlet_registry::batch::{Batch, BatchState};
use maud::{Markup, html};

use super::fault::Fault;
use super::frame::{self, At};
use super::{path, when};
use crate::server::Shared;
use crate::session::Who;

pub(super) const fn tone(state: BatchState) -> &'static str {
    match state {
        BatchState::Quarantined | BatchState::Held => "tone-warning",
        BatchState::Passed | BatchState::Approved => "tone-good",
        BatchState::Rejected | BatchState::Withdrawn => "tone-bad",
    }
}

pub(crate) async fn show(State(shared): State<Arc<Shared>>, who: Who) -> Result<Html<String>, Fault> {
    let ledgers = shared.ports.batches.ledgers().await?;
    let now = shared.now();
    let mut batches: Vec<(&str, &Batch)> = ledgers
        .iter()
        .flat_map(|(system, ledger)| ledger.batches.values().map(move |batch| (system, batch)))
        .collect();
    batches.sort_by_key(|(system, batch)| {
        (batch.state != BatchState::Held, std::cmp::Reverse(batch.at), *system, batch.name.as_str())
    });
    let held = batches.iter().filter(|(_, batch)| batch.state == BatchState::Held).count();
    let body = html! {
        h1 { "Training data" }
        p {
            "No model learns from a batch before its gate passed it or people let it through. "
            @match held {
                0 => "None waits for a person.",
                1 => "One waits for a person.",
                _ => { (held) " wait for a person." }
            }
        }
        p { a href="/reports" { "Reports" } " of gates and monitors, with their pictures." }
        @for (system, ledger) in ledgers.iter() {
            @if let Some(why) = &ledger.frozen {
                p.notice.tone-bad { "Retraining of " (system) " is frozen: " (why) }
            }
        }
        @if batches.is_empty() {
            p { "No batch yet. " code { "mantlet data deliver" } " registers one." }
        } @else { (table(&batches, now)) }
    };
    Ok(frame::page(&who, At::Data, "Training data", &body))
}

fn table(batches: &[(&str, &Batch)], now: mantlet_vocab::Millis) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Batches" {
            table {
                thead { tr {
                    th scope="col" { "Batch" } th scope="col" { "System" } th scope="col" { "Feed" }
                    th scope="col" { "State" } th scope="col" { "What its gate found" }
                    th scope="col" { "Rows decided about" } th scope="col" { "Let through by" }
                } }
                tbody {
                    @for (system, batch) in batches.iter().take(500) {
                        tr {
                            th scope="row" { a href=(path(&["data", system, &batch.name])) { (batch.name) } }
                            td { (system) }
                            td { (batch.feed) " " span.quiet.small { (when(batch.at, now)) } }
                            td { span.tag.(tone(batch.state)) { (batch.state.word()) } }
                            td { (batch.findings.join(", ")) }
                            td.num { (batch.rulings.len()) }
                            td { (batch.approvals.join(", ")) }
                        }
                    }
                }
            }
        }
        @if batches.len() > 500 { p.small.quiet { (batches.len() - 500) " older batches: " code { "mantlet data batches" } } }
    }
}
