//! API keys as clients present them, and a short memory of what they were.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mantlet_vocab::{Digest, Millis};

use crate::{KeyLookup, Keys};

/// How long an answer is believed.
const TTL: u64 = 5_000;
/// Answers remembered at once.
const ENTRIES: usize = 4_096;
/// Milliseconds between two looks for answers that are no longer believed, once there is no room.
const SWEEP: u64 = 250;

/// A header's value; `Some(None)` when it cannot be read or there are two: which one counts is anyone's guess, so none
/// does.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.to_str().ok()),
        (None, _) => None,
        (Some(_), Some(_)) => Some(None),
    }
}

/// What the client presented: `Authorization: Bearer ...` or `X-API-Key`; both at once must be the same.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = single(headers, AUTHORIZATION.as_str()).map(|value| {
        value.and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        })
    });
    let key = match (bearer, single(headers, "x-api-key")) {
        (Some(a), None) | (None, Some(a)) => a,
        (Some(a), Some(b)) if a == b => a,
        _ => None,
    };
    key.filter(|key| !key.is_empty() && key.len() <= 8192)
}

/// Answers of the key store by the SHA-256 of what was presented, so that no key stays in memory.
#[derive(Default)]
pub(crate) struct Remembered {
    entries: Mutex<HashMap<[u8; 32], (KeyLookup, Millis)>>,
    /// When room was last looked for.
    swept: AtomicU64,
}

impl Remembered {
    pub(crate) fn lookup(&self, keys: &dyn Keys, presented: &str, model: &str, now: Millis) -> KeyLookup {
        let mut text = Vec::with_capacity(presented.len() + model.len() + 1);
        text.extend_from_slice(model.as_bytes());
        text.push(0);
        text.extend_from_slice(presented.as_bytes());
        let digest = Digest::of(&text).0;
        let lock = || self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((answer, until)) = lock().get(&digest)
            && now < *until
        {
            return answer.clone();
        }
        let answer = keys.lookup(presented, model, now);
        // Only keys in force are remembered: made-up ones must not push them out.
        if let KeyLookup::Valid { until, .. } = &answer {
            let until = until.map_or(now.plus(TTL), |until| until.min(now.plus(TTL)));
            let mut entries = lock();
            // More callers than there is room for must not cost a look at all of them for each.
            if entries.len() >= ENTRIES && now.since(Millis(self.swept.load(Relaxed))) >= SWEEP {
                self.swept.store(now.0, Relaxed);
                entries.retain(|_, (_, until)| now < *until);
            }
            if entries.len() < ENTRIES {
                entries.insert(digest, (answer.clone(), until));
            }
        }
        answer
    }

    pub(crate) fn forget(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_key_in_one_reading() {
        for (pairs, expected) in [
            (&[("authorization", "Bearer abc")][..], Some("abc")),
            (&[("authorization", "bearer abc")], Some("abc")),
            (&[("x-api-key", "abc")], Some("abc")),
            (&[("x-api-key", "abc"), ("authorization", "Bearer abc")], Some("abc")),
            (&[("x-api-key", "abc"), ("authorization", "Bearer xyz")], None),
            (&[("x-api-key", "abc"), ("x-api-key", "xyz")], None),
            (&[("authorization", "Basic abc")], None),
            (&[("x-api-key", "")], None),
            (&[], None),
        ] {
            assert_eq!(presented(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn answers_expire_and_made_up_keys_are_not_kept() {
        struct Counting(std::sync::atomic::AtomicU32);
        impl Keys for Counting {
            fn lookup(&self, presented: &str, _: &str, _: Millis) -> KeyLookup {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if presented == "good" {
                    KeyLookup::Valid { id: "k".into(), until: None }
                } else {
                    KeyLookup::Invalid
                }
            }
        }
        let keys = Counting(0.into());
        let remembered = Remembered::default();
        let count = || keys.0.load(std::sync::atomic::Ordering::Relaxed);
        for (presented, model, at, expected) in [
            ("good", "m", 0, 1),
            ("good", "m", 4_999, 1),
            ("good", "n", 0, 2),
            ("good", "m", 5_000, 3),
            ("bad", "m", 0, 4),
            ("bad", "m", 0, 5),
        ] {
            remembered.lookup(&keys, presented, model, Millis(at));
            assert_eq!(count(), expected);
        }
    }
}
