//! Hard caps, patience with refusals, and the clock as a port.

use serde::{Deserialize, Serialize};

/// What a campaign may spend. A promise: it is never exceeded, refusals and retries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Rows asked of the target.
    pub queries: u64,
    /// Milliseconds by the campaign's clock.
    pub millis: u64,
    /// Tokens billed by the target; without a limit when absent. Before each question the most it can cost is set aside,
    /// see [`crate::Target::tokens_at_most`].
    #[serde(default = "without_limit", skip_serializing_if = "is_without_limit")]
    pub tokens: u64,
}

const fn without_limit() -> u64 {
    u64::MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_without_limit(tokens: &u64) -> bool {
    *tokens == u64::MAX
}

impl Default for Budget {
    fn default() -> Self {
        Self { queries: 1_000_000, millis: 600_000, tokens: without_limit() }
    }
}

/// How a campaign bears refusals and failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// Refusals in a row after which the attack counts as stopped by the guard.
    pub refusals: u32,
    /// Failures in a row after which the target counts as broken.
    pub failures: u32,
    /// The longest wait before asking again, in milliseconds; a target that asks for a longer one is left alone.
    pub wait_ms: u64,
}

impl Patience {
    /// How long to stay away after so many failures in a row when the target does not say: a quarter of a second, twice
    /// as long each time.
    #[must_use]
    pub fn after(self, failures: u32) -> u64 {
        250_u64.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.wait_ms)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { refusals: 3, failures: 3, wait_ms: 2_000 }
    }
}

/// Time, handed in.
pub trait Clock {
    /// Milliseconds since some fixed instant.
    fn now_ms(&self) -> u64;
    /// Waits, or pretends to.
    fn wait_ms(&mut self, millis: u64);
}

/// A clock that stands still unless waited on: for tests and replays without a time budget.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClock(u64);

impl Clock for NoClock {
    fn now_ms(&self) -> u64 {
        self.0
    }
    fn wait_ms(&mut self, millis: u64) {
        self.0 = self.0.saturating_add(millis);
    }
}
