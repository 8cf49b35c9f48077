//! The inline gateway: identity, limits, guard, upstream, guard again, record.
//!
//! [`Gateway::start`] listens; [`Gateway::reload`] swaps configuration and routes at once under a new generation.
//! What the gateway needs of the world beyond HTTP comes through [`Ports`].

mod admin;
mod answer;
mod body;
mod coding;
mod config;
mod dialect;
mod exchange;
mod handle;
mod headers;
mod ids;
mod keys;
mod layers;
mod lines;
mod listen;
mod live;
mod metrics;
mod oidc;
mod otlp;
mod ports;
mod service;
mod shadow;
mod tls;
mod upstream;
mod who;

pub use config::{Classical, GatewayConfig, GatewayError, Json, Kind, Route, Secret, Upstream};
pub use mantlet_wire::classic::Classic;
pub use oidc::Oidc;
pub use otlp::Otlp;
pub use ports::{Clock, KeyLookup, Keys, Ports, Reviewed, Reviews, Soon, Ticket};
pub use service::Gateway;
pub use tls::{Tls, UpstreamTls};
pub use who::Belongs;
