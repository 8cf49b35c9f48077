//! The list of incidents.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Html;
use mantlet_respond::{IncidentFilter, IncidentState};
use maud::html;

use super::fault::Fault;
use super::frame::{self, At};
use super::overview::incident_card;
use crate::server::Shared;
use crate::session::{Fields, Who};

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Query(query): Query<Fields>,
) -> Result<Html<String>, Fault> {
    let wanted = query.get("state").map_or("current", String::as_str);
    let states = match wanted {
        "closed" => vec![IncidentState::Closed],
        "all" => Vec::new(),
        _ => IncidentFilter::open().states,
    };
    let filter = IncidentFilter { states, limit: Some(200), ..IncidentFilter::default() };
    let incidents = shared.ports.views.incidents(&filter).await?;
    let now = shared.now();
    let body = html! {
        h1 { "Incidents" }
        nav.tabs aria-label="Which incidents" {
            @for (word, name) in [("current", "Open and contained"), ("closed", "Closed"), ("all", "All")] {
                a href={ "/incidents?state=" (word) } aria-current=[(word == wanted).then_some("true")] { (name) }
            }
        }
        @if incidents.is_empty() { p { "None." } }
        ul.stack { @for incident in &incidents { li { (incident_card(incident, now)) } } }
    };
    Ok(frame::page(&who, At::Incidents, "Incidents", &body))
}
