//! An endpoint that speaks the Open Inference Protocol v2, over REST or gRPC.

use std::time::{Duration, SystemTime};

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use mantlet_attacks::{Loss, ScoreKind};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts, labels_of};
use mantlet_vocab::{NamedValue, Request, Tensor, Value};
use mantlet_wire::{HEAD_LENGTH_HEADER, InferReply, InferRequest, Limits, Output, read_reply, write_request};

use super::grpc;
use super::metadata::{Layout, Metadata};
use super::transport::{Reply, Transport};

/// Where the endpoint is and how it is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The part before `/v2`, such as `http://127.0.0.1:8080`; `grpc://127.0.0.1:8081` (or `grpcs://`, with TLS) where it
    /// is spoken to over gRPC.
    pub base_url: String,
    /// The model's name.
    pub model: String,
    /// Its version; the endpoint's choice when absent.
    pub version: Option<String>,
    /// A header with the caller's key: name and value. Never shown.
    pub key: Option<(String, String)>,
    /// The input to use; all inputs when absent.
    pub input: Option<String>,
    /// The output with labels; recognised when absent.
    pub label_output: Option<String>,
    /// The output with scores; recognised when absent.
    pub score_output: Option<String>,
    /// Shape of one row, where the endpoint leaves it open.
    pub row_shape: Option<Vec<usize>>,
    /// Names of the classes in order, where labels are text or numbers of the user's own. Without them text labels
    /// are numbered as they are first seen, which a resumed campaign cannot repeat.
    pub class_names: Vec<String>,
    /// Whether its output is a score, a price or a rank rather than classes: it is taken as it is.
    pub scorer: bool,
    /// The most rows in one request.
    pub max_rows: usize,
    /// Milliseconds to wait for an answer.
    pub timeout_ms: u64,
}

impl EndpointConfig {
    /// An endpoint with everything else recognised, one row a request, ten seconds to answer.
    #[must_use]
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: model.into(),
            version: None,
            key: None,
            input: None,
            label_output: None,
            score_output: None,
            row_shape: None,
            class_names: Vec::new(),
            scorer: false,
            max_rows: 1,
            timeout_ms: 10_000,
        }
    }
}

impl std::fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointConfig")
            .field("base_url", &without_credentials(&self.base_url))
            .field("model", &self.model)
            .field("version", &self.version)
            .field("key", &self.key.as_ref().map(|_| "hidden"))
            .finish_non_exhaustive()
    }
}

/// An endpoint as a target. Every call blocks the calling thread, which may be any thread.
pub struct EndpointTarget {
    config: EndpointConfig,
    transport: Transport,
    headers: HeaderMap,
    layout: Layout,
    /// Names of classes in order of index; grows as the endpoint answers names not listed before.
    classes: Vec<String>,
    kind: Option<ScoreKind>,
    log_odds: bool,
    /// Scores of a row, once some were given.
    width: Option<usize>,
}

pub(super) fn unsupported(reason: impl Into<String>) -> TargetError {
    TargetError::Unsupported { reason: reason.into() }
}

pub(super) fn malformed(reason: impl Into<String>) -> TargetError {
    TargetError::Malformed { reason: reason.into() }
}

impl EndpointTarget {
    /// Asks the endpoint what its model takes and gives.
    ///
    /// # Errors
    /// When the address or key cannot be used, the endpoint does not answer, or its model is no classifier over
    /// numbers.
    pub fn connect(config: EndpointConfig) -> Result<Self, TargetError> {
        let over_grpc = grpc::scheme(&config.base_url).is_some();
        let timeout = Duration::from_millis(config.timeout_ms);
        let transport = if over_grpc { Transport::second(timeout) } else { Transport::new(timeout) }?;
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = &config.key {
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| unsupported("the key's header has no valid name"))?;
            let mut value = HeaderValue::try_from(value.as_str())
                .map_err(|_| unsupported("the key cannot stand in a header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let metadata: Metadata = if over_grpc {
            grpc::metadata(&transport, &config, &headers).map_err(|error| without_key(error, &headers))?
        } else {
            let reply = transport.send(Method::GET, address(&config, "")?, headers.clone(), Vec::new())?;
            let body = accept(&reply).map_err(|error| without_key(error, &headers))?;
            serde_json::from_slice(body)
                .map_err(|error| malformed(format!("metadata of the model: {error}")))?
        };
        let layout = metadata.layout(
            config.input.as_deref(),
            config.label_output.as_deref(),
            config.score_output.as_deref(),
            config.row_shape.as_deref(),
        )?;
        let classes = config.class_names.clone();
        Ok(Self { config, transport, headers, layout, classes, kind: None, log_odds: false, width: None })
    }

    fn infer(&self, rows: &Tensor, output: &str) -> Result<Value, TargetError> {
        let over_grpc = grpc::scheme(&self.config.base_url).is_some();
        // Over REST the path names the model.
        let model = if over_grpc { self.config.model.clone() } else { String::new() };
        let version = self.config.version.clone().filter(|_| over_grpc);
        let request = InferRequest {
            request: Request { inputs: self.layout.inputs(rows)?, model, version, ..Request::default() },
            wire: Vec::new(),
            id: None,
            outputs: vec![Output { name: output.to_owned(), binary: None }],
            binary_outputs: false,
        };
        let answer = if over_grpc {
            grpc::infer(&self.transport, &self.config, &self.headers, &request)
                .map_err(|error| without_key(error, &self.headers))?
        } else {
            self.ask(&request)?
        };
        let found = answer.reply.outputs.into_iter().find(|NamedValue { name, .. }| name == output);
        let value = found.ok_or_else(|| malformed(format!("the answer has no output `{output}`")))?.value;
        match value.shape().first() {
            Some(count) if *count == rows.rows() => Ok(value),
            _ => Err(malformed(format!("{} rows asked, shape {:?} answered", rows.rows(), value.shape()))),
        }
    }

    /// One exchange over REST.
    fn ask(&self, request: &InferRequest) -> Result<InferReply, TargetError> {
        let encoded = write_request(request);
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoded.content_type()));
        let reply =
            self.transport.send(Method::POST, address(&self.config, "/infer")?, headers, encoded.body)?;
        let body = accept(&reply).map_err(|error| without_key(error, &self.headers))?;
        let head = reply.headers.get(HEAD_LENGTH_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        read_reply(head, body, &Limits::default()).map_err(|defect| malformed(defect.to_string()))
    }

    /// The index of a class by its name; numbers are their own index where no names are given.
    fn class(&mut self, name: String) -> usize {
        if let Some(index) = self.classes.iter().position(|known| *known == name) {
            return index;
        }
        self.classes.push(name);
        self.classes.len() - 1
    }
}

fn address(config: &EndpointConfig, verb: &str) -> Result<Uri, TargetError> {
    let base = config.base_url.trim_end_matches('/');
    let version = config.version.as_ref().map_or_else(String::new, |version| format!("/versions/{version}"));
    let text = format!("{base}/v2/models/{}{version}{verb}", config.model);
    text.parse().ok().filter(|uri: &Uri| uri.scheme().is_some()).ok_or_else(|| {
        unsupported(
            "the endpoint's address is not valid: give scheme and host, such as http://127.0.0.1:8080",
        )
    })
}

/// The body of a good answer; everything else says what kind of answer it was.
pub(super) fn accept(reply: &Reply) -> Result<&[u8], TargetError> {
    let status = reply.status;
    let code = status.as_u16();
    if status == StatusCode::OK {
        return Ok(&reply.body);
    }
    let reason = reason(&reply.body);
    match code {
        // Accepted for later, not authorised, refused, throttled, overloaded: somebody declines.
        202 | 503 => Err(refused(reply, reason)),
        404 | 405 => Err(unsupported(format!("status {code}: {reason}"))),
        400..=499 => Err(refused(reply, reason)),
        300..=399 => Err(unsupported(format!("status {code}: redirects are not followed"))),
        200..=299 => Err(malformed(format!("status {code}"))),
        _ => Err(TargetError::Failed { reason: format!("status {code}: {reason}") }),
    }
}

fn refused(reply: &Reply, reason: String) -> TargetError {
    let retry_after = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    TargetError::Refused {
        status: reply.status.as_u16(),
        reason,
        retry_after_ms: retry_after.and_then(|text| retry_after_ms(text.trim(), SystemTime::now())),
    }
}

/// `Retry-After` in milliseconds: seconds, or a date (RFC 9110, section 10.2.3); a date that is past is no wait.
pub(super) fn retry_after_ms(text: &str, now: SystemTime) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(now).unwrap_or_default();
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// An error without the key, should the endpoint have said it back.
pub(super) fn without_key(error: TargetError, headers: &HeaderMap) -> TargetError {
    let secrets: Vec<&str> = headers
        .values()
        .filter(|value| value.is_sensitive())
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| std::iter::once(value).chain(value.split_whitespace()))
        // Shorter words are not told from ordinary ones.
        .filter(|secret| secret.len() >= 4)
        .collect();
    let clean =
        |reason: String| secrets.iter().fold(reason, |text, secret| text.replace(secret, "(the key)"));
    match error {
        TargetError::Refused { status, reason, retry_after_ms } => {
            TargetError::Refused { status, reason: clean(reason), retry_after_ms }
        }
        TargetError::Unsupported { reason } => TargetError::Unsupported { reason: clean(reason) },
        TargetError::Failed { reason } => TargetError::Failed { reason: clean(reason) },
        TargetError::Malformed { reason } => TargetError::Malformed { reason: clean(reason) },
        other => other,
    }
}

/// An address without the credentials that may stand before its host.
pub fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// The protocol's `{"error": "..."}`, shortened and without control characters.
fn reason(body: &[u8]) -> String {
    let error = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
    let text = error.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned());
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

impl Target for EndpointTarget {
    fn describe(&self) -> TargetFacts {
        TargetFacts {
            name: format!(
                "{}/v2/models/{}",
                without_credentials(&self.config.base_url).trim_end_matches('/'),
                self.config.model
            ),
            input_shape: self.layout.row_shape(),
            classes: self.layout.columns.or(Some(self.classes.len()).filter(|count| *count > 1)),
            score_kind: self.kind,
            scores: self.layout.scores.is_some(),
            no_gradient: Some("an endpoint gives no gradients".to_owned()),
            max_rows: self.config.max_rows.max(1),
        }
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        let Some(output) = self.layout.label.clone() else {
            return labels_of(&self.scores(rows)?);
        };
        let value = self.infer(rows, &output)?;
        let count = value.shape().iter().product::<usize>();
        if count != rows.rows() {
            return Err(malformed(format!("{} rows asked, {count} labels answered", rows.rows())));
        }
        let names: Vec<String> = match &value {
            Value::I64(labels) => labels.data().iter().map(ToString::to_string).collect(),
            Value::I32(labels) => labels.data().iter().map(ToString::to_string).collect(),
            Value::U8(labels) => labels.data().iter().map(ToString::to_string).collect(),
            Value::Text(labels) => labels.data().to_vec(),
            Value::F32(_) | Value::F64(_) | Value::Bool(_) => {
                return Err(malformed(format!("output `{output}` holds no labels")));
            }
        };
        let numbers = !matches!(value, Value::Text(_)) && self.config.class_names.is_empty();
        names
            .into_iter()
            .map(|name| {
                if numbers {
                    name.parse()
                        .map_err(|_| malformed(format!("label {name} is no class: give the classes' names")))
                } else {
                    Ok(self.class(name))
                }
            })
            .collect()
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        let output =
            self.layout.scores.clone().ok_or_else(|| unsupported("the endpoint gives labels only"))?;
        let value = self.infer(rows, &output)?;
        let scores =
            value.to_f32().ok_or_else(|| malformed(format!("output `{output}` holds no numbers")))?;
        // JSON has no word for such values; raw bytes do.
        if scores.data().iter().any(|value| !value.is_finite()) {
            return Err(malformed(format!("output `{output}` holds values that are no numbers")));
        }
        let columns = scores.data().len().checked_div(rows.rows()).unwrap_or(0);
        let data = match columns {
            0 => return Err(malformed(format!("output `{output}` is empty"))),
            // One column: the share of the second class, or its log-odds once a value was seen that is no share.
            1 if self.config.scorer => scores.into_data(),
            1 => {
                self.log_odds |= scores.data().iter().any(|value| !(0.0..=1.0).contains(value));
                let first = |value: f32| if self.log_odds { 0.0 } else { 1.0 - value };
                scores.data().iter().flat_map(|value| [first(*value), *value]).collect()
            }
            _ => scores.into_data(),
        };
        let least = if self.config.scorer { 1 } else { 2 };
        let scores = Tensor::new([rows.rows(), columns.max(least)], data)
            .map_err(|_| malformed(format!("output `{output}` has rows of different lengths")))?;
        // An endpoint that gave so many classes before and gives others now is not one model.
        let width = *self.width.get_or_insert(scores.row_len());
        if width != scores.row_len() {
            let found = scores.row_len();
            return Err(malformed(format!("output `{output}` had {width} scores a row, now {found}")));
        }
        // Once a value was seen that is no share, scores are logits for good.
        if self.kind != Some(ScoreKind::Logits) {
            self.kind = Some(ScoreKind::recognise(&scores));
        }
        Ok(scores)
    }

    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(unsupported("an endpoint gives no gradients"))
    }
}

#[cfg(test)]
mod grpc_tests;
#[cfg(test)]
mod tests;
