//! The counts of one process, exact, bounded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::share::TINY;
use super::{Allowance, Answer, Ask, Denied, Granted, SharedLimits, Standing};

/// Buckets looked through for a full one at each sweep.
const SWEEP_EVERY: usize = 4_096;
/// Buckets of their own at most: some thirty megabytes. Callers beyond share [`SHARED`] buckets for each size.
const MOST: usize = 1 << 18;
const SHARED: u64 = 1 << 10;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    per_minute: f64,
    burst: f64,
}

impl Bucket {
    fn now(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level + passed * self.per_minute / 60.0).min(self.burst)
    }
}

#[derive(Debug)]
struct Counts {
    buckets: HashMap<String, Bucket>,
    most: usize,
    /// Keyed, so that nobody picks whose bucket it shares.
    hasher: RandomState,
    places: HashMap<String, u32>,
    since_sweep: usize,
}

impl Default for Counts {
    fn default() -> Self {
        let (buckets, places, hasher) = (HashMap::new(), HashMap::new(), RandomState::new());
        Self { buckets, most: MOST, hasher, places, since_sweep: 0 }
    }
}

/// The counts of one process. A bucket that is full again is forgotten, so memory follows the callers that are active
/// within the time a bucket takes to fill; no caller can push out another's bucket. When so many are active that there
/// is no room, those without a bucket share some: they get less, and nobody gets more.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Counts>);

impl InMemory {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes from every limit, or from none, at this instant.
    ///
    /// # Errors
    /// When a limit has too little.
    pub fn take_at(&self, asks: &[Ask], now: Instant) -> Result<Granted, Denied> {
        let mut counts = self.counts();
        counts.sweep(now);
        let denied = |ask: &Ask, wait: f64| Denied {
            bucket: ask.bucket.clone(),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            retry_after_ms: wait.ceil().clamp(1.0, 3_600_000.0) as u64,
            standing: Standing::Shared,
        };
        for ask in asks {
            match ask.allowance {
                Allowance::Rate { per_minute, burst } => {
                    let bucket = counts.buckets.get(&*counts.place(ask));
                    let level = bucket.map_or(burst, |bucket| bucket.now(now));
                    if level + TINY < ask.amount {
                        let rate = per_minute / 60_000.0;
                        let wait =
                            if rate > 0.0 { (ask.amount - level - TINY) / rate } else { f64::INFINITY };
                        return Err(denied(ask, wait));
                    }
                }
                Allowance::Concurrent(most) => {
                    if counts.places.get(&ask.bucket).is_some_and(|taken| *taken >= most) || most == 0 {
                        return Err(denied(ask, 100.0));
                    }
                }
            }
        }
        asks.iter().for_each(|ask| counts.spend(ask, now));
        Ok(Granted { standing: Standing::Shared })
    }

    /// Buckets and places remembered now.
    #[must_use]
    pub fn len(&self) -> usize {
        let counts = self.counts();
        counts.buckets.len() + counts.places.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Counts {
    /// The name of the bucket that an ask is counted in.
    fn place<'a>(&self, ask: &'a Ask) -> Cow<'a, str> {
        if self.buckets.len() < self.most || self.buckets.contains_key(&ask.bucket) {
            return ask.bucket.as_str().into();
        }
        let Allowance::Rate { per_minute, burst } = ask.allowance else { return ask.bucket.as_str().into() };
        let turn = self.hasher.hash_one(&ask.bucket) % SHARED;
        format!("\0{:x}/{:x}/{turn}", per_minute.to_bits(), burst.to_bits()).into()
    }

    fn spend(&mut self, ask: &Ask, now: Instant) {
        match ask.allowance {
            Allowance::Rate { per_minute, burst } => {
                let place = self.place(ask);
                let level = self.buckets.get(&*place).map_or(burst, |bucket| bucket.now(now));
                let bucket = Bucket { level: level - ask.amount, at: now, per_minute, burst };
                self.buckets.insert(place.into_owned(), bucket);
            }
            Allowance::Concurrent(_) => *self.places.entry(ask.bucket.clone()).or_insert(0) += 1,
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP_EVERY.max(self.buckets.len() / 4) {
            self.since_sweep = 0;
            self.buckets.retain(|_, bucket| bucket.now(now) < bucket.burst);
        }
    }
}

impl SharedLimits for InMemory {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> Answer<'a> {
        let answer = self.take_at(asks, Instant::now());
        Box::pin(std::future::ready(answer))
    }

    fn charge(&self, asks: &[Ask]) {
        let now = Instant::now();
        let mut counts = self.counts();
        let rates = asks.iter().filter(|ask| matches!(ask.allowance, Allowance::Rate { .. }));
        rates.for_each(|ask| counts.spend(ask, now));
    }

    fn release(&self, asks: &[Ask]) {
        let mut counts = self.counts();
        for ask in asks.iter().filter(|ask| matches!(ask.allowance, Allowance::Concurrent(_))) {
            let left = counts.places.get_mut(&ask.bucket).map(|places| {
                *places = places.saturating_sub(1);
                *places
            });
            if left == Some(0) {
                counts.places.remove(&ask.bucket);
            }
        }
    }

    fn standing(&self) -> Standing {
        Standing::Shared
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rate(bucket: &str, amount: f64) -> Ask {
        let allowance = Allowance::Rate { per_minute: 60.0, burst: 3.0 };
        Ask { bucket: bucket.into(), allowance, amount }
    }

    #[test]
    fn exact_all_or_nothing_and_the_wait_it_names_is_enough() {
        let limits = InMemory::default();
        let start = Instant::now();
        for _ in 0..3 {
            assert!(limits.take_at(&[rate("a", 1.0)], start).is_ok());
        }
        let denied = limits.take_at(&[rate("b", 1.0), rate("a", 1.0)], start).unwrap_err();
        assert_eq!((denied.bucket.as_str(), denied.retry_after_ms), ("a", 1_000));
        assert!(limits.take_at(&[rate("b", 3.0)], start).is_ok(), "nothing was taken of b");
        assert!(limits.take_at(&[rate("a", 1.0)], start + Duration::from_millis(1_000)).is_ok());
        limits.charge(&[rate("c", 100.0)]);
        assert!(limits.take_at(&[rate("c", 1.0)], Instant::now()).is_err());
        let places = [Ask { bucket: "p".into(), allowance: Allowance::Concurrent(2), amount: 1.0 }];
        assert!(limits.take_at(&places, start).is_ok() && limits.take_at(&places, start).is_ok());
        assert!(limits.take_at(&places, start).is_err());
        limits.release(&places);
        assert!(limits.take_at(&places, start).is_ok());
    }

    #[test]
    fn beyond_the_bound_callers_share_and_nobody_gets_more_or_loses_what_was_counted() {
        let limits = InMemory::default();
        limits.counts().most = 1_000;
        let start = Instant::now();
        assert!(limits.take_at(&[rate("first", 3.0)], start).is_ok());
        let mut granted = 0;
        for n in 0..50_000 {
            granted += u32::from(limits.take_at(&[rate(&format!("caller-{n}"), 1.0)], start).is_ok());
        }
        let most = usize::try_from(SHARED).unwrap() + 1_000;
        assert!(limits.len() <= most, "{}", limits.len());
        // Each of the first thousand has its own; all others share three requests a bucket.
        assert!((999..=999 + 3 * 1_024).contains(&granted), "{granted}");
        assert!(limits.take_at(&[rate("first", 1.0)], start).is_err(), "it was not pushed out");
        assert!(limits.take_at(&[rate("caller-1", 2.0)], start).is_ok(), "nor was its neighbour's rest");
        // Time gives everybody room again.
        let later = start + Duration::from_secs(3_600);
        for n in 0..5_000 {
            let _ = limits.take_at(&[rate("again", 0.0), rate(&format!("later-{}", n % 10), 0.1)], later);
        }
        assert!(limits.len() < 50, "{}", limits.len());
    }

    #[test]
    fn a_million_callers_that_come_once_do_not_stay() {
        let limits = InMemory::default();
        let start = Instant::now();
        for n in 0..200_000_u64 {
            let asks = [rate(&format!("caller-{n}"), 1.0)];
            assert!(limits.take_at(&asks, start + Duration::from_millis(n)).is_ok());
        }
        assert!(limits.len() < 12_000, "{}", limits.len());
    }
}
