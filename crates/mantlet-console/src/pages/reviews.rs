//! Diverted decisions: the list.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Html;
use maud::html;

use super::fault::Fault;
use super::frame::{self, At};
use super::{path, when};
use crate::ReviewState;
use crate::server::Shared;
use crate::session::{Fields, Who};

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Query(query): Query<Fields>,
) -> Result<Html<String>, Fault> {
    let all = query.get("state").is_some_and(|state| state == "all");
    let reviews = shared.ports.views.reviews(!all).await?;
    let now = shared.now();
    let body = html! {
        h1 { "Decisions for a person" }
        p { "The guard withheld the model's answer on these. Each caller waits until somebody decides." }
        nav.tabs aria-label="Which decisions" {
            a href="/reviews" aria-current=[(!all).then_some("true")] { "Waiting" }
            a href="/reviews?state=all" aria-current=[all.then_some("true")] { "All" }
        }
        @if reviews.is_empty() { p { "None." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Decisions" {
                table {
                    thead { tr {
                        th scope="col" { "Decision" } th scope="col" { "System" } th scope="col" { "Caller" }
                        th scope="col" { "Model says" } th scope="col" { "Why it was withheld" } th scope="col" { "State" } th scope="col" { "Who decides" }
                    } }
                    tbody {
                        @for review in &reviews {
                            tr {
                                th scope="row" { a href=(path(&["reviews", &review.id])) { "from " (when(review.at, now)) } }
                                td { (review.system) " " (review.version) }
                                td { (review.caller) }
                                td { (review.answer.as_deref().unwrap_or("not asked")) }
                                td { (review.signals.first().map_or("", |signal| signal.message.as_str())) }
                                td { @match &review.state {
                                    ReviewState::Waiting => span.tag.tone-warning { "waiting" },
                                    ReviewState::Decided { by, ruling, .. } => { span.tag.tone-good { "decided" } " " (ruling.plain(review.asked)) " by " (by) }
                                } }
                                td {
                                    (review.owner)
                                    @if review.state == ReviewState::Waiting { " " span.quiet { (when(review.deadline, now)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(frame::page(&who, At::Reviews, "Decisions for a person", &body))
}
