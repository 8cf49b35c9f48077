//! Traces and metrics to an OpenTelemetry collector, over HTTP as protobuf (OTLP 1.x), off unless configured.
//!
//! Each exchange is a span with the semantic conventions for generative AI where it is one. Nothing of a message is in
//! it, and no caller. Spans wait in a bounded queue; a task sends them, and what was counted, every few seconds. What
//! does not fit or cannot be sent is counted as lost: traffic never waits for telemetry.

mod proto;
mod series;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use mantlet_vocab::{Exchange, Millis};
use mantlet_wire::text::{Surface, Usage};
use prost::Message as _;
use tokio::sync::{mpsc, watch};

use crate::dialect::Dialect;
use crate::metrics::Port;
use crate::service::Shared;
use crate::{GatewayError, Secret};
use proto::{
    Event, ExportMetrics, ExportTraces, KeyValue, Kind, Resource, ResourceMetrics, ResourceSpans, Scope,
    ScopeMetrics, ScopeSpans, Span, Status,
};
use series::Series;

/// Spans that wait at most.
const WAITING: usize = 4_096;
/// Spans of one message.
const BATCH: usize = 512;
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where traces and metrics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// The collector's base address, as `http://collector:4318`; `/v1/traces` and `/v1/metrics` follow.
    pub endpoint: String,
    /// Headers of each call, as the collector's key.
    pub headers: Vec<(String, Secret)>,
    /// The service's name.
    pub service: String,
    /// How often something is sent.
    pub interval_ms: u64,
}

/// The call a caller's own trace says this is part of (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
}

impl Parent {
    /// Reads `traceparent`; anything else than version 00 to fe in its one form is none.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = crate::keys::single(headers, "traceparent")??;
        let mut parts = text.split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        let flags = parts.next()?;
        if version.len() != 2
            || version == "ff"
            || flags.len() != 2
            || (version == "00" && parts.next().is_some())
        {
            return None;
        }
        let (mut parent, zero) =
            (Self { trace: [0; 16], span: [0; 8] }, |bytes: &[u8]| bytes.iter().all(|b| *b == 0));
        unhex(trace, &mut parent.trace)?;
        unhex(span, &mut parent.span)?;
        (!zero(&parent.trace) && !zero(&parent.span)).then_some(parent)
    }
}

fn unhex(text: &str, into: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != into.len() * 2 {
        return None;
    }
    for (byte, pair) in into.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// An exchange that is over, as far as telemetry tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    id: String,
    parent: Option<Parent>,
    at: Millis,
    took_ms: f64,
    system: String,
    route: String,
    version: String,
    generation: u64,
    action: &'static str,
    proposed: &'static str,
    status: u16,
    signals: Vec<(String, f64)>,
    usage: Option<Usage>,
    cost: u64,
    operation: Option<&'static str>,
    provider: &'static str,
    model: String,
}

impl Done {
    pub(crate) fn new(
        exchange: &Exchange,
        dialect: &Dialect,
        parent: Option<Parent>,
        model: Option<String>,
        usage: Option<Usage>,
        cost: u64,
    ) -> Self {
        let (operation, provider) = match dialect {
            Dialect::Text { surface, .. } => operation(*surface),
            _ => (None, ""),
        };
        let decision = &exchange.decision;
        Self {
            id: exchange.id.clone(),
            parent,
            at: exchange.at,
            took_ms: exchange.took_ms,
            system: exchange.system.clone(),
            route: exchange.route.clone(),
            version: exchange.version.clone(),
            generation: exchange.generation,
            action: decision.action.word(),
            proposed: decision.proposed.word(),
            status: exchange.status,
            signals: decision.signals.iter().map(|signal| (signal.name.clone(), signal.score)).collect(),
            usage,
            cost,
            operation,
            provider,
            model: model.unwrap_or_else(|| exchange.request.model.clone()),
        }
    }

    fn span(self) -> Span {
        let uuid = uuid::Uuid::parse_str(&self.id).unwrap_or_default();
        let start = self.at.0.saturating_mul(1_000_000);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "nanoseconds of an exchange"
        )]
        let end = start + (self.took_ms.clamp(0.0, 1e9) * 1e6) as u64;
        let mut attributes = vec![
            KeyValue::text("mantlet.exchange", &*self.id),
            KeyValue::text("mantlet.system", self.system),
            KeyValue::text("mantlet.route", self.route),
            KeyValue::text("mantlet.version", self.version),
            KeyValue::int("mantlet.generation", self.generation),
            KeyValue::text("mantlet.action", self.action),
            KeyValue::text("mantlet.proposed", self.proposed),
            KeyValue::int("http.response.status_code", self.status.into()),
        ];
        if let Some(operation) = self.operation {
            attributes.push(KeyValue::text("gen_ai.operation.name", operation));
            attributes.push(KeyValue::text("gen_ai.provider.name", self.provider));
            attributes.push(KeyValue::text("gen_ai.request.model", &*self.model));
        }
        if let Some(usage) = self.usage {
            attributes.push(KeyValue::int("gen_ai.usage.input_tokens", usage.input_tokens));
            attributes.push(KeyValue::int("gen_ai.usage.output_tokens", usage.output_tokens));
        }
        let failed = self.status >= 400;
        if failed {
            attributes.push(KeyValue::text("error.type", self.status.to_string()));
        }
        let event = |(name, score): (String, f64)| Event {
            time: end,
            name,
            attributes: vec![KeyValue::double("mantlet.score", score)],
        };
        let (name, kind) = match self.operation {
            // Conventions for generative AI: the operation and the model; a call to a model is a client's.
            Some(operation) => (format!("{operation} {}", self.model), Kind::Client),
            None => (format!("infer {}", self.model), Kind::Server),
        };
        Span {
            trace_id: self.parent.map_or_else(|| uuid.as_bytes().to_vec(), |parent| parent.trace.to_vec()),
            span_id: uuid.as_bytes()[8..].to_vec(),
            parent_span_id: self.parent.map(|parent| parent.span.to_vec()).unwrap_or_default(),
            name,
            kind: kind.into(),
            start,
            end,
            attributes,
            events: self.signals.into_iter().map(event).collect(),
            status: failed.then(|| Status { message: String::new(), code: 2 }),
        }
    }
}

/// The operation and the provider by the semantic conventions for generative AI, of the surfaces they know.
fn operation(surface: Surface) -> (Option<&'static str>, &'static str) {
    let name = surface.name();
    let provider = if name.starts_with("anthropic") { "anthropic" } else { "openai" };
    match surface {
        Surface::Models | Surface::OpenAiFiles => (None, provider),
        Surface::Mcp => (Some("execute_tool"), "mcp"),
        Surface::OpenAiEmbeddings => (Some("embeddings"), provider),
        Surface::OpenAiCompletions => (Some("text_completion"), provider),
        Surface::OpenAiModerations => (Some("moderation"), provider),
        _ => (Some("chat"), provider),
    }
}

/// Where exchanges that are over are handed in.
pub(crate) struct Telemetry {
    sender: mpsc::Sender<Done>,
}

impl Telemetry {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Done>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender }, receiver)
    }

    /// Takes one; says whether there was room.
    pub(crate) fn take(&self, done: Done) -> bool {
        self.sender.try_send(done).is_ok()
    }
}

/// The headers of each call.
pub(crate) fn headers(otlp: &Otlp) -> Result<HeaderMap, GatewayError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    for (name, value) in &otlp.headers {
        let fault = || GatewayError::Credential { name: name.clone() };
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| fault())?;
        let mut value = HeaderValue::try_from(value.0.as_str()).map_err(|_| fault())?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// Sends until told to stop, and once more then.
pub(crate) async fn export(
    shared: Arc<Shared>,
    otlp: Otlp,
    headers: HeaderMap,
    mut queue: mpsc::Receiver<Done>,
    mut stop: watch::Receiver<bool>,
) {
    let start = shared.started.0.saturating_mul(1_000_000);
    let mut series = Series::default();
    let mut waiting = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(otlp.interval_ms.max(50)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    let mut ends = false;
    while !ends {
        tokio::select! {
            done = queue.recv() => {
                let Some(done) = done else { return };
                series.see(&done);
                waiting.push(done.span());
                if waiting.len() >= BATCH {
                    spans(&shared, &otlp, &headers, &mut waiting).await;
                }
                continue;
            }
            _ = tick.tick() => {}
            _ = stop.changed() => {
                ends = true;
                while let Ok(done) = queue.try_recv() {
                    series.see(&done);
                    waiting.push(done.span());
                }
            }
        }
        spans(&shared, &otlp, &headers, &mut waiting).await;
        let time = shared.ports.clock.now().0.saturating_mul(1_000_000);
        let metrics = series.metrics(start, time);
        if !metrics.is_empty() {
            let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
            let resource_metrics = vec![ResourceMetrics { resource: Some(resource(&otlp)), scope_metrics }];
            // Counts are from the start on: one message that is lost loses nothing.
            let _ = post(
                &shared,
                &otlp,
                &headers,
                "/v1/metrics",
                &ExportMetrics { resource_metrics }.encode_to_vec(),
            )
            .await;
        }
    }
}

async fn spans(shared: &Shared, otlp: &Otlp, headers: &HeaderMap, waiting: &mut Vec<Span>) {
    if waiting.is_empty() {
        return;
    }
    let spans = std::mem::take(waiting);
    let count = spans.len() as u64;
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource(otlp)), scope_spans }];
    let body = ExportTraces { resource_spans }.encode_to_vec();
    if !post(shared, otlp, headers, "/v1/traces", &body).await {
        shared.metrics.overloads.get_or_create(&Port { port: "otlp" }).inc_by(count);
    }
}

async fn post(shared: &Shared, otlp: &Otlp, headers: &HeaderMap, path: &str, body: &[u8]) -> bool {
    let address = format!("{}{path}", otlp.endpoint.trim_end_matches('/'));
    let sent = shared.clients.post(&address, headers.clone(), Bytes::copy_from_slice(body));
    match tokio::time::timeout(PATIENCE, sent).await {
        Ok(Ok(status)) if status.is_success() => true,
        Ok(Ok(status)) => {
            tracing::warn!(%address, %status, "the collector does not take telemetry");
            false
        }
        Ok(Err(error)) => {
            tracing::warn!(%address, error, "telemetry cannot be sent");
            false
        }
        Err(_) => {
            tracing::warn!(%address, "the collector does not answer");
            false
        }
    }
}

fn scope() -> Scope {
    Scope { name: "mantlet".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

fn resource(otlp: &Otlp) -> Resource {
    let attributes = vec![
        KeyValue::text("service.name", &*otlp.service),
        KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::text("telemetry.sdk.language", "rust"),
    ];
    Resource { attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_taken_in_its_one_form() {
        let parent = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            Parent::of(&headers)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(parent(good).unwrap().span, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
        assert!(parent(&good.replacen("00", "cc", 1)).is_some());
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(parent(bad), None, "{bad}");
        }
    }
}
