//! Judges of text behind an endpoint: toxicity, groundedness, a topic, whatever a model of one's own can tell.
//!
//! A window of text goes there as JSON, a score comes back:
//!
//! ```text
//! POST <endpoint>   {"judge": "toxicity-judge", "kind": "assistant", "text": "..."}
//! 200               {"score": 0.93, "reason": "insult"}
//! ```
//!
//! The guard asks and waits, for the configured time at most. Calls are made on a thread of their own, so many at once
//! and so many waiting; more is [`Failure::Overload`], no answer in time [`Failure::Timeout`], any other answer
//! [`Failure::Error`]: what then happens is the rule's choice.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use mantlet_guard::{Failure, WindowJudge};
use mantlet_vocab::{About, Confidence, Impact, Kind, Severity, Signal};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, mpsc};

/// Bytes of an answer that are read.
const ANSWER: usize = 16 << 10;
/// Characters of a reason that are kept.
const REASON: usize = 200;

/// What a judge's word is, for whoever reads it; a judge is configured and has no room of its own.
const EXPLAIN: &str = "\
## What it sees
A judge behind an endpoint that your configuration names gave a window of text a score at or above its threshold.

## Why it matters
It knows something no pattern does: whether a text insults, leaves its sources, or speaks of what it should not.

## What to do
Read the reason the judge gave in the record. When it is wrong often, raise its threshold or change its model; the policy of the judge under `[[gateway.judges]]` says what its word leads to.

## References
- `docs/text-rules.md`, \"Judges of your own\"
";

/// A judge behind an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeConfig {
    /// What it is called, `family-thing` in kebab-case: policies and records name it so.
    pub name: String,
    /// Where it is asked.
    pub endpoint: String,
    /// Headers of each call, as its key.
    pub headers: Vec<(String, String)>,
    /// The score from which it says yes.
    pub threshold: f64,
    /// The most bytes it is shown at once.
    pub window: usize,
    /// Bytes of a reply that may be released before it has judged them.
    pub lag: usize,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Calls at the same time; as many again may wait.
    pub at_once: usize,
}

/// Why a judge cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// Its name is none.
    #[error("`{0}` is no name of a judge: use kebab-case with a family, as `toxicity-judge`")]
    Name(String),
    /// Its address cannot be used.
    #[error("`{0}` is no address of a judge: use http:// or https://")]
    Endpoint(String),
    /// A header cannot be sent.
    #[error("`{0}` cannot be a header of calls to a judge")]
    Header(String),
    /// Its threshold says nothing.
    #[error("the threshold of `{0}` has to be above 0")]
    Threshold(String),
    /// There is no thread for it.
    #[error("the calls of a judge need a thread: {0}")]
    Thread(std::io::Error),
}

#[derive(Deserialize)]
struct Said {
    score: f64,
    #[serde(default)]
    reason: String,
}

struct Job {
    request: http::Request<Full<Bytes>>,
    answer: SyncSender<Result<Said, Failure>>,
}

/// A judge behind an endpoint.
pub struct HttpJudge {
    about: &'static About,
    config: JudgeConfig,
    uri: http::Uri,
    headers: http::HeaderMap,
    jobs: mpsc::Sender<Job>,
}

impl HttpJudge {
    /// Makes a judge and the thread that calls it. The thread ends with the judge.
    ///
    /// # Errors
    /// When something of its configuration cannot be used.
    pub fn new(config: JudgeConfig) -> Result<Self, JudgeError> {
        let kebab = config.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !kebab || !config.name.trim_matches('-').contains('-') || config.name.len() > 60 {
            return Err(JudgeError::Name(config.name));
        }
        let uri: Result<http::Uri, _> = config.endpoint.parse();
        let uri = uri.ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let uri = uri.ok_or_else(|| JudgeError::Endpoint(config.endpoint.clone()))?;
        if !(config.threshold > 0.0 && config.threshold.is_finite()) {
            return Err(JudgeError::Threshold(config.name));
        }
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        for (name, value) in &config.headers {
            let fault = || JudgeError::Header(name.clone());
            let parsed = http::HeaderName::try_from(name.as_str()).map_err(|_| fault())?;
            let mut value = http::HeaderValue::try_from(value.as_str()).map_err(|_| fault())?;
            value.set_sensitive(true);
            headers.insert(parsed, value);
        }
        let at_once = config.at_once.clamp(1, 256);
        let (jobs, queue) = mpsc::channel(at_once);
        let timeout = config.timeout;
        std::thread::Builder::new()
            .name(config.name.clone())
            .spawn(move || call(queue, at_once, timeout))
            .map_err(JudgeError::Thread)?;
        Ok(Self { about: about(&config.name), config, uri, headers, jobs })
    }

    fn request(&self, kind: Kind, window: &str) -> Option<http::Request<Full<Bytes>>> {
        let body = json!({ "judge": self.config.name, "kind": kind_word(kind), "text": window });
        let mut request =
            http::Request::post(self.uri.clone()).body(Full::new(Bytes::from(body.to_string()))).ok()?;
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

impl WindowJudge for HttpJudge {
    fn about(&self) -> &'static About {
        self.about
    }

    fn window(&self) -> usize {
        self.config.window
    }

    fn lag(&self) -> usize {
        self.config.lag
    }

    fn judge(&self, kind: Kind, window: &str) -> Result<Option<Signal>, Failure> {
        let (answer, answered) = sync_channel(1);
        let request = self.request(kind, window).ok_or(Failure::Error)?;
        self.jobs.try_send(Job { request, answer }).map_err(|_| Failure::Overload)?;
        // A little longer than the call's own patience, which says what happened.
        let patience = self.config.timeout + Duration::from_millis(50);
        let wait = || answered.recv_timeout(patience).unwrap_or(Err(Failure::Timeout));
        // Whatever else this worker has to do goes on elsewhere meanwhile.
        let shared = Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
        let said = if shared { tokio::task::block_in_place(wait) } else { wait() }?;
        let score = said.score / self.config.threshold;
        if score < 1.0 {
            return Ok(None);
        }
        let reason: String = said.reason.chars().filter(|c| !c.is_control()).take(REASON).collect();
        let message = if reason.is_empty() { "the judge says so".to_owned() } else { reason };
        Ok(Some(self.about.signal(score, message).fact("score", said.score)))
    }
}

const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::System => "system",
        Kind::User => "user",
        Kind::Assistant => "assistant",
        Kind::Reasoning => "reasoning",
        Kind::ToolCall => "tool-call",
        Kind::ToolResult => "tool-result",
        Kind::ToolDefinition => "tool-definition",
        Kind::Document => "document",
        Kind::Unknown => "unknown",
    }
}

/// The card of a judge, made once for a name however often the configuration is read.
fn about(name: &str) -> &'static About {
    static KNOWN: Mutex<BTreeMap<String, &'static About>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(name.to_owned()).or_insert_with(|| {
        &*Box::leak(Box::new(About {
            name: Box::leak(name.to_owned().into_boxed_str()),
            title: "a judge that was configured says yes",
            severity: Severity::Suspicious,
            impact: Impact::Medium,
            confidence: Confidence::Medium,
            atlas: &["AML.T0015"],
            owasp: &["LLM10:2026"],
            explain: EXPLAIN,
            cases: "",
        }))
    })
}

/// The thread: calls, so many at once, until the judge is gone.
fn call(mut queue: mpsc::Receiver<Job>, at_once: usize, timeout: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        // Whoever asks finds the queue closed, and that is a failure like any other.
        Err(error) => return tracing::error!(%error, "a judge cannot be called"),
    };
    runtime.block_on(async move {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let room = Arc::new(Semaphore::new(at_once));
        while let Some(Job { request, answer }) = queue.recv().await {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let client = client.clone();
            tokio::spawn(async move {
                let asked = async {
                    let reply = client.request(request).await.map_err(|_| Failure::Error)?;
                    if !reply.status().is_success() {
                        return Err(Failure::Error);
                    }
                    let body = Limited::new(reply.into_body(), ANSWER).collect().await;
                    let body = body.map_err(|_| Failure::Error)?.to_bytes();
                    let said: Said = serde_json::from_slice(&body).map_err(|_| Failure::Error)?;
                    if said.score.is_finite() { Ok(said) } else { Err(Failure::Error) }
                };
                let said = tokio::time::timeout(timeout, asked).await.unwrap_or(Err(Failure::Timeout));
                let _ = answer.send(said);
                drop(permit);
            });
        }
    });
}

#[cfg(test)]
mod tests;
