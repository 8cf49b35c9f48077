//! Classic inference over REST in the dialects beside the Open Inference Protocol: TensorFlow Serving, MLflow's scoring
//! server, Seldon v1, KServe v1, and any JSON by a mapping of one's own.
//!
//! Values become the columns of a [`Request`]: rows first, numbers as `f64` (a missing one is not a number), strings
//! as text and as pieces. Reading is strict as everywhere in this crate; a message that a server could read in two ways
//! (two of the members that hold values, rows of differing names or shapes) is refused.

mod cells;
mod forms;
mod mapped;
mod scores;
mod table;

use mantlet_vocab::{Reply, Request};
use serde_json::json;

use crate::text::named;
use crate::{Defect, Limits, Refusal};

pub use mapped::{Mapping, PathError};
pub use scores::rewrite_scores;

/// A dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Classic {
    /// TensorFlow Serving's REST interface: rows (`instances`), columns (`inputs`), `examples`, `b64`.
    TfServing,
    /// `POST /invocations` of MLflow: `dataframe_split`, `dataframe_records`, `instances`, `inputs`, CSV.
    Mlflow,
    /// Seldon's v1 protocol: `data` (`ndarray` or `tensor`), `strData`, `binData`, `jsonData`.
    Seldon,
    /// KServe's v1 protocol: `instances`, `predictions`.
    Kserve,
    /// Any JSON, by a [`Mapping`].
    Mapped,
}

impl Classic {
    /// Every dialect.
    pub const ALL: [Self; 5] = [Self::TfServing, Self::Mlflow, Self::Seldon, Self::Kserve, Self::Mapped];

    /// The dialect's stable name, used in configuration, records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TfServing => "tf-serving",
            Self::Mlflow => "mlflow",
            Self::Seldon => "seldon",
            Self::Kserve => "kserve-v1",
            Self::Mapped => "json",
        }
    }
}

/// What a path asks of a classic endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// An answer of the model: the body is to be read.
    Infer,
    /// Whether it lives, what it is: no body.
    About,
}

/// A call of a classic endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicCall {
    /// The model that the path names, when the dialect names it there.
    pub model: Option<String>,
    /// The version or label that it names.
    pub version: Option<String>,
    /// What is asked.
    pub ask: Ask,
}

/// The call that a method and a path (without query) make in a dialect; `None` when they make none. Paths are compared
/// as they are, as in [`crate::call()`]. A mapped endpoint has no paths of its own: any plain one is an inference.
#[must_use]
pub fn classic_call(dialect: Classic, method: &str, path: &str) -> Option<ClassicCall> {
    let post = method == "POST";
    let get = matches!(method, "GET" | "HEAD");
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment.len() <= 256
            && segment != "."
            && segment != ".."
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+'))
    };
    let call = |model: Option<&str>, version: Option<&str>, ask| {
        Some(ClassicCall { model: model.map(Into::into), version: version.map(Into::into), ask })
    };
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').take(10).collect();
    match dialect {
        Classic::Mlflow => match *segments {
            ["invocations"] if post => call(None, None, Ask::Infer),
            ["ping" | "health" | "version"] if get => call(None, None, Ask::About),
            _ => None,
        },
        Classic::Seldon => match *segments {
            ["api", "v1.0" | "v0.1", "predictions"] if post => call(None, None, Ask::Infer),
            ["seldon", space, name, "api", "v1.0" | "v0.1", "predictions"]
                if post && plain(space) && plain(name) =>
            {
                call(Some(name), None, Ask::Infer)
            }
            ["health", "ping" | "status"] | ["ready" | "live"] if get => call(None, None, Ask::About),
            _ => None,
        },
        Classic::TfServing | Classic::Kserve => {
            let ["v1", "models", name, ref rest @ ..] = *segments else { return None };
            let (last, verb) =
                segments.last()?.rsplit_once(':').map_or((None, None), |(a, b)| (Some(a), Some(b)));
            let asked = match (dialect, verb) {
                (_, Some("predict")) | (Classic::TfServing, Some("classify" | "regress")) => post,
                (Classic::Kserve, Some("explain")) => post,
                (_, None) => get,
                _ => false,
            };
            if !asked {
                return None;
            }
            let ask = if verb.is_some() { Ask::Infer } else { Ask::About };
            match (rest, last) {
                ([], last) => {
                    let name = last.unwrap_or(name);
                    if plain(name) { call(Some(name), None, ask) } else { None }
                }
                (["metadata"], None) if plain(name) => call(Some(name), None, ask),
                (["versions" | "labels", version], last) => {
                    let version = last.unwrap_or(version);
                    let plain = plain(name) && plain(version);
                    if plain && dialect == Classic::TfServing {
                        call(Some(name), Some(version), ask)
                    } else {
                        None
                    }
                }
                (["versions" | "labels", version, "metadata"], None)
                    if plain(name) && plain(version) && dialect == Classic::TfServing =>
                {
                    call(Some(name), Some(version), ask)
                }
                _ => None,
            }
        }
        Classic::Mapped if segments.len() < 10 && segments.iter().all(|segment| plain(segment)) => {
            call(None, None, if post { Ask::Infer } else { Ask::About })
        }
        Classic::Mapped => None,
    }
}

/// Reads a request. `content_type` matters to MLflow alone, whose `text/csv` is a table; `mapping` to
/// [`Classic::Mapped`] alone.
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_classic_request(
    dialect: Classic,
    model: &str,
    version: Option<&str>,
    content_type: Option<&str>,
    body: &[u8],
    mapping: Option<&Mapping>,
    limits: &Limits,
) -> Result<Request, Defect> {
    let essence = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let (inputs, pieces) = if dialect == Classic::Mlflow && essence == "text/csv" {
        table::csv(body, limits)?
    } else {
        read(dialect, false, body, mapping, limits)?
    };
    Ok(Request { model: model.to_owned(), version: version.map(Into::into), inputs, pieces })
}

/// Reads a reply.
///
/// # Errors
/// The first defect, in the order of the message.
pub fn read_classic_reply(
    dialect: Classic,
    body: &[u8],
    mapping: Option<&Mapping>,
    limits: &Limits,
) -> Result<Reply, Defect> {
    let (outputs, pieces) = read(dialect, true, body, mapping, limits)?;
    Ok(Reply { outputs, pieces })
}

fn read(
    dialect: Classic,
    reply: bool,
    body: &[u8],
    mapping: Option<&Mapping>,
    limits: &Limits,
) -> Result<(Vec<mantlet_vocab::NamedValue>, Vec<mantlet_vocab::Piece>), Defect> {
    if body.len() > limits.bytes {
        return Err(Defect::TooLarge { found: body.len(), limit: limits.bytes });
    }
    match (dialect, mapping) {
        (Classic::Mapped, Some(mapping)) => mapping.read(reply, body, limits),
        (Classic::Mapped, None) => Err(Defect::Missing { field: "a mapping" }),
        _ => forms::read(dialect, reply, body, limits),
    }
}

/// The error answer of a dialect; `id` names the exchange.
#[must_use]
pub fn refuse_classic(dialect: Classic, status: u16, reason: &str, id: &str) -> Refusal {
    let text = named(reason, id);
    let body = match dialect {
        Classic::TfServing | Classic::Kserve | Classic::Mapped => json!({ "error": text }),
        Classic::Mlflow => {
            let code = match status {
                400 | 413 | 415 | 422 => "BAD_REQUEST",
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "RESOURCE_DOES_NOT_EXIST",
                429 => "REQUEST_LIMIT_EXCEEDED",
                503 => "TEMPORARILY_UNAVAILABLE",
                _ => "INTERNAL_ERROR",
            };
            json!({ "error_code": code, "message": text })
        }
        Classic::Seldon => {
            json!({ "status": { "status": "FAILURE", "code": status, "reason": "MANTLET_REFUSED", "info": text } })
        }
    };
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if !id.is_empty() {
        headers.push(("x-mantlet-exchange", id.to_owned()));
    }
    Refusal { status, headers, body: body.to_string() }
}
