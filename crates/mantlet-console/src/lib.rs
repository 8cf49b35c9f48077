//! The web console and its JSON API: what happened, in plain words, and the button that does something
//! about it.
//!
//! Pages are rendered here, on the server, and work without script; the little script there is keeps the
//! live view moving. The console reads through [`Views`], knows people through [`People`] and acts through
//! [`Actions`]; it never talks to the gateway. [`Shelf`] is the first two over the store. Every form carries a token of its session, every change
//! checks `Host` and `Origin`, and no page holds a secret.

mod api;
mod assets;
mod live;
mod openapi;
mod pages;
mod ports;
mod security;
mod server;
mod session;
mod shelf;
mod showing;

pub use live::{Line, Live};
pub use ports::{
    Actions, AuditLine, AuditTail, Batches, People, PortError, Ports, Review, ReviewState, Ruling, Soon,
    VersionEvidence, Views,
};
pub use server::{Console, ConsoleConfig, StartError};
pub use shelf::{Shelf, path_record};
