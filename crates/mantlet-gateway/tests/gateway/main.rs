//! Model server, gateway and client on loopback.

mod faults;
mod flow;
mod world;
