//! How the gateway is connected: TLS towards clients, and calls to the upstream.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS for clients. The files are read again when the configuration changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate chain, relative to this document.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
    /// Whether a connection without a client certificate is refused.
    #[serde(default)]
    pub client_required: bool,
}

/// How the upstream is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Whether it is spoken to in HTTP/2 without TLS telling so.
    pub http2: bool,
    /// A path that answers with success while it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Failures in a row after which it is left alone for a while; 0 never does.
    pub failures: u32,
    /// How long it is left alone before one request tries it again, in milliseconds.
    pub rest_ms: u64,
    /// PEM file with the authorities it is trusted by; without it the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// PEM file with the client certificate shown to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with that certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Headers added to each call, as its own key: name of the header, and the file that holds its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, PathBuf>,
}

/// Connections that became WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Websockets {
    /// How many one caller may have open at once.
    pub per_caller: usize,
    /// Seconds one may be silent both ways before it is closed.
    pub idle_seconds: u64,
}

impl Default for Websockets {
    fn default() -> Self {
        Self { per_caller: 32, idle_seconds: 300 }
    }
}

impl Websockets {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            http2: false,
            health: None,
            failures: 5,
            rest_ms: 5_000,
            authorities: None,
            certificate: None,
            key: None,
            headers: BTreeMap::new(),
        }
    }
}

impl Calls {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// The Open Inference Protocol.
    Tensors,
    /// Text of language models and agents.
    Text,
    /// TensorFlow Serving over REST.
    TfServing,
    /// MLflow's scoring server.
    Mlflow,
    /// Seldon's v1 protocol.
    Seldon,
    /// KServe's v1 protocol.
    KserveV1,
    /// JSON of one's own shape, described under `[gateway.json]`.
    Json,
}

/// A message of one's own shape.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Json {
    /// The path that is asked by POST, as `/score`.
    pub path: String,
    /// The model's inputs, in its order.
    pub inputs: Vec<Find>,
    /// Its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Find>,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Its name in the model's signature.
    pub name: String,
    /// The JSONPath query (RFC 9535) that finds it, as `$.amount`. A query that finds one array makes its items the
    /// rows.
    pub find: String,
}

impl Speaks {
    /// Whether nothing was said.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Tensors)
    }
}

/// Whether a switch that is on by itself is.
#[must_use]
pub const fn is_yes(switch: &bool) -> bool {
    *switch
}

/// Whether a switch that is off by itself is.
#[must_use]
pub const fn is_no(switch: &bool) -> bool {
    !*switch
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider's address, exactly as its tokens name it.
    pub issuer: String,
    /// What the tokens' `aud` must name.
    pub audience: String,
    /// The claim whose value is the caller's id; `sub` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The claim that lists the models a caller may ask; every model when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<String>,
    /// The claim that names the user whose limits count; the caller when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The claim that names the tenant whose limits count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// An OpenTelemetry collector, spoken to by OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Its base address, as `http://collector:4318`; `/v1/traces` and `/v1/metrics` follow.
    pub endpoint: String,
    /// Headers of each call, as its key: name of the header, and the file that holds its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, PathBuf>,
    /// The name of the service in traces; `mantlet` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Seconds between two sendings; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}
