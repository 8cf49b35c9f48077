//! Ids of exchanges: unique, and not to be guessed from one another, without asking the system for randomness at
//! every request.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter behind two keyed hashes (SipHash with keys of this process), in the form of a version 4 UUID.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    count: AtomicU64,
    high: RandomState,
    low: Low,
}

/// [`RandomState`] varies its keys only slightly within a thread, so the second half has a salt of its own.
#[derive(Debug)]
struct Low(RandomState, u128);

impl Default for Low {
    fn default() -> Self {
        Self(RandomState::new(), uuid::Uuid::new_v4().as_u128())
    }
}

impl Ids {
    pub(crate) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let high = u128::from(self.high.hash_one((self.low.1, count)));
        let low = u128::from(self.low.0.hash_one((count, self.low.1)));
        uuid::Builder::from_random_bytes((high << 64 | low).to_be_bytes()).into_uuid().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_and_differ() {
        let (ids, others) = (Ids::default(), Ids::default());
        let mut seen: Vec<String> = (0..5_000).flat_map(|_| [ids.next(), others.next()]).collect();
        assert!(seen.iter().all(|id| uuid::Uuid::parse_str(id).unwrap().get_version_num() == 4));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10_000);
    }
}
