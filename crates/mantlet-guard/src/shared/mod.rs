//! Limits that several replicas keep together: what is asked, what is answered, and the port.
//!
//! A request asks of every limit that applies to it at once ([`Ask`]), and all of them are taken or none is. Where
//! the counts live is the [`SharedLimits`] port: [`InMemory`] for one process, Redis for several. What a replica may
//! do while the shared counts cannot be reached is arithmetic and stands here too ([`Share`]).

mod memory;
mod price;
mod rules;
mod share;

use std::future::Future;
use std::pin::Pin;

pub use memory::InMemory;
pub use price::{Price, Prices, price, tokens_of, tokens_of_pieces};
pub use rules::{Holder, LimitRule, Per, Size, What, asks};
pub use share::{Share, Standing};

/// How much a limit allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowance {
    /// So much a minute, and at most `burst` at once.
    Rate {
        /// Units a minute.
        per_minute: f64,
        /// Units at once.
        burst: f64,
    },
    /// So many at the same time.
    Concurrent(u32),
}

/// What a request asks of one limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Names the limit and whose it is; the same on every replica.
    pub bucket: String,
    /// How much is allowed.
    pub allowance: Allowance,
    /// Units asked for; a concurrency limit counts 1.
    pub amount: f64,
}

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Denied {
    /// The bucket that has too little; empty when the shared counts cannot be reached.
    pub bucket: String,
    /// Milliseconds after which asking again may help.
    pub retry_after_ms: u64,
    /// Where the answer came from.
    pub standing: Standing,
}

/// Everything asked for was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// Where the answer came from.
    pub standing: Standing,
}

/// The answer to a request, later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Granted, Denied>> + Send + 'a>>;

/// Counts that several replicas keep together.
pub trait SharedLimits: Send + Sync {
    /// Takes from every limit, or from none. Bounded in time: an implementation that asks a server answers within its
    /// configured few milliseconds, if need be from this replica's own share.
    fn take<'a>(&'a self, asks: &'a [Ask]) -> Answer<'a>;

    /// Takes what turned out to be used only afterwards (tokens of a reply, cost), even below nothing: the next
    /// request waits for it. An amount below nothing gives back what was reserved and not used. Does not wait.
    fn charge(&self, asks: &[Ask]);

    /// Gives back the places of concurrency limits in `asks`. Does not wait.
    fn release(&self, asks: &[Ask]);

    /// Where answers come from now.
    fn standing(&self) -> Standing;
}
