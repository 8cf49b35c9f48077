//! Profiles are signed when they are made and verified whenever they are read: whoever changes one could hide a drift.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use mantlet_drift::Profile;
use mantlet_registry::disk;
use mantlet_seal::{Bundle, PublicKey};

use crate::exit::Usage;
use crate::protect::admit;

/// A profile is about a megabyte for twenty columns; a larger file is none.
const PROFILE_MOST: u64 = 256 << 20;
/// A signature of one file is about a kilobyte.
const SIGNATURE_MOST: u64 = 1 << 20;
/// A public key is a few lines.
const KEY_MOST: u64 = 16 << 10;

/// Whose profiles are taken.
#[derive(Debug, Args)]
pub struct Trusting {
    /// The installation whose trusted keys may have signed the profile; its key signs what is written.
    #[arg(long, value_name = "DIR", default_value = ".mantlet")]
    storage: PathBuf,
    /// A public key (PEM) that may have signed the profile, instead of the installation's.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Take a profile that nobody signed, for experiments on one machine; the report says so.
    #[arg(long)]
    accept_unsigned: bool,
}

/// A profile that was read.
#[derive(Debug)]
pub struct Known {
    /// The profile.
    pub profile: Profile,
    /// Its text, as it was signed.
    pub text: String,
    /// Its signature; nothing when it has none and that was accepted.
    pub seal: Option<String>,
}

impl Known {
    /// What the report has to say about it.
    pub fn gap(&self) -> Option<String> {
        let unsigned = "the profile carries no signature: nobody vouches that it is the reference's";
        self.seal.is_none().then(|| unsigned.to_owned())
    }
}

impl Trusting {
    /// The keys whose signatures count.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        if self.trust.is_empty() {
            return Ok(admit::trusted_keys(&self.storage)?.0);
        }
        let read = |path: &PathBuf| {
            let text = super::bounded(path, KEY_MOST)?;
            PublicKey::from_pem(&String::from_utf8_lossy(&text))
                .map_err(|error| Usage(format!("{}: {error}", path.display())).into())
        };
        self.trust.iter().map(read).collect()
    }

    /// The installation.
    pub fn storage(&self) -> &Path {
        &self.storage
    }

    /// Whether a profile without a signature is taken.
    pub const fn accepts_unsigned(&self) -> bool {
        self.accept_unsigned
    }

    /// Reads a profile and verifies who signed it.
    ///
    /// # Errors
    /// When it is no profile, nobody whose key is trusted signed it, or it was changed since.
    pub fn read(&self, path: &Path) -> anyhow::Result<Known> {
        let bytes = super::bounded(path, PROFILE_MOST)?;
        let refused = |why: String| Usage(format!("the profile {} is refused: {why}", path.display()));
        let wrong = |why: String| {
            Usage(format!("{} is no profile: {why}; make it with `mantlet monitor baseline`", path.display()))
        };
        let signature = disk::signature_beside(path)?;
        let seal = if signature.exists() {
            let (seal, keys) = (super::bounded(&signature, SIGNATURE_MOST)?, self.keys()?);
            Bundle::read(&seal)
                .and_then(|bundle| bundle.verify_bytes(&bytes, &keys))
                .map_err(|error| refused(error.to_string()))?;
            Some(String::from_utf8_lossy(&seal).into_owned())
        } else {
            None
        };
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
        let profile: Profile = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        profile.check().map_err(|error| wrong(error.to_string()))?;
        if seal.is_none() && !self.accept_unsigned {
            return Err(refused(format!(
                "it has no signature {}; make it anew with `mantlet monitor baseline`, sign it with `mantlet sign`, or \
                 say --accept-unsigned",
                signature.display()
            ))
            .into());
        }
        Ok(Known { profile, text, seal })
    }
}

/// Writes a profile and its signature beside it; gives the place of the signature.
///
/// # Errors
/// When the key cannot be read or made, or a file cannot be written.
pub fn write(out: &Path, profile: &Profile, storage: &Path) -> anyhow::Result<PathBuf> {
    let text = serde_json::to_vec(profile)?;
    let seal = seal(&text, storage)?;
    super::keep(out, &text)?;
    let signature = disk::signature_beside(out)?;
    super::keep(&signature, seal.as_bytes())?;
    Ok(signature)
}

/// The signature of a profile's text by the installation's own key.
///
/// # Errors
/// When the key cannot be read or made.
pub fn seal(text: &[u8], storage: &Path) -> anyhow::Result<String> {
    let key = admit::signing_key(storage)
        .with_context(|| format!("the installation {} has no key to sign with", storage.display()))?;
    Ok(Bundle::sign_bytes("profile.json", text, &key)?)
}
