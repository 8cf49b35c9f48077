//! A challenge that a caller answers by proving again who it is, and the pass it gets for that.
//!
//! The challenge names the caller, the route, when it was made and until when it holds, under an HMAC (RFC 2104) of a
//! key that replicas share. Sending it back proves nothing by itself: whoever checks identities says when the caller
//! last authenticated, and only an authentication after the challenge was made counts. What is granted ends with the
//! authentication's own validity, so an old challenge cannot be used to prolong it. That a challenge is answered once
//! is for whoever keeps counts: [`Answered::id`] names it.
//!
//! The pass lets the caller through on every replica, for its route and until it ends.

use hmac::{Hmac, KeyInit as _, Mac as _};
use mantlet_vocab::{Action, Millis};
use sha2::Sha256;

use crate::{Caller, Guard, Inspection};

/// Makes and checks challenges and passes.
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

/// Why a challenge or a pass does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepUpError {
    /// It was not made here, for another caller or route, or was changed.
    #[error("the challenge is not one of ours; ask again to get one")]
    Forged,
    /// It was answered too late.
    #[error("the challenge is too old; ask again to get a new one")]
    Expired,
    /// The caller has not authenticated since it was made.
    #[error("the caller has not authenticated again since the challenge was made")]
    NotRenewed,
}

/// A challenge that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Names the challenge, to be answered once.
    pub id: String,
    /// Until when it could be answered; nobody has to remember it longer.
    pub within: Millis,
    /// Until when the caller is let through.
    pub until: Millis,
    /// What the caller shows to be let through.
    pub pass: String,
}

/// Which of the two texts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Challenge,
    Pass,
}

impl What {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Challenge => "su2",
            Self::Pass => "sp2",
        }
    }
}

impl StepUp {
    /// Challenges under a key of 32 random bytes that every replica has. Times in milliseconds.
    #[must_use]
    pub const fn new(key: [u8; 32], answer_within: u64, valid: u64) -> Self {
        Self { key, answer_within, valid }
    }

    /// A challenge for a caller of a route: `su2.<made>.<until>.<HMAC-SHA-256 in base16>`.
    #[must_use]
    pub fn challenge(&self, caller: &str, route: &str, now: Millis) -> String {
        self.write(What::Challenge, caller, route, now.0, now.0.saturating_add(self.answer_within))
    }

    /// Checks a challenge that came back from a caller who last authenticated at `authenticated`.
    ///
    /// # Errors
    /// When it is forged, somebody else's, another route's, too old, or not answered by a new authentication.
    pub fn accept(
        &self,
        challenge: &str,
        caller: &str,
        route: &str,
        authenticated: Millis,
        now: Millis,
    ) -> Result<Answered, StepUpError> {
        let (made, until, id) = self.read(What::Challenge, challenge, caller, route)?;
        if now.0 > until {
            return Err(StepUpError::Expired);
        }
        // An authentication in the future is no authentication.
        if authenticated.0 <= made || authenticated > now {
            return Err(StepUpError::NotRenewed);
        }
        let through = authenticated.0.saturating_add(self.valid);
        Ok(Answered {
            id,
            within: Millis(until),
            until: Millis(through),
            pass: self.write(What::Pass, caller, route, authenticated.0, through),
        })
    }

    /// Until when a pass lets its caller through.
    ///
    /// # Errors
    /// When it is forged, somebody else's, another route's or over.
    pub fn pass(&self, pass: &str, caller: &str, route: &str, now: Millis) -> Result<Millis, StepUpError> {
        let (_, until, _) = self.read(What::Pass, pass, caller, route)?;
        if now.0 >= until { Err(StepUpError::Expired) } else { Ok(Millis(until)) }
    }

    fn write(&self, what: What, caller: &str, route: &str, made: u64, until: u64) -> String {
        let tag = self.mac(what, caller, route, made, until).finalize().into_bytes();
        let tag: String = tag.iter().map(|b| format!("{b:02x}")).collect();
        format!("{}.{made}.{until}.{tag}", what.prefix())
    }

    fn read(
        &self,
        what: What,
        text: &str,
        caller: &str,
        route: &str,
    ) -> Result<(u64, u64, String), StepUpError> {
        let mut parts = text.split('.');
        let (Some(prefix), Some(made), Some(until), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(StepUpError::Forged);
        };
        let number = |text: &str| text.parse::<u64>().ok().filter(|value| value.to_string() == text);
        let (Some(made), Some(until)) = (number(made), number(until)) else {
            return Err(StepUpError::Forged);
        };
        let bytes = from_hex(tag).filter(|_| prefix == what.prefix()).ok_or(StepUpError::Forged)?;
        if self.mac(what, caller, route, made, until).verify_slice(&bytes).is_err() {
            return Err(StepUpError::Forged);
        }
        Ok((made, until, tag.to_owned()))
    }

    fn mac(&self, what: What, caller: &str, route: &str, made: u64, until: u64) -> Hmac<Sha256> {
        // A key shorter than a block is padded with noughts (RFC 2104, section 2).
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"mantlet step-up 2\0");
        mac.update(what.prefix().as_bytes());
        mac.update(&made.to_be_bytes());
        mac.update(&until.to_be_bytes());
        // The length keeps what belongs to the caller from being taken for the route.
        mac.update(&(caller.len() as u64).to_be_bytes());
        mac.update(caller.as_bytes());
        mac.update(route.as_bytes());
        mac
    }
}

impl Guard {
    /// With challenges for callers that must prove again who they are. Without, stepping up refuses.
    #[must_use]
    pub fn with_step_up(mut self, step_up: StepUp) -> Self {
        self.text.step_up = Some(step_up);
        self
    }

    /// A challenge came back from a caller who authenticated at `authenticated`. Whoever asks sees to it that it is
    /// answered once, then lets the caller through with [`Guard::stepped_up`].
    ///
    /// # Errors
    /// When the challenge does not count, or none are made here.
    pub fn answered(
        &self,
        caller: Caller<'_>,
        challenge: &str,
        authenticated: Millis,
        now: Millis,
    ) -> Result<Answered, StepUpError> {
        let step_up = self.text.step_up.as_ref().ok_or(StepUpError::Forged)?;
        step_up.accept(challenge, caller.key, &self.config().route, authenticated, now)
    }

    /// The caller has proved again who it is.
    pub fn stepped_up(&self, caller: Caller<'_>, until: Millis, now: Millis) {
        self.callers.with(caller.key, now, |caller| caller.stepped_up = caller.stepped_up.max(until));
    }

    /// A caller shows a pass, which another replica may have given it; one that does not count changes nothing.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn shown(&self, caller: Caller<'_>, pass: &str, now: Millis) -> Result<Millis, StepUpError> {
        let step_up = self.text.step_up.as_ref().ok_or(StepUpError::Forged)?;
        let until = step_up.pass(pass, caller.key, &self.config().route, now)?;
        self.stepped_up(caller, until, now);
        Ok(until)
    }

    /// Gives a caller that must step up its challenge, or lets one pass that has.
    pub(crate) fn ask_again(&self, caller: Caller<'_>, inspection: &mut Inspection, now: Millis) {
        if inspection.decision.action != Action::StepUp {
            return;
        }
        if self.callers.with(caller.key, now, |caller| caller.stepped_up) > now {
            inspection.decision.action = Action::Flag;
            inspection.reason.clear();
            return;
        }
        match &self.text.step_up {
            Some(step_up) => {
                inspection.challenge = Some(step_up.challenge(caller.key, &self.config().route, now));
            }
            None => inspection.decision.action = Action::Refuse,
        }
    }
}

/// Base16 in lower case only: one challenge has one writing, so that answering it once means once.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let lower = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if text.len() != 64 || !text.as_bytes().iter().all(lower) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_authentication_of_the_same_caller_in_time_counts() {
        let step = StepUp::new([7; 32], 60_000, 600_000);
        let challenge = step.challenge("ann", "r", Millis(1_000));
        let accept = |caller, authenticated, now| {
            step.accept(&challenge, caller, "r", Millis(authenticated), Millis(now)).map(|done| done.until)
        };
        assert_eq!(accept("ann", 2_000, 3_000), Ok(Millis(602_000)));
        assert_eq!(accept("ann", 2_000, 61_000), Ok(Millis(602_000)), "a replay does not prolong it");
        assert_eq!(accept("ann", 2_000, 61_001), Err(StepUpError::Expired));
        assert_eq!(accept("ann", 900, 3_000), Err(StepUpError::NotRenewed), "the old one does not do");
        assert_eq!(accept("ann", 9_000, 3_000), Err(StepUpError::NotRenewed), "nor one of the future");
        assert_eq!(accept("eve", 2_000, 3_000), Err(StepUpError::Forged));
        let elsewhere = step.accept(&challenge, "ann", "other", Millis(2_000), Millis(3_000));
        assert_eq!(elsewhere, Err(StepUpError::Forged));
        assert_eq!(
            step.accept(&step.challenge("an", "nr", Millis(1_000)), "ann", "r", Millis(2_000), Millis(3_000)),
            Err(StepUpError::Forged)
        );
        let other = StepUp::new([8; 32], 60_000, 600_000);
        let forged = other.accept(&challenge, "ann", "r", Millis(2_000), Millis(3_000));
        assert_eq!(forged, Err(StepUpError::Forged));
        // Any character changed, and another writing of the same.
        for at in 0..challenge.len() {
            let mut changed = challenge.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8_lossy(&changed).into_owned();
            assert!(step.accept(&changed, "ann", "r", Millis(2_000), Millis(3_000)).is_err(), "{changed}");
        }
        let (head, tag) = challenge.rsplit_once('.').unwrap();
        let loud = format!("{head}.{}", tag.to_uppercase());
        assert!(loud == challenge || step.accept(&loud, "ann", "r", Millis(2_000), Millis(3_000)).is_err());
        assert!(!format!("{step:?}").contains('7'));
    }

    #[test]
    fn a_pass_lets_its_caller_through_on_its_route_until_it_ends() {
        let step = StepUp::new([7; 32], 60_000, 600_000);
        let challenge = step.challenge("ann", "r", Millis(1_000));
        let done = step.accept(&challenge, "ann", "r", Millis(2_000), Millis(3_000)).unwrap();
        let pass = |pass: &str, caller, route, now| step.pass(pass, caller, route, Millis(now));
        assert_eq!(pass(&done.pass, "ann", "r", 601_999), Ok(Millis(602_000)));
        assert_eq!(pass(&done.pass, "ann", "r", 602_000), Err(StepUpError::Expired));
        assert_eq!(pass(&done.pass, "eve", "r", 3_000), Err(StepUpError::Forged));
        assert_eq!(pass(&done.pass, "ann", "other", 3_000), Err(StepUpError::Forged));
        assert_eq!(pass(&challenge, "ann", "r", 3_000), Err(StepUpError::Forged), "a challenge is no pass");
        let longer = done.pass.replacen("602000", "902000", 1);
        assert_eq!(pass(&longer, "ann", "r", 3_000), Err(StepUpError::Forged));
    }
}
