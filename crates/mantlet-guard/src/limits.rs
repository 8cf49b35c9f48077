//! Token buckets: so many requests a minute, with a burst.

use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

/// A token bucket. It holds no clock; time comes in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TokenBucket {
    tokens: f64,
    at: Millis,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(burst: f64, now: Millis) -> Self {
        Self { tokens: burst, at: now }
    }

    /// Takes one token, or says in how many milliseconds there will be one.
    ///
    /// # Errors
    /// When the bucket is empty.
    pub fn take(&mut self, per_minute: f64, burst: f64, now: Millis) -> Result<(), u64> {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the last request")]
        let passed = now.since(self.at) as f64;
        // A clock that steps back neither fills nor empties the bucket.
        self.at = self.at.max(now);
        let rate = per_minute.max(0.0) / 60_000.0;
        self.tokens = (self.tokens + passed * rate).min(burst.max(1.0));
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let wait = if rate > 0.0 { ((1.0 - self.tokens) / rate).ceil() } else { f64::INFINITY };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        Err(wait.clamp(1.0, 3_600_000.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_and_the_wait_it_names_is_enough() {
        let mut bucket = TokenBucket::full(3.0, Millis(0));
        for _ in 0..3 {
            assert_eq!(bucket.take(60.0, 3.0, Millis(0)), Ok(()));
        }
        assert_eq!(bucket.take(60.0, 3.0, Millis(0)), Err(1000));
        assert_eq!(bucket.take(60.0, 3.0, Millis(400)), Err(600));
        assert_eq!(bucket.take(60.0, 3.0, Millis(1000)), Ok(()));
        assert!(bucket.take(60.0, 3.0, Millis(10)).is_err(), "a clock that steps back gives nothing");
        assert_eq!(bucket.take(0.0, 3.0, Millis(1001)), Err(3_600_000));
    }
}
