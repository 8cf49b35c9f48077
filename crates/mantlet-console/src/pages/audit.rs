//! The end of the audit log.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use mantlet_access::Act;
use maud::html;

use super::fault::Fault;
use super::frame::{self, At};
use crate::server::Shared;
use crate::session::Who;

/// Lines shown.
const SHOWN: usize = 100;

pub(crate) async fn show(State(shared): State<Arc<Shared>>, who: Who) -> Result<Html<String>, Fault> {
    who.must(Act::ReadAudit)?;
    let tail = shared.ports.views.audit(SHOWN).await?;
    let body = html! {
        h1 { "Audit log" }
        p { "Every change, in an append-only log that shows tampering. " code { "mantlet audit verify" } " checks all of it." }
        dl.facts {
            dt { "Lines" } dd { (mantlet_report::count(tail.size)) }
            dt { "Root hash" } dd { code { (tail.root) } }
            dt { "Checkpoint" } dd { (tail.signed.as_deref().unwrap_or("not signed yet")) }
        }
        div.scroll tabindex="0" role="group" aria-label="The last lines" {
            table {
                thead { tr {
                    th.num scope="col" { "Line" } th scope="col" { "When (UTC)" } th scope="col" { "Who" }
                    th scope="col" { "What" } th scope="col" { "To what" } th scope="col" { "Details" }
                } }
                tbody {
                    @for line in &tail.lines {
                        tr {
                            th.num scope="row" { (line.index) }
                            td { time datetime=(line.at.rfc3339()) { (line.at.rfc3339().get(..19).unwrap_or("").replace('T', " ")) } }
                            td { (line.actor) } td { (line.action) } td { (line.subject) }
                            td.small { (details(&line.detail)) }
                        }
                    }
                }
            }
        }
        @if tail.lines.is_empty() { p { "Empty." } }
    };
    Ok(frame::page(&who, At::Audit, "Audit log", &body))
}

fn details(detail: &serde_json::Value) -> String {
    let text = match detail {
        serde_json::Value::Null => String::new(),
        serde_json::Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => format!("{name}: {text}"),
                other => format!("{name}: {other}"),
            })
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    };
    let cut: String = text.chars().take(300).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}
