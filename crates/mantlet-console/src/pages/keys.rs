//! The list of API keys: what each may do and until when. Never the keys themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use maud::html;

use super::fault::Fault;
use super::frame::{self, At};
use super::when;
use crate::server::Shared;
use crate::session::Who;

pub(crate) async fn show(State(shared): State<Arc<Shared>>, who: Who) -> Result<Html<String>, Fault> {
    let keys = shared.ports.views.keys().await?;
    let now = shared.now();
    let body = html! {
        h1 { "API keys" }
        p { "A key is shown once, when it is made; here is what is kept of it. " code { "mantlet key add" } " makes one, " code { "mantlet key revoke ID" } " ends one." }
        @if keys.is_empty() { p { "None." } } @else {
            div.scroll tabindex="0" role="group" aria-label="API keys" {
                table {
                    thead { tr {
                        th scope="col" { "Id" } th scope="col" { "Called" } th scope="col" { "May" }
                        th scope="col" { "Made" } th scope="col" { "Ends" } th scope="col" { "State" }
                    } }
                    tbody {
                        @for key in &keys {
                            @let ended = key.expires.is_some_and(|at| at <= now);
                            tr {
                                th scope="row" { code { (key.id) } }
                                td { (key.label) }
                                td { (key.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                                td { (when(key.created, now)) }
                                td { @match key.expires { Some(at) => (when(at, now)), None => "never" } }
                                td {
                                    @if key.revoked.is_some() { span.tag.tone-bad { "revoked" } }
                                    @else if ended { span.tag.tone-neutral { "ended" } }
                                    @else { span.tag.tone-good { "in force" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(frame::page(&who, At::Keys, "API keys", &body))
}
