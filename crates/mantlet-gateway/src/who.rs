//! Who asks, as the layer of identity found out.

use std::ops::Deref;
use std::sync::Arc;

use mantlet_vocab::Millis;

/// Whose limits a caller counts towards beside its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Belongs {
    /// The user.
    pub user: Option<Arc<str>>,
    /// The tenant.
    pub tenant: Option<Arc<str>>,
}

/// What proved who the caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// An API key.
    Key,
    /// A provider's token, and when the provider saw the caller authenticate.
    Token(Belongs, Option<Millis>),
    /// A client certificate.
    Certificate,
    /// Nothing.
    Nothing,
}

/// A caller. Reads as its id: of its key, the claim of its token, or the name in its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) id: String,
    pub(crate) proof: Proof,
}

impl Deref for Who {
    type Target = str;

    fn deref(&self) -> &str {
        &self.id
    }
}
