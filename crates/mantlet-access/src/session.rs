//! Sessions of signed-in people, and a brake on guessing.

use std::collections::BTreeMap;

use mantlet_vocab::{Digest, Millis};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::{Role, Secret, hex};

/// A signed-in person. The token lives in the browser's cookie; its SHA-256 lives here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the token; also the id of the session.
    pub hash: Digest,
    /// Who.
    pub user: String,
    /// The role at sign-in; disabling a person ends the sessions, so this does not outlive a change.
    pub role: Role,
    /// The token forms must carry (cross-site request forgery).
    pub csrf: String,
    /// When it began.
    pub created: Millis,
    /// When it ends at the latest.
    pub expires: Millis,
}

impl Session {
    /// Begins a session from 64 bytes of entropy: 32 for the token, 32 for the form token.
    #[must_use]
    pub fn begin(
        user: impl Into<String>,
        role: Role,
        entropy: &[u8; 64],
        now: Millis,
        lasts_ms: u64,
    ) -> (Secret, Self) {
        let token = hex(&entropy[..32]);
        let session = Self {
            hash: Self::hash(&token),
            user: user.into(),
            role,
            csrf: hex(&entropy[32..]),
            created: now,
            expires: now.plus(lasts_ms),
        };
        (Secret::new(token), session)
    }

    /// What a presented token is looked up by.
    #[must_use]
    pub fn hash(token: &str) -> Digest {
        Digest::of(token.as_bytes())
    }

    /// Whether the session still runs.
    #[must_use]
    pub fn runs(&self, now: Millis) -> bool {
        self.created <= now && now < self.expires
    }

    /// Whether a form carries this session's token.
    #[must_use]
    pub fn is_csrf(&self, presented: &str) -> bool {
        bool::from(self.csrf.as_bytes().ct_eq(presented.as_bytes()))
    }
}

/// Failed sign-ins by name or address, bounded: after `free` failures each further one doubles the wait.
#[derive(Debug, Clone)]
pub struct Attempts {
    free: u32,
    most: usize,
    failed: BTreeMap<String, (u32, Millis)>,
}

impl Attempts {
    /// Allows `free` failures before waiting begins and remembers at most `most` names.
    #[must_use]
    pub const fn new(free: u32, most: usize) -> Self {
        Self { free, most, failed: BTreeMap::new() }
    }

    /// Milliseconds this name must still wait; 0 means it may try.
    #[must_use]
    pub fn wait(&self, name: &str, now: Millis) -> u64 {
        let Some((count, last)) = self.failed.get(name) else { return 0 };
        last.plus(Self::pause(count.saturating_sub(self.free))).since(now)
    }

    /// Notes a failure.
    pub fn fail(&mut self, name: &str, now: Millis) {
        if !self.failed.contains_key(name) && self.failed.len() >= self.most {
            let oldest = self.failed.iter().min_by_key(|(_, (_, last))| *last).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.failed.remove(&oldest);
            }
        }
        let entry = self.failed.entry(name.to_owned()).or_insert((0, now));
        *entry = (entry.0.saturating_add(1), now);
    }

    /// Forgets a name that signed in.
    pub fn succeed(&mut self, name: &str) {
        self.failed.remove(name);
    }

    /// 1 s, 2 s, 4 s ... up to 15 minutes.
    fn pause(over: u32) -> u64 {
        match over {
            0 => 0,
            over => 1000_u64.saturating_mul(1 << (over - 1).min(20)).min(900_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_runs_until_it_ends_and_knows_its_form_token() {
        let mut entropy = [1; 64];
        entropy[40] = 9;
        let (token, session) = Session::begin("ada", Role::Admin, &entropy, Millis(10), 100);
        assert_eq!(Session::hash(token.expose()), session.hash);
        assert!(session.runs(Millis(109)) && !session.runs(Millis(110)) && !session.runs(Millis(9)));
        let csrf = session.csrf.clone();
        assert!(session.is_csrf(&csrf) && !session.is_csrf("") && !session.is_csrf(token.expose()));
    }

    #[test]
    fn guessing_is_slowed_and_memory_bounded() {
        let mut attempts = Attempts::new(3, 2);
        for _ in 0..3 {
            assert_eq!(attempts.wait("a", Millis(0)), 0);
            attempts.fail("a", Millis(0));
        }
        attempts.fail("a", Millis(0));
        assert_eq!((attempts.wait("a", Millis(0)), attempts.wait("a", Millis(1000))), (1000, 0));
        attempts.fail("a", Millis(1000));
        assert_eq!(attempts.wait("a", Millis(1000)), 2000);
        for _ in 0..100 {
            attempts.fail("a", Millis(1000));
        }
        assert_eq!(attempts.wait("a", Millis(1000)), 900_000);
        attempts.fail("b", Millis(2000));
        attempts.fail("c", Millis(3000));
        assert_eq!((attempts.failed.len(), attempts.wait("a", Millis(1000))), (2, 0));
        attempts.succeed("b");
        assert_eq!(attempts.failed.len(), 1);
    }
}
