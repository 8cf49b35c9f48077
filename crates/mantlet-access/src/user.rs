//! People with passwords (Argon2id).

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use mantlet_vocab::Millis;
use serde::{Deserialize, Serialize};

use crate::Role;

/// Why a password cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too short to resist guessing.
    #[error("the password has {found} characters, at least {least} are needed")]
    Short {
        /// Characters found.
        found: usize,
        /// Characters needed.
        least: usize,
    },
    /// Longer than is hashed.
    #[error("the password has more than {most} bytes")]
    Long {
        /// Bytes allowed.
        most: usize,
    },
    /// The hash function refused.
    #[error("the password could not be hashed: {reason}")]
    Hash {
        /// Why.
        reason: String,
    },
}

/// Fewest characters of a password (NIST SP 800-63B-4 asks for 15 where it is the only factor, 8 at least;
/// 12 is our floor until a second factor exists).
const LEAST: usize = 12;
const MOST: usize = 1024;

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name to sign in with.
    pub name: String,
    /// What the person is trusted with.
    pub role: Role,
    /// Argon2id in PHC form.
    pub password: String,
    /// When the person was added.
    pub created: Millis,
    /// When the person was shut out.
    pub disabled: Option<Millis>,
}

impl User {
    /// A person with this password, hashed with 16 bytes of salt.
    ///
    /// # Errors
    /// When the password is too short or too long.
    pub fn new(
        name: impl Into<String>,
        role: Role,
        password: &str,
        salt: &[u8; 16],
        now: Millis,
    ) -> Result<Self, PasswordError> {
        let found = password.chars().count();
        if found < LEAST {
            return Err(PasswordError::Short { found, least: LEAST });
        }
        if password.len() > MOST {
            return Err(PasswordError::Long { most: MOST });
        }
        let hash = hasher()
            .hash_password_with_salt(password.as_bytes(), salt)
            .map_err(|fault| PasswordError::Hash { reason: fault.to_string() })?;
        Ok(Self { name: name.into(), role, password: hash.to_string(), created: now, disabled: None })
    }

    /// Whether this is the person's password. Takes some 20 ms of CPU: call it off the reactor. A disabled
    /// person never passes, after the same time.
    #[must_use]
    pub fn is_password(&self, password: &str) -> bool {
        let bounded = password.len() <= MOST;
        let password = if bounded { password } else { "" };
        let equal = PasswordHash::new(&self.password)
            .is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok());
        equal && bounded && self.disabled.is_none()
    }
}

/// Takes the time of one password check, for names that do not exist: an answer must not tell them apart.
pub fn spend_password_time(password: &str) {
    let bounded = if password.len() <= MOST { password } else { "" };
    let _ = hasher().hash_password_with_salt(bounded.as_bytes(), &[0; 16]);
}

/// Argon2id with 19 MiB, two passes, one lane: the OWASP password storage cheat sheet's first choice.
fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_and_checked() {
        let mut user = User::new("ada", Role::Operator, "a long password", &[7; 16], Millis(0)).unwrap();
        assert!(user.password.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", user.password);
        assert!(user.is_password("a long password") && !user.is_password("a long passwore"));
        assert!(!user.is_password(&"x".repeat(2000)));
        user.disabled = Some(Millis(1));
        assert!(!user.is_password("a long password"));
        spend_password_time("x");
        let broken = User { password: "$argon2id$nonsense".into(), disabled: None, ..user };
        assert!(!broken.is_password("") && !broken.is_password("a long password"));
    }

    #[test]
    fn short_and_long_passwords_are_refused_by_name() {
        let new = |password: &str| User::new("a", Role::Viewer, password, &[0; 16], Millis(0)).map(|_| ());
        assert_eq!(new("éééééééééé"), Err(PasswordError::Short { found: 10, least: 12 }));
        assert_eq!(new(&"x".repeat(1025)), Err(PasswordError::Long { most: 1024 }));
    }
}
