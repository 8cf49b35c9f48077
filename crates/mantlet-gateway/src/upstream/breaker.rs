//! A circuit breaker: an upstream that keeps failing is left alone for a while, then tried with one request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mantlet_vocab::Millis;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Failures in a row that open it; 0 never does.
    pub(crate) failures: u32,
    /// Milliseconds it then stays open.
    pub(crate) open_ms: u64,
}

/// What is known of one upstream address.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    /// When it may be tried again; 0 while it is closed.
    until: AtomicU64,
}

impl Breaker {
    /// Whether the upstream may be asked now. While it is open one caller in each period is let through to try.
    pub(crate) fn allows(&self, now: impl FnOnce() -> Millis, policy: Policy) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = now();
        let next = now.0.saturating_add(policy.open_ms.max(1));
        now.0 >= until
            && self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.is_open() {
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure; says whether this one opened it.
    pub(crate) fn failed(&self, now: Millis, policy: Policy) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if policy.failures == 0 || failures < policy.failures {
            return false;
        }
        let next = now.0.saturating_add(policy.open_ms.max(1));
        self.until.swap(next, Ordering::Relaxed) == 0
    }
}

/// The breakers by upstream address, which outlive reloads.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<HashMap<String, Weak<Breaker>>>);

impl Breakers {
    pub(crate) fn of(&self, address: &str) -> Arc<Breaker> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = known.get(address).and_then(Weak::upgrade) {
            return breaker;
        }
        known.retain(|_, breaker| breaker.strong_count() > 0);
        let breaker = Arc::new(Breaker::default());
        known.insert(address.to_owned(), Arc::downgrade(&breaker));
        breaker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { failures: 3, open_ms: 100 };

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_try_at_a_time_closes_it() {
        let breaker = Breaker::default();
        assert!(!breaker.failed(Millis(1), POLICY) && !breaker.failed(Millis(1), POLICY));
        breaker.succeeded();
        assert!(!breaker.failed(Millis(1), POLICY) && !breaker.failed(Millis(1), POLICY));
        assert!(breaker.allows(|| Millis(1), POLICY));
        assert!(breaker.failed(Millis(1), POLICY), "the third in a row");
        assert!(!breaker.allows(|| Millis(100), POLICY));
        assert!(breaker.allows(|| Millis(101), POLICY), "one may try");
        assert!(!breaker.allows(|| Millis(101), POLICY), "and only one");
        assert!(!breaker.failed(Millis(102), POLICY), "it was open already");
        assert!(!breaker.allows(|| Millis(150), POLICY) && breaker.allows(|| Millis(202), POLICY));
        breaker.succeeded();
        assert!(breaker.allows(|| Millis(203), POLICY) && !breaker.is_open());
    }

    #[test]
    fn breakers_are_shared_by_address_and_forgotten_with_it() {
        let breakers = Breakers::default();
        let one = breakers.of("http://a");
        one.failed(Millis(1), Policy { failures: 1, open_ms: 10 });
        assert!(breakers.of("http://a").is_open() && !breakers.of("http://b").is_open());
        drop(one);
        assert!(!breakers.of("http://a").is_open());
    }
}
