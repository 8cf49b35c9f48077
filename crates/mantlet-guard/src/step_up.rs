//! A challenge that a caller answers by proving again who it is.
//!
//! The challenge names the caller, when it was made and until when it holds, under an HMAC (RFC 2104) of a key that
//! replicas share. Sending it back proves nothing by itself: whoever checks identities says when the caller last
//! authenticated, and only an authentication after the challenge was made counts. What is granted ends with the
//! authentication's own validity, so an old challenge cannot be used to prolong it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use mantlet_vocab::Millis;
use sha2::Sha256;

/// Makes and checks challenges.
#[derive(Clone)]
pub struct StepUp {
    key: [u8; 32],
    /// How long a challenge can be answered, in milliseconds.
    answer_within: u64,
    /// How long an authentication counts, in milliseconds.
    valid: u64,
}

impl std::fmt::Debug for StepUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepUp").field("answer_within", &self.answer_within).finish_non_exhaustive()
    }
}

/// Why a challenge does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepUpError {
    /// It was not made here, or was changed.
    #[error("the challenge is not one of ours; ask again to get one")]
    Forged,
    /// It was answered too late.
    #[error("the challenge is too old; ask again to get a new one")]
    Expired,
    /// The caller has not authenticated since it was made.
    #[error("the caller has not authenticated again since the challenge was made")]
    NotRenewed,
}

const VERSION: &str = "su1";

impl StepUp {
    /// Challenges under a key of 32 random bytes that every replica has. Times in milliseconds.
    #[must_use]
    pub const fn new(key: [u8; 32], answer_within: u64, valid: u64) -> Self {
        Self { key, answer_within, valid }
    }

    /// A challenge for a caller: `su1.<made>.<until>.<HMAC-SHA-256 in base16>`.
    #[must_use]
    pub fn challenge(&self, caller: &str, now: Millis) -> String {
        let until = now.0.saturating_add(self.answer_within);
        let tag: String = self
            .mac(caller, now.0, until)
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!("{VERSION}.{}.{until}.{tag}", now.0)
    }

    /// Checks a challenge that came back from a caller who last authenticated at `authenticated`. Until when the
    /// caller is let through.
    ///
    /// # Errors
    /// When it is forged, somebody else's, too old, or not answered by a new authentication.
    pub fn accept(
        &self,
        challenge: &str,
        caller: &str,
        authenticated: Millis,
        now: Millis,
    ) -> Result<Millis, StepUpError> {
        let mut parts = challenge.split('.');
        let (Some(VERSION), Some(made), Some(until), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(StepUpError::Forged);
        };
        let number = |text: &str| text.parse::<u64>().ok().filter(|value| value.to_string() == text);
        let (Some(made), Some(until)) = (number(made), number(until)) else {
            return Err(StepUpError::Forged);
        };
        let tag = from_hex(tag).ok_or(StepUpError::Forged)?;
        if self.mac(caller, made, until).verify_slice(&tag).is_err() {
            return Err(StepUpError::Forged);
        }
        if now.0 > until {
            return Err(StepUpError::Expired);
        }
        // An authentication in the future is no authentication.
        if authenticated.0 <= made || authenticated > now {
            return Err(StepUpError::NotRenewed);
        }
        Ok(Millis(authenticated.0.saturating_add(self.valid)))
    }

    fn mac(&self, caller: &str, made: u64, until: u64) -> Hmac<Sha256> {
        // A key shorter than a block is padded with noughts (RFC 2104, section 2).
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"mantlet step-up 1\0");
        mac.update(&made.to_be_bytes());
        mac.update(&until.to_be_bytes());
        mac.update(caller.as_bytes());
        mac
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if text.len() != 64 {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_authentication_of_the_same_caller_in_time_counts() {
        let step = StepUp::new([7; 32], 60_000, 600_000);
        let challenge = step.challenge("ann", Millis(1_000));
        let accept =
            |caller, authenticated, now| step.accept(&challenge, caller, Millis(authenticated), Millis(now));
        assert_eq!(accept("ann", 2_000, 3_000), Ok(Millis(602_000)));
        assert_eq!(accept("ann", 2_000, 61_000), Ok(Millis(602_000)), "a replay does not prolong it");
        assert_eq!(accept("ann", 2_000, 61_001), Err(StepUpError::Expired));
        assert_eq!(accept("ann", 900, 3_000), Err(StepUpError::NotRenewed), "the old one does not do");
        assert_eq!(accept("ann", 9_000, 3_000), Err(StepUpError::NotRenewed), "nor one of the future");
        assert_eq!(accept("eve", 2_000, 3_000), Err(StepUpError::Forged));
        let other = StepUp::new([8; 32], 60_000, 600_000);
        assert_eq!(other.accept(&challenge, "ann", Millis(2_000), Millis(3_000)), Err(StepUpError::Forged));
        // Any character changed.
        for at in 0..challenge.len() {
            let mut changed = challenge.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8_lossy(&changed).into_owned();
            assert!(step.accept(&changed, "ann", Millis(2_000), Millis(3_000)).is_err(), "{changed}");
        }
        assert!(!format!("{step:?}").contains('7'));
    }
}
