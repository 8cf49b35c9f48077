//! The live view: a table that a little script keeps moving, and that reloads by itself without script.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::header;
use hyper::body::Frame;
use mantlet_access::Act;
use maud::{Markup, html};
use tokio::sync::{broadcast, mpsc};

use super::fault::Fault;
use super::frame::{self, At};
use super::{action_tone, clock_time};
use crate::server::Shared;
use crate::session::{Fields, Who};
use crate::{Line, assets};

/// Rows on the page.
const SHOWN: usize = 50;
/// A comment keeps proxies from closing a quiet stream, and shows when a session has ended.
const PULSE: Duration = Duration::from_secs(15);

pub(crate) async fn show(State(shared): State<Arc<Shared>>, who: Who) -> Result<Html<String>, Fault> {
    who.must(Act::SeeExchanges)?;
    let lines = shared.ports.live.recent(SHOWN);
    let newest = lines.first().map_or(0, |line| line.number);
    let head = html! {
        script src=(assets::script_address()) defer {}
        noscript { meta http-equiv="refresh" content="5"; }
    };
    let body = html! {
        h1 { "Live" }
        p { "The last requests and what the guard decided. What callers sent is not shown here." }
        div.live-bar {
            button id="pause" type="button" hidden { "Pause" }
            p.quiet.small id="pulse" role="status" { noscript { "This page loads again every five seconds." } }
        }
        div.scroll tabindex="0" role="group" aria-label="Requests" {
            table id="live" data-newest=(newest) data-most=(SHOWN) {
                thead { tr {
                    th scope="col" { "When (UTC)" } th scope="col" { "Decision" } th scope="col" { "Caller" } th scope="col" { "System" }
                    th.num scope="col" { "Rows" } th scope="col" { "Signals" } th.num scope="col" { "Took" }
                } }
                tbody { @for line in &lines { (row(line)) } }
            }
        }
        @if lines.is_empty() { p id="empty" { "No request yet." } }
    };
    Ok(frame::page_with(&who, At::Live, "Live", &head, &body))
}

fn row(line: &Line) -> Markup {
    html! {
        tr {
            td { (clock_time(line.at)) }
            td {
                span.tag.(action_tone(line.action)) { (line.action) }
                @if let Some(proposed) = line.proposed { " would " (proposed) }
            }
            td { (line.caller) }
            td { (line.system) " " (line.version) }
            td.num { (line.rows) }
            td { (line.signals.join(", ")) }
            td.num { (took(line)) }
        }
    }
}

fn took(line: &Line) -> String {
    format!("{:.1} ms", line.took_ms)
}

/// What the script gets for a row; it fills cells by `textContent`, never as markup.
fn event(line: &Line) -> Bytes {
    let cells = serde_json::json!({
        "number": line.number,
        "at": line.at.rfc3339(),
        "time": line.at.rfc3339().get(11..19),
        "tone": action_tone(line.action),
        "action": line.action,
        "proposed": line.proposed,
        "caller": line.caller,
        "system": format!("{} {}", line.system, line.version),
        "rows": line.rows,
        "signals": line.signals.join(", "),
        "took": took(line),
    });
    // JSON has no raw line feeds, so a foreign name cannot start a field of its own.
    Bytes::from(format!("id: {}\ndata: {cells}\n\n", line.number))
}

pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    who: Who,
    headers: http::HeaderMap,
    Query(query): Query<Fields>,
) -> Result<Response, Fault> {
    who.must(Act::SeeExchanges)?;
    // A browser that reconnects says what it saw last.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok().map(str::to_owned));
    let from = last.or_else(|| query.get("after").cloned()).and_then(|id| id.parse().ok()).unwrap_or(0);
    let (missed, receiver) = shared.ports.live.follow(from);
    let (sender, body) = mpsc::channel(64);
    tokio::spawn(feed(shared, who, missed, receiver, sender));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Events(body))).into_response())
}

/// Feeds one reader until it leaves, its session ends or the console stops.
async fn feed(
    shared: Arc<Shared>,
    who: Who,
    missed: Vec<Line>,
    mut receiver: broadcast::Receiver<Line>,
    sender: mpsc::Sender<Bytes>,
) {
    let mut stopping = shared.stopping.clone();
    let mut pulse = tokio::time::interval(PULSE);
    for line in &missed {
        if sender.send(event(line)).await.is_err() {
            return;
        }
    }
    loop {
        let sent = tokio::select! {
            _ = stopping.changed() => return,
            () = sender.closed() => return,
            line = receiver.recv() => match line {
                Ok(line) => sender.send(event(&line)).await,
                // Too slow: what was missed is in the history, the newest go on.
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = pulse.tick() => {
                let session = shared.ports.people.session(&who.session.hash).await;
                if !session.is_ok_and(|session| session.is_some_and(|session| session.runs(shared.now()))) {
                    return;
                }
                sender.send(Bytes::from_static(b": here\n\n")).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A body that is sent as it comes.
struct Events(mpsc::Receiver<Bytes>);

impl axum::body::HttpBody for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
