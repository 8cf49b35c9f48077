//! Messages as clients write them, messages as attackers write them, and the laws of reading.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod classic;
mod form;
mod grpc;
mod oip;
mod service;
mod stream;
mod text;
