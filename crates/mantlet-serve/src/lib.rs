//! A small model server: Open Inference Protocol v2 over REST, JSON and binary, for demos and tiny deployments.
//!
//! It runs models of `mantlet-model` in this process. It asks for no key: put it on loopback or a private network,
//! behind the gateway.

mod answer;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use mantlet_model::Model;

pub use server::Server;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; choose another")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing to serve.
    #[error("no model version was given")]
    Nothing,
    /// A version is given twice, or the default one is not among them.
    #[error("version `{version}` is given twice, or is the default and not given at all")]
    Version {
        /// The version.
        version: String,
    },
}

/// How the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The model's name in `/v2/models/{name}`.
    pub name: String,
    /// The version that answers when a request names none; the last one given when `None`.
    pub default_version: Option<String>,
    /// The largest request body in bytes.
    pub max_body: usize,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: "model".into(),
            default_version: None,
            max_body: 16 << 20,
        }
    }
}

/// A version of the model.
#[derive(Clone)]
pub struct Served {
    /// The version's name.
    pub version: String,
    /// The model.
    pub model: Arc<dyn Model>,
}
