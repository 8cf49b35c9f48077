//! What the gateway is told.

use std::net::SocketAddr;
use std::sync::Arc;

use mantlet_guard::Guard;
use serde::{Deserialize, Serialize};

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
}

/// A version of a model and where it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The version, as [`mantlet_guard::Controls::set_version`] names it.
    pub version: String,
    /// Base address, `http://host:port`.
    pub url: String,
    /// The model's name there, when it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The version's name there: `None` leaves the version out of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_version: Option<String>,
    /// Its share of the traffic while no version was chosen; 0 takes none.
    #[serde(default)]
    pub weight: u32,
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
    /// An upstream's address cannot be used.
    #[error("`{url}` is no `http://host:port` address of an upstream")]
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
