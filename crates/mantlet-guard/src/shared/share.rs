//! What one replica may do while the shared counts cannot be reached.
//!
//! ```text
//! last contact      quiet                      lease
//!     |  nothing      |   its share             |  nothing
//!     +---------------+-------------------------+----------->
//! ```
//!
//! Every replica has one of N places, and a place is worth the N-th part of every limit. The shared side believes a
//! replica to be connected for `quiet` after the last answer of which it knows that it arrived; from then on it keeps
//! the place's part reserved, and hands the others only what is left, until `lease` after the last message. The
//! replica spends its part from `quiet` after an answer arrived until `lease` after it sent what was answered. An
//! answer arrives after it was given, and is given after what it answers was sent: so the replica's time lies within
//! the reserved time, whatever is lost or late in either direction, and the two never spend the same part. A part
//! begins empty, since the burst may have been spent by others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Allowance, Ask, Denied};

/// Buckets remembered of a share; when there are more, the fullest are forgotten, and begin empty again.
const BUCKETS_MOST: usize = 1 << 16;

/// What rounding may take away of a unit.
pub(super) const TINY: f64 = 1e-9;

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The shared counts.
    Shared,
    /// The shared counts cannot be reached, and this replica may not yet spend its share.
    Waiting,
    /// This replica's share of each limit.
    Share,
    /// The lease of its place has ended, or it never had one.
    Lost,
}

impl Standing {
    /// The word used in metrics and on `/status`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Waiting => "waiting",
            Self::Share => "share",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    sent: Instant,
    arrived: Instant,
}

/// One replica's share of every limit.
#[derive(Debug)]
pub struct Share {
    replicas: u32,
    quiet: Duration,
    lease: Duration,
    /// When the last answer arrived, and when what it answers had been sent; `None` before the first.
    contact: Option<Contact>,
    buckets: HashMap<String, Bucket>,
    /// Places of concurrency limits taken by this replica, in whatever standing.
    places: HashMap<String, u32>,
}

impl Share {
    /// The share of one of `replicas` places.
    #[must_use]
    pub fn new(replicas: u32, quiet: Duration, lease: Duration) -> Self {
        let (buckets, places) = Default::default();
        Self { replicas: replicas.max(1), quiet, lease, contact: None, buckets, places }
    }

    /// An answer to what was sent at `sent` arrived at `arrived`, and this replica has a place.
    pub fn heard(&mut self, sent: Instant, arrived: Instant) {
        if self.contact.is_none_or(|contact| contact.sent < sent) {
            self.contact = Some(Contact { sent, arrived });
            self.buckets.clear();
        }
    }

    /// The shared side answered that this replica has no place any more.
    pub fn lost(&mut self) {
        self.contact = None;
        self.buckets.clear();
    }

    /// Where this replica stands when the shared side does not answer.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        let Some(contact) = self.contact else { return Standing::Lost };
        if now.saturating_duration_since(contact.arrived) < self.quiet {
            Standing::Waiting
        } else if now.saturating_duration_since(contact.sent) < self.lease {
            Standing::Share
        } else {
            Standing::Lost
        }
    }

    /// Takes from this replica's share of every limit, or from none.
    ///
    /// # Errors
    /// When there is too little, or the share may not be spent.
    pub fn take(&mut self, asks: &[Ask], now: Instant) -> Result<(), Denied> {
        let standing = self.standing(now);
        let denied = |bucket: &str, wait: f64| Denied {
            bucket: bucket.to_owned(),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            retry_after_ms: wait.ceil().clamp(1.0, 3_600_000.0) as u64,
            standing,
        };
        let Some(contact) = self.contact.filter(|_| standing == Standing::Share) else {
            let wait =
                if standing == Standing::Waiting { self.quiet.as_secs_f64() * 1_000.0 } else { 1_000.0 };
            return Err(denied("", wait));
        };
        for ask in asks {
            match ask.allowance {
                Allowance::Rate { per_minute, burst } => {
                    let level = self.level(ask, per_minute, burst, contact, now);
                    if level + TINY < ask.amount {
                        let rate = per_minute / f64::from(self.replicas) / 60_000.0;
                        let wait = if rate > 0.0 { (ask.amount - level) / rate } else { f64::INFINITY };
                        return Err(denied(&ask.bucket, wait));
                    }
                }
                Allowance::Concurrent(most) => {
                    let taken = self.places.get(&ask.bucket).copied().unwrap_or(0);
                    if taken >= most / self.replicas {
                        return Err(denied(&ask.bucket, 100.0));
                    }
                }
            }
        }
        for ask in asks {
            match ask.allowance {
                Allowance::Rate { per_minute, burst } => {
                    let level = self.level(ask, per_minute, burst, contact, now) - ask.amount;
                    self.put(&ask.bucket, level, now);
                }
                Allowance::Concurrent(_) => self.enter(&ask.bucket),
            }
        }
        Ok(())
    }

    /// Takes from this replica's share, even below nothing.
    pub fn charge(&mut self, ask: &Ask, now: Instant) {
        if let (Allowance::Rate { per_minute, burst }, Some(contact)) = (ask.allowance, self.contact) {
            let level = self.level(ask, per_minute, burst, contact, now) - ask.amount;
            self.put(&ask.bucket, level, now);
        }
    }

    /// One more place of a concurrency limit is taken here.
    pub fn enter(&mut self, bucket: &str) {
        *self.places.entry(bucket.to_owned()).or_insert(0) += 1;
    }

    /// One place fewer; gives how many are left.
    pub fn leave(&mut self, bucket: &str) -> u32 {
        let Some(places) = self.places.get_mut(bucket) else { return 0 };
        *places = places.saturating_sub(1);
        let left = *places;
        if left == 0 {
            self.places.remove(bucket);
        }
        left
    }

    /// Places of a concurrency limit taken here.
    #[must_use]
    pub fn places(&self, bucket: &str) -> u32 {
        self.places.get(bucket).copied().unwrap_or(0)
    }

    /// What this replica's part of a bucket holds: filled at its part of the rate since it may be spent, never more
    /// than its part of the burst (one unit at least).
    fn level(&self, ask: &Ask, per_minute: f64, burst: f64, contact: Contact, now: Instant) -> f64 {
        let part = f64::from(self.replicas);
        let begun = contact.arrived + self.quiet;
        let bucket = self.buckets.get(&ask.bucket).copied().unwrap_or(Bucket { level: 0.0, at: begun });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.level + passed * per_minute / 60.0 / part).min((burst / part).max(1.0))
    }

    fn put(&mut self, bucket: &str, level: f64, now: Instant) {
        if self.buckets.len() >= BUCKETS_MOST && !self.buckets.contains_key(bucket) {
            // Begun again, a bucket is empty: forgetting can only deny.
            self.buckets.retain(|_, kept| kept.level < 0.0);
            if let (Some(contact), Some(begun)) = (&mut self.contact, now.checked_sub(self.quiet)) {
                contact.arrived = contact.arrived.max(begun);
            }
        }
        self.buckets.insert(bucket.to_owned(), Bucket { level, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(amount: f64) -> Ask {
        let allowance = Allowance::Rate { per_minute: 600.0, burst: 90.0 };
        Ask { bucket: "b".into(), allowance, amount }
    }

    #[test]
    fn a_share_is_spent_between_quiet_and_the_end_of_the_lease() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut share = Share::new(3, Duration::from_millis(300), Duration::from_secs(10));
        assert_eq!(share.standing(start), Standing::Lost);
        assert_eq!(share.take(&[ask(1.0)], start).unwrap_err().standing, Standing::Lost);
        share.heard(start, start);
        assert_eq!(share.take(&[ask(1.0)], at(299)).unwrap_err().standing, Standing::Waiting);
        // 600 a minute is 10 a second, a third of that is one in 300 ms, from 300 ms on.
        assert_eq!(share.take(&[ask(1.0)], at(590)).unwrap_err().retry_after_ms, 10);
        assert!(share.take(&[ask(1.0)], at(600)).is_ok());
        assert!(share.take(&[ask(1.0)], at(600)).is_err());
        let taken = (601..9_999).filter(|ms| share.take(&[ask(1.0)], at(*ms)).is_ok()).count();
        assert!((31..=32).contains(&taken), "{taken}");
        assert_eq!(share.take(&[ask(1.0)], at(10_000)).unwrap_err().standing, Standing::Lost);
    }

    #[test]
    fn all_is_taken_or_nothing_and_what_was_used_is_owed() {
        let start = Instant::now();
        let mut share = Share::new(2, Duration::ZERO, Duration::from_secs(100));
        share.heard(start, start);
        let later = start + Duration::from_secs(2);
        let other = Ask { bucket: "c".into(), amount: 50.0, ..ask(0.0) };
        assert_eq!(share.take(&[ask(5.0), other], later).unwrap_err().bucket, "c");
        assert!(share.take(&[ask(10.0)], later).is_ok(), "nothing was taken of the first");
        share.charge(&ask(10.0), later);
        assert!(share.take(&[ask(1.0)], later + Duration::from_secs(2)).is_err());
        assert!(share.take(&[ask(1.0)], later + Duration::from_millis(2_200)).is_ok());
        let place = Ask { bucket: "p".into(), allowance: Allowance::Concurrent(5), amount: 1.0 };
        let places = [place];
        assert!(share.take(&places, later).is_ok() && share.take(&places, later).is_ok());
        assert!(share.take(&places, later).is_err(), "two of five are its part");
        share.leave("p");
        assert!(share.take(&places, later).is_ok());
    }
}
