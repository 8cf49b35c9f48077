//! The guard against attack streams and honest clients on the digits, and its laws.

mod laws;
mod streams;
mod world;
