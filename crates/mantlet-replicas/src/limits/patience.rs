//! How long a request waits for Redis: as long as its answers take now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many times as long as an answer took the next one may take.
const SPREAD: u64 = 4;
/// The part by which patience shrinks with each answer that was quick: in 64 answers to about a third.
const SHRINK: u64 = 64;

/// Patience, in microseconds, between a least and a most.
#[derive(Debug)]
pub(super) struct Patience {
    micros: AtomicU64,
    least: u64,
    most: u64,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Patience {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        let least = micros(least).max(1);
        Self { micros: AtomicU64::new(least), least, most: micros(most).max(least) }
    }

    pub(super) fn now(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }

    /// An answer took so long.
    pub(super) fn answered(&self, took: Duration) {
        let wanted = micros(took).saturating_mul(SPREAD);
        self.change(|now| wanted.max(now - now / SHRINK));
    }

    /// There was none in time.
    pub(super) fn late(&self) {
        self.change(|now| now.saturating_mul(2));
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        let within = |now| Some(change(now).clamp(self.least, self.most));
        // The closure always gives a value.
        let _ = self.micros.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_at_once_and_shrinks_slowly_within_its_bounds() {
        let ms = Duration::from_millis;
        let patience = Patience::new(ms(5), ms(125));
        for _ in 0..100 {
            patience.answered(ms(1));
        }
        assert_eq!(patience.now(), ms(5));
        patience.answered(ms(20));
        assert_eq!(patience.now(), ms(80));
        for _ in 0..16 {
            patience.answered(ms(1));
        }
        assert!(patience.now() > ms(60), "{:?}", patience.now());
        for _ in 0..1_000 {
            patience.answered(ms(1));
        }
        assert_eq!(patience.now(), ms(5));
        for doubled in [10, 20, 40, 80, 125, 125] {
            patience.late();
            assert_eq!(patience.now(), ms(doubled));
        }
        patience.answered(ms(500));
        assert_eq!(patience.now(), ms(125));
    }
}
