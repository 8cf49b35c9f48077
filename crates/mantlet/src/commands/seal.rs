//! `mantlet sign` and `mantlet verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mantlet_registry::{TrustedKeys, disk};
use mantlet_seal::PublicKey;

use crate::protect::admit;
use crate::terminal::Terminal;

/// What to sign.
#[derive(Debug, Args)]
pub struct SignOptions {
    /// The model file or folder.
    path: PathBuf,
    /// Where the signature goes; beside the model when absent.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The private key (P-256, PEM); the installation's own when absent.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The installation whose key signs.
    #[arg(long, value_name = "DIR", default_value = ".mantlet")]
    storage: PathBuf,
}

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// The model file or folder.
    path: PathBuf,
    /// The signature; beside the model when absent.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The public key (PEM) that must have signed; the installation's trusted keys when absent.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The installation whose trusted keys count.
    #[arg(long, value_name = "DIR", default_value = ".mantlet")]
    storage: PathBuf,
}

/// Signs.
///
/// # Errors
/// When the model or the key cannot be read.
pub fn sign(terminal: Terminal, options: SignOptions) -> anyhow::Result<ExitCode> {
    let key = match &options.key {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            mantlet_seal::PrivateKey::from_pem(&text)
                .with_context(|| format!("{} cannot sign", path.display()))?
        }
        None => admit::signing_key(&options.storage)?,
    };
    let (manifest, signature) = disk::sign_path(&options.path, options.signature.as_deref(), &key)?;
    terminal.say(&format!(
        "signed {} file(s) of {} as {}\n{}",
        manifest.resources.len(),
        options.path.display(),
        manifest.root(),
        signature.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Verifies.
///
/// # Errors
/// When there is no key to verify with.
pub fn verify(terminal: Terminal, options: VerifyOptions) -> anyhow::Result<ExitCode> {
    let trusted = match &options.key {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            TrustedKeys(vec![
                PublicKey::from_pem(&text).with_context(|| format!("{} is no public key", path.display()))?,
            ])
        }
        None => admit::trusted_keys(&options.storage)?,
    };
    anyhow::ensure!(
        !trusted.0.is_empty(),
        "there is no key to verify with: name one with --key, or an installation with --storage"
    );
    let signature = match options.signature {
        Some(signature) => signature,
        None => disk::signature_beside(&options.path)?,
    };
    match disk::verify_path(&options.path, &signature, &trusted.0) {
        Ok(verified) => {
            terminal.say(&format!(
                "{} is what was signed: {} file(s), {}, key {}",
                options.path.display(),
                verified.files,
                verified.digest,
                verified.key_hint
            ));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            terminal.say(&format!("{} is NOT what was signed: {error:#}", options.path.display()));
            Ok(ExitCode::from(1))
        }
    }
}
