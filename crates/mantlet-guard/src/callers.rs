//! What is remembered of callers: bounded, in shards, each behind its own short lock.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mantlet_detectors::text::Attempts;
use mantlet_detectors::{CallerState, Encoded};
use mantlet_vocab::{Action, Millis, Signal};

use crate::TokenBucket;

const SHARDS: usize = 16;

/// Withheld answers remembered of one caller.
const WITHHELD: usize = 64;

/// An answer that was withheld: asking the same again must not give it away.
#[derive(Debug, Clone)]
pub(crate) struct Withheld {
    /// Hash of the rows asked about.
    pub(crate) rows: u64,
    pub(crate) action: Action,
    pub(crate) signals: Vec<Signal>,
    pub(crate) reason: String,
}

/// One caller.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) state: CallerState,
    withheld: VecDeque<Withheld>,
    pub(crate) limit: Option<TokenBucket>,
    pub(crate) throttle: Option<TokenBucket>,
    pub(crate) attempts: Attempts,
    /// Until when it has proved again who it is.
    pub(crate) stepped_up: Millis,
    pub(crate) last: Millis,
}

impl Remembered {
    /// How much would be lost with it.
    fn suspicion(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let withheld = self.withheld.len() as f64;
        self.state.suspicion() + self.attempts.suspicion() + withheld
    }

    /// What was withheld when these rows were asked about before.
    pub(crate) fn withheld(&self, rows: u64) -> Option<&Withheld> {
        self.withheld.iter().find(|withheld| withheld.rows == rows)
    }

    /// Remembers an answer that was withheld; the oldest gives way.
    pub(crate) fn withhold(&mut self, withheld: Withheld) {
        if self.withheld(withheld.rows).is_none() {
            if self.withheld.len() == WITHHELD {
                self.withheld.pop_front();
            }
            self.withheld.push_back(withheld);
        }
    }
}

/// A hash of what was asked, bit for bit. Collisions only ever withhold more.
pub(crate) fn rows_hash(encoded: &Encoded) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    let (pairs, rest) = encoded.rows.data().as_chunks::<2>();
    for [a, b] in pairs {
        hasher.write_u64(u64::from(a.to_bits()) << 32 | u64::from(b.to_bits()));
    }
    rest.iter().for_each(|value| hasher.write_u32(value.to_bits()));
    hasher.finish()
}

/// All callers. When there are too many, or they take too much memory, the one that looks least suspicious and was
/// quiet longest is forgotten: an attacker with many keys pushes out his own fresh ones first. Controls on a key live
/// elsewhere and stay.
pub(crate) struct Callers {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    per_shard: usize,
    bytes: usize,
}

#[derive(Default)]
struct Shard {
    callers: HashMap<String, Remembered>,
    /// What they take together.
    bytes: usize,
}

impl Shard {
    /// Forgets whom it costs least to forget, but never `spared`.
    fn forget_one(&mut self, spared: &str) -> bool {
        let others = self.callers.iter().filter(|(key, _)| *key != spared);
        let least =
            others.min_by(|(_, a), (_, b)| a.suspicion().total_cmp(&b.suspicion()).then(a.last.cmp(&b.last)));
        let Some(key) = least.map(|(key, _)| key.clone()) else { return false };
        if let Some(gone) = self.callers.remove(&key) {
            self.bytes = self.bytes.saturating_sub(weight(&key, &gone));
        }
        true
    }
}

/// About how many bytes one caller takes.
fn weight(key: &str, one: &Remembered) -> usize {
    // Strings and signals of what was withheld are counted by the piece.
    256 + 2 * key.len() + one.state.bytes() + one.attempts.bytes() + one.withheld.len() * 512
}

impl Callers {
    pub(crate) fn new(capacity: usize, bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            per_shard: (capacity / SHARDS).max(1),
            bytes: bytes / SHARDS,
        }
    }

    /// Works on one caller's memory under its lock.
    pub(crate) fn with<R>(&self, key: &str, now: Millis, work: impl FnOnce(&mut Remembered) -> R) -> R {
        #[expect(clippy::cast_possible_truncation, reason = "reduced modulo the shards")]
        let shard = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        let mut shard = lock(&self.shards[shard]);
        let shard = &mut *shard;
        if !shard.callers.contains_key(key) {
            if shard.callers.len() >= self.per_shard {
                shard.forget_one(key);
            }
            let fresh = Remembered::default();
            shard.bytes += weight(key, &fresh);
            shard.callers.insert(key.to_owned(), fresh);
        }
        let remembered = shard.callers.get_mut(key).expect("it was put there above when it was missing");
        remembered.last = remembered.last.max(now);
        let before = weight(key, remembered);
        let done = work(remembered);
        shard.bytes = (shard.bytes + weight(key, remembered)).saturating_sub(before);
        while shard.bytes > self.bytes && shard.forget_one(key) {}
        done
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).callers.len()).sum()
    }

    /// Every state, for storing.
    pub(crate) fn states(&self) -> Vec<(String, CallerState)> {
        let mut states: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| {
                let shard = lock(shard);
                let callers = shard.callers.iter();
                callers.map(|(key, one)| (key.clone(), one.state.clone())).collect::<Vec<_>>()
            })
            .collect();
        states.sort_by(|(a, _), (b, _)| a.cmp(b));
        states
    }
}

/// A panic under the lock is caught and counted as a failed rule; the memory is still whole, since rows are added
/// one at a time and [`CallerState`] repairs itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_callers_take_bounded_memory_and_do_not_push_out_who_was_stopped() {
        let rules = mantlet_detectors::text::TextRules::new(&Default::default()).expect("the default holds");
        let text = "tell me again how the old clock on the wall works".to_owned();
        let piece = mantlet_vocab::Piece { kind: mantlet_vocab::Kind::User, pointer: String::new(), text };
        let asked = rules.asked(&[piece]).expect("words");
        let callers = Callers::new(SHARDS * 16, 1 << 20);
        for attacker in 0..8 {
            callers.with(&format!("attacker-{attacker}"), Millis(0), |caller| {
                caller.attempts.advance(asked, Millis(0));
                caller.attempts.stopped();
            });
        }
        for number in 0..1_000_000_u64 {
            callers.with(&format!("key-{number}"), Millis(number), |caller| {
                // Every hundredth says something too.
                if number % 100 == 0 {
                    caller.attempts.advance(asked, Millis(number));
                }
            });
        }
        assert!(callers.len() <= SHARDS * 16);
        let bytes: usize = callers.shards.iter().map(|shard| lock(shard).bytes).sum();
        assert!(bytes <= 1 << 20, "{bytes}");
        for attacker in 0..8 {
            let key = format!("attacker-{attacker}");
            let stopped = callers.with(&key, Millis(0), |caller| caller.attempts.suspicion());
            assert!(stopped > 0.0, "{key} was forgotten");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_quiet_are_forgotten_first() {
        let callers = Callers::new(SHARDS, usize::MAX);
        for number in 0..1000_u64 {
            callers.with(&format!("key-{number}"), Millis(number), |_| ());
        }
        assert_eq!(callers.len(), SHARDS);
        assert!(callers.states().iter().any(|(key, _)| key == "key-999"));
    }

    #[test]
    fn an_answer_that_was_withheld_is_not_pushed_out_by_many_names() {
        let callers = Callers::new(SHARDS * 4, usize::MAX);
        let withheld =
            Withheld { rows: 7, action: Action::Refuse, signals: Vec::new(), reason: String::new() };
        callers.with("thief", Millis(0), |one| one.withhold(withheld));
        for number in 1..10_000_u64 {
            callers.with(&format!("key-{number}"), Millis(number), |_| ());
        }
        assert!(callers.with("thief", Millis(10_000), |one| one.withheld(7).is_some()));
    }

    #[test]
    fn long_histories_take_the_room_of_many_short_ones() {
        let callers = Callers::new(1 << 20, SHARDS * 4096);
        for number in 0..10_000_u64 {
            callers.with(&format!("key-{number}"), Millis(number), |one| {
                if number % 7 == 0 {
                    one.withhold(Withheld {
                        rows: number,
                        action: Action::Refuse,
                        signals: Vec::new(),
                        reason: String::new(),
                    });
                }
            });
        }
        let held: usize = callers.shards.iter().map(|shard| lock(shard).bytes).sum();
        assert!(held <= SHARDS * 4096 && callers.len() > SHARDS, "{held} {}", callers.len());
        let counted: usize = callers
            .shards
            .iter()
            .map(|shard| lock(shard).callers.iter().map(|(key, one)| weight(key, one)).sum::<usize>())
            .sum();
        assert_eq!(held, counted);
    }
}
