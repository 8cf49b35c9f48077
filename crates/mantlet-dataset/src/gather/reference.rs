//! The profile of a reference as it travels with a job: the text that was signed.

use std::sync::Arc;

use mantlet_drift::{ColumnProfile, DriftError, Profile};
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// The profile of a reference, with its text and whose signature is under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Reference {
    profile: Arc<Profile>,
    text: Arc<str>,
    seal: Option<Arc<str>>,
}

/// A reference as it travels: the text that was signed, and nothing that was made of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
    seal: Option<String>,
}

impl From<Reference> for Written {
    fn from(reference: Reference) -> Self {
        Self { text: reference.text.to_string(), seal: reference.seal.map(|seal| seal.to_string()) }
    }
}

impl TryFrom<Written> for Reference {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let profile: Profile = serde_json::from_str(&written.text).map_err(|error| error.to_string())?;
        profile.check().map_err(|error| error.to_string())?;
        Ok(Self::signed(profile, written.text, written.seal))
    }
}

impl Reference {
    /// A profile that was made just now.
    ///
    /// # Errors
    /// When it cannot be written as text.
    pub fn of(profile: Profile) -> Result<Self, DatasetError> {
        let text = serde_json::to_string(&profile).map_err(|_| DriftError::Counts)?;
        Ok(Self::signed(profile, text, None))
    }

    /// A profile that was read as this text, and its signature.
    #[must_use]
    pub fn signed(profile: Profile, text: String, seal: Option<String>) -> Self {
        Self { profile: Arc::new(profile), text: text.into(), seal: seal.map(Into::into) }
    }

    /// The same profile under this signature.
    #[must_use]
    pub fn under(self, seal: String) -> Self {
        Self { seal: Some(seal.into()), ..self }
    }

    /// The same profile without a signature.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { seal: None, ..self }
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> &[ColumnProfile] {
        &self.profile.columns
    }

    /// The text, as it was signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature, which whoever reads the profile has to verify.
    #[must_use]
    pub fn seal(&self) -> Option<&str> {
        self.seal.as_deref()
    }
}
