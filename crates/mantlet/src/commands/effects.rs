//! Tables of effects beside the shipped one: read, and believed only with a signature.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use mantlet_formats::pickle::Effects;
use mantlet_registry::disk;
use mantlet_seal::{Compat, Manifest, PublicKey};
use mantlet_vocab::Digest;

/// What the table is called in a folder.
const NAME: &str = "effects.txt";
/// Bytes of a table; the shipped one has 64 KiB.
const MAX_TABLE: u64 = 4 << 20;

/// The table of a file or folder, if the key signed it and it is not older than the shipped one.
///
/// # Errors
/// When a file cannot be read, the signature is missing or not by this key, or the table is not understood.
pub fn load(path: &Path, key: &Path) -> anyhow::Result<Effects> {
    let file: PathBuf = if path.is_dir() { path.join(NAME) } else { path.to_owned() };
    read(&file, key).with_context(|| format!("the table of effects {} is not used", file.display()))
}

fn read(file: &Path, key: &Path) -> anyhow::Result<Effects> {
    let pem = std::fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
    let key = PublicKey::from_pem(&pem).with_context(|| format!("{} is no public key", key.display()))?;
    let mut text = String::new();
    let opened = std::fs::File::open(file).context("cannot open it")?;
    opened.take(MAX_TABLE + 1).read_to_string(&mut text).context("cannot read it as text")?;
    let signature = disk::signature_beside(file)?;
    ensure!(
        signature.exists(),
        "it has no signature {}: make one with `mantlet sign {} --key KEY.pem`",
        signature.display(),
        file.display()
    );
    let verified = disk::verify_path(file, &signature, &[key])?;
    // What was verified are the bytes of the file then; what is judged by are the bytes read above.
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let read = Manifest::of_file(&name, Digest::of(text.as_bytes()), Compat::ModelSigning1)?;
    ensure!(read.root() == verified.digest, "it changed while it was read");
    Ok(Effects::read(&text)?)
}
