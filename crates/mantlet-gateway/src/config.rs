//! What the gateway is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mantlet_guard::Guard;
use mantlet_wire::classic::Classic;
use serde::{Deserialize, Serialize};

use crate::oidc::Oidc;
use crate::otlp::Otlp;
use crate::tls::{Tls, UpstreamTls};
use crate::upstream::breaker::Policy;

/// How the gateway listens and forwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Where clients come in.
    pub listen: SocketAddr,
    /// Where `/status` and `/metrics` are; `None` puts them on `listen`.
    pub admin: Option<SocketAddr>,
    /// The largest request body in bytes.
    pub max_body: usize,
    /// The largest reply body in bytes.
    pub max_reply: usize,
    /// How long a client may take to send its headers.
    pub header_timeout_ms: u64,
    /// How long a client may take to send its body.
    pub body_timeout_ms: u64,
    /// How long an upstream may take to connect.
    pub connect_timeout_ms: u64,
    /// How long an upstream may take to answer.
    pub upstream_timeout_ms: u64,
    /// How long open exchanges may take to finish at shutdown.
    pub drain_ms: u64,
    /// Connections open at once; more wait.
    pub max_connections: usize,
    /// Whether exchanges go to the record with their tensors, or with decisions and figures only.
    pub record_tensors: bool,
    /// TLS of the listener for clients; without it the connection is plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// TLS of calls to upstreams whose address begins with `https`.
    pub upstream_tls: UpstreamTls,
    /// Client certificates that stand for a caller, by the first URI or DNS name in them, and the models each may
    /// ask; an empty list means every model.
    pub certificates: BTreeMap<String, Vec<String>>,
    /// The provider whose tokens stand for a caller, beside keys and certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// Where traces and metrics go beside `/metrics`.
    #[serde(skip)]
    pub otlp: Option<Otlp>,
    /// Whether callers without a key are served too, all of them as one caller named `anonymous`.
    pub anonymous: bool,
    /// Whether what comes in are copies of traffic that goes elsewhere: looked at, recorded, answered with nothing.
    pub tap: bool,
    /// How long a client may take to accept the next bytes of its answer.
    pub write_timeout_ms: u64,
    /// How long a stream of the upstream may fall silent.
    pub stream_idle_ms: u64,
    /// WebSockets one caller may have open at once.
    pub websockets_per_caller: usize,
    /// How long a WebSocket may be silent both ways before it is closed.
    pub websocket_idle_ms: u64,
    /// Failures in a row after which an upstream is left alone; 0 never does.
    pub breaker_failures: u32,
    /// How long it is left alone before one request tries it again.
    pub breaker_open_ms: u64,
    /// How often upstreams that name a health path are asked.
    pub health_interval_ms: u64,
}

impl GatewayConfig {
    pub(crate) const fn breaker(&self) -> Policy {
        Policy { failures: self.breaker_failures, open_ms: self.breaker_open_ms }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: None,
            max_body: 16 << 20,
            max_reply: 16 << 20,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            connect_timeout_ms: 2_000,
            upstream_timeout_ms: 30_000,
            drain_ms: 10_000,
            max_connections: 4096,
            record_tensors: true,
            tls: None,
            upstream_tls: UpstreamTls::default(),
            certificates: BTreeMap::new(),
            oidc: None,
            otlp: None,
            anonymous: false,
            tap: false,
            write_timeout_ms: 30_000,
            stream_idle_ms: 60_000,
            websockets_per_caller: 32,
            websocket_idle_ms: 300_000,
            breaker_failures: 5,
            breaker_open_ms: 5_000,
            health_interval_ms: 5_000,
        }
    }
}

/// One model endpoint behind the gateway.
#[derive(Clone)]
pub struct Route {
    /// The model's name in `/v2/models/{model}`.
    pub model: String,
    /// The versions that may answer.
    pub upstreams: Vec<Upstream>,
    /// Its guard, whose configuration names system and route.
    pub guard: Arc<Guard>,
    /// What is asked of it.
    pub kind: Kind,
    /// Whether requests and replies are read and looked at. Without it identity, limits, controls and the record
    /// remain, and nothing of a message is seen.
    pub inspect: bool,
    /// The version that is asked when the chosen one cannot be reached.
    pub fallback: Option<String>,
    /// Names that clients pin a version by, each with the version that it stands for, or `*` for whichever answers.
    pub names: BTreeMap<String, String>,
    /// Whether connections below the route's prefix may become WebSockets, which nobody can look at.
    pub websocket: bool,
    /// Whether its exchanges go to the record with their tensors, where the configuration has it so.
    pub records: bool,
}

impl Route {
    /// A route for inference on tensors, inspected, without a fallback.
    #[must_use]
    pub const fn new(model: String, upstreams: Vec<Upstream>, guard: Arc<Guard>) -> Self {
        Self {
            model,
            upstreams,
            guard,
            kind: Kind::Tensors,
            inspect: true,
            fallback: None,
            names: BTreeMap::new(),
            websocket: false,
            records: true,
        }
    }
}

/// What is asked of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    /// Inference on tensors, at `/v2/models/{model}`.
    #[default]
    Tensors,
    /// Text of language models and agents: the calls of the OpenAI and Anthropic dialects and MCP.
    Text {
        /// What stands before `/v1/...` in the path; empty for nothing.
        prefix: String,
    },
    /// Classic inference over REST in another dialect than the Open Inference Protocol.
    Classic(Classical),
}

/// A route of classic inference in a dialect of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classical {
    /// The dialect.
    pub dialect: Classic,
    /// What stands before the dialect's own path; empty for nothing.
    pub prefix: String,
    /// Where the values stand, for [`Classic::Mapped`].
    pub json: Json,
}

impl Classical {
    /// A route at the dialect's own paths.
    #[must_use]
    pub fn new(dialect: Classic) -> Self {
        Self { dialect, prefix: String::new(), json: Json::default() }
    }
}

/// A message of one's own shape: its path, and JSONPath queries (RFC 9535) that find the values in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Json {
    /// The path that is asked, as `/score`.
    pub path: String,
    /// The model's inputs, by name.
    pub inputs: Vec<(String, String)>,
    /// Its outputs, by name.
    pub outputs: Vec<(String, String)>,
}

/// A value of a header that is never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// A version of a model and where it answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The version, as [`mantlet_guard::Controls::set_version`] names it.
    pub version: String,
    /// Base address, `http://host:port` or `https://host`; for text, with a path that the call's own path follows.
    pub url: String,
    /// Where it answers gRPC, `http://host:port` or `https://host`; without one gRPC is not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// The model's name there, when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The version's name there: `None` leaves the version out of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_version: Option<String>,
    /// Its share of the traffic while no version was chosen; 0 takes none.
    #[serde(default)]
    pub weight: u32,
    /// Whether it is spoken to in HTTP/2 without TLS telling so.
    #[serde(default)]
    pub h2: bool,
    /// A path that answers with success while it is well; without one it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Headers added to each call, as the upstream's own key.
    #[serde(skip)]
    pub credentials: Vec<(String, Secret)>,
}

/// Why the gateway does not start or does not take a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; choose another with `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("`{}` cannot be used for TLS: {why}", file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// A header added to calls has an impossible name or value.
    #[error("`{name}` cannot be a header of calls to an upstream")]
    Credential {
        /// The name.
        name: String,
    },
    /// The fallback is no version of the route.
    #[error("model `{model}` falls back on `{version}`, which is none of its versions")]
    Fallback {
        /// The model.
        model: String,
        /// The version.
        version: String,
    },
    /// An upstream's address cannot be used.
    #[error("`{url}` is no `http://host:port` or `https://host` address of an upstream")]
    Url {
        /// The address.
        url: String,
    },
    /// A route has no version that takes traffic.
    #[error("model `{model}` has no upstream with a weight above 0")]
    NoUpstream {
        /// The model.
        model: String,
    },
    /// A message of one's own shape is described by something that cannot be used.
    #[error("model `{model}`: {why}")]
    Json {
        /// The model.
        model: String,
        /// What is wrong.
        why: String,
    },
    /// Two routes are for one model.
    #[error("two routes are for model `{model}`")]
    DoubledRoute {
        /// The model.
        model: String,
    },
    /// Something that only a restart changes was changed.
    #[error("`{field}` cannot change while the gateway runs; restart it")]
    NeedsRestart {
        /// The field.
        field: &'static str,
    },
}
