//! Model server, gateway and client on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod classic;
mod codings;
mod failures;
mod faults;
mod files;
mod flow;
mod grpc;
mod grpc_health;
mod grpc_peer;
mod grpc_shadow;
mod grpc_stream;
mod held;
mod hostile;
mod limits;
mod matrix;
mod matrix_rest;
mod offered;
mod otlp;
mod peer;
mod reload;
mod rollout;
mod service;
mod smuggled;
mod step_up;
mod suspected;
mod tap;
mod text;
mod together;
mod tokens;
mod transport;
mod upgrade;
mod upstream_tls;
mod upstreams;
mod world;
