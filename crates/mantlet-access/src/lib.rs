//! Identities, API keys and sessions: who may do what.
//!
//! Nothing here reads a clock or makes randomness: instants and entropy come in as values. Secrets are shown
//! once, as a [`Secret`] whose `Debug` says nothing, and only their SHA-256 is ever kept. SHA-256 without a
//! slow function is enough for them because each is at least 256 bits of entropy; passwords, which are not,
//! go through Argon2id.

mod key;
mod role;
mod session;
mod user;

pub use key::{ApiKey, KeyError, KeyRing, NewKey, Scope};
pub use role::{Act, Role, may};
pub use session::{Attempts, Session};
pub use user::{PasswordError, User, spend_password_time};

/// A secret that is shown once and never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that shows or sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
