//! Models on disk: hashing a file or folder into a manifest, signing it, and checking it against a bundle.
//!
//! What is covered is what OMS covers: every regular file, empty and hidden ones too, except the signature
//! itself and the root's `.git`, `.gitattributes`, `.github` and `.gitignore`. A symbolic link or special file
//! is an error, signed or not, so that nothing outside the folder is ever read.

mod stamp;
mod walk;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use mantlet_seal::{
    Bundle, Compat, Difference, Evidence, HashKind, Manifest, PrivateKey, PublicKey, SIGNATURE_NAME,
    SealError,
};
use mantlet_vocab::Digest;
use sha2::{Digest as _, Sha256};

use crate::{ModelVersion, Verified, Verifier};
pub use stamp::Stamp;
use walk::{base_name, digests, io, kind, relative, walk};

/// Left out at the root of a folder, as the reference does.
const IGNORED: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// Name of the evidence attestation beside the signature.
pub const EVIDENCE_NAME: &str = "model.evidence.sig";

/// Files a manifest may have at most; a folder with more is not a model.
const MOST_FILES: usize = 200_000;

/// Why bytes on disk are not what was signed, or could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The operating system refused.
    #[error("cannot {verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link, socket, pipe or device.
    #[error("{path} is neither a file nor a folder; models with links or special files are not signed")]
    Special {
        /// Where.
        path: PathBuf,
    },
    /// A name that is not UTF-8.
    #[error("the name of {path} is not UTF-8, which a signature cannot name; rename it")]
    Name {
        /// Where.
        path: PathBuf,
    },
    /// Too many files.
    #[error("{path} holds more than {most} files; sign the model's own folder")]
    TooMany {
        /// Where.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
    /// No signature was recorded.
    #[error("there is no signature for {path}; run `mantlet protect` to examine and sign it")]
    Unsigned {
        /// The model.
        path: PathBuf,
    },
    /// The bundle is not acceptable.
    #[error("the signature {path} is not acceptable")]
    Seal {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// The manifest cannot be made.
    #[error("no manifest can be made of {path}")]
    Manifest {
        /// The model.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// The bytes are not the signed ones.
    #[error("{path} is not what was signed: {}", list(differences))]
    Differs {
        /// The model.
        path: PathBuf,
        /// Each difference.
        differences: Vec<Difference>,
    },
    /// A hash that is not computed here.
    #[error("the signature uses {hash}, which is not supported yet; sign with sha256")]
    Hash {
        /// Its name.
        hash: &'static str,
    },
}

fn list(differences: &[Difference]) -> String {
    let shown: Vec<String> = differences.iter().take(5).map(ToString::to_string).collect();
    let more = differences.len().saturating_sub(shown.len());
    if more > 0 { format!("{}, and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Keys whose signatures count.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(pub Vec<PublicKey>);

impl Verifier for TrustedKeys {
    fn verify(&self, version: &ModelVersion) -> Result<Verified, DiskError> {
        let unsigned = || DiskError::Unsigned { path: version.path.clone() };
        let signature = version.signature.as_ref().ok_or_else(unsigned)?;
        verify_path(&version.path, signature, &self.0)
    }

    fn stamp(&self, version: &ModelVersion) -> Result<Option<Stamp>, DiskError> {
        match &version.signature {
            Some(signature) => Stamp::of(&version.path, signature),
            None => Ok(None),
        }
    }
}

/// SHA-256 of a file, read in bounded pieces.
///
/// # Errors
/// When it cannot be read.
pub fn digest_file(path: &Path) -> Result<Digest, DiskError> {
    let mut file = File::open(path).map_err(io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer).map_err(io("read", path))? {
            0 => return Ok(Digest(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The manifest of a model's file or folder as it is now. `signature` and what stands beside it of ours
/// ([`SIGNATURE_NAME`], [`EVIDENCE_NAME`]) are left out and recorded as ignored.
///
/// # Errors
/// When something cannot be read, is a link, or has a name that cannot be signed.
pub fn manifest_of(path: &Path, signature: Option<&Path>) -> Result<Manifest, DiskError> {
    let name = base_name(path)?;
    let made = |source| DiskError::Manifest { path: path.to_owned(), source };
    if !kind(path)?.is_dir() {
        return Manifest::of_file(&name, digest_file(path)?, Compat::ModelSigning1).map_err(made);
    }
    let mut ignored: Vec<String> = IGNORED.map(str::to_owned).to_vec();
    ignored.extend([SIGNATURE_NAME.to_owned(), EVIDENCE_NAME.to_owned()]);
    if let Some(inside) = signature.and_then(|signature| relative(path, signature)) {
        ignored.push(inside);
    }
    let mut files = Vec::new();
    for (name, file) in walk(path, &ignored)? {
        files.push((name, digest_file(&file)?));
    }
    Manifest::of_files(name, files, ignored).map_err(made)
}

/// Hashes a model, signs its manifest and writes the bundle; `<folder>/model.sig` or `<file>.sig` when
/// `signature` is `None`. Gives the manifest and where the bundle is.
///
/// # Errors
/// As [`manifest_of`], and when the bundle cannot be written.
pub fn sign_path(
    path: &Path,
    signature: Option<&Path>,
    key: &PrivateKey,
) -> Result<(Manifest, PathBuf), DiskError> {
    let signature = match signature {
        Some(signature) => signature.to_owned(),
        None => signature_beside(path)?,
    };
    let manifest = manifest_of(path, Some(&signature))?;
    write_whole(&signature, Bundle::sign_manifest(&manifest, key).as_bytes(), false)?;
    Ok((manifest, signature))
}

/// Signs evidence about a signed model and writes it beside the signature; gives path and digest.
///
/// # Errors
/// When it cannot be written.
pub fn sign_evidence(
    manifest: &Manifest,
    evidence: &Evidence,
    signature: &Path,
    key: &PrivateKey,
) -> Result<(PathBuf, Digest), DiskError> {
    let name = signature.file_name().and_then(|name| name.to_str()).unwrap_or(SIGNATURE_NAME);
    let stem = name.strip_suffix(".sig").unwrap_or(name);
    let path = signature.with_file_name(format!("{stem}.evidence.sig"));
    let text = Bundle::sign_evidence(&manifest.name, manifest.root(), evidence, key);
    write_whole(&path, text.as_bytes(), false)?;
    Ok((path, Digest::of(text.as_bytes())))
}

/// Reads and verifies an evidence attestation; it must be about `root`.
///
/// # Errors
/// Names what is wrong.
pub fn verify_evidence(path: &Path, root: Digest, trusted: &[PublicKey]) -> Result<Evidence, DiskError> {
    let bundle = read_bundle(path)?;
    let seal = |source| DiskError::Seal { path: path.to_owned(), source };
    let signed = bundle.verify(trusted).map_err(seal)?;
    let evidence = Evidence::read(&signed.statement).map_err(seal)?;
    let subject = signed.statement.subject.digest;
    if subject != root {
        return Err(seal(SealError::WrongRoot { signed: subject.hex(), found: root.hex() }));
    }
    Ok(evidence)
}

/// Verifies a model's file or folder against a bundle: signature first, then every byte, and nothing unsigned
/// in the folder.
///
/// # Errors
/// Names the first rule broken or each difference.
pub fn verify_path(path: &Path, signature: &Path, trusted: &[PublicKey]) -> Result<Verified, DiskError> {
    verify_path_without(path, signature, trusted, &[])
}

/// As [`verify_path`], leaving these relative paths of the folder out as well: for bundles that were made with
/// some left out and do not record which (`model-signing` before 1.1).
///
/// # Errors
/// As [`verify_path`].
pub fn verify_path_without(
    path: &Path,
    signature: &Path,
    trusted: &[PublicKey],
    without: &[String],
) -> Result<Verified, DiskError> {
    let bundle = read_bundle(signature)?;
    let seal = |source| DiskError::Seal { path: signature.to_owned(), source };
    let signed = bundle.verify(trusted).map_err(seal)?;
    let manifest = signed.statement.manifest().map_err(seal)?;
    if manifest.hash != HashKind::Sha256 {
        return Err(DiskError::Hash { hash: manifest.hash.word() });
    }
    let found = digests(path, signature, &manifest, without)?;
    let differences = manifest.differences(&found);
    if !differences.is_empty() {
        return Err(DiskError::Differs { path: path.to_owned(), differences });
    }
    Ok(Verified { digest: manifest.root(), key_hint: signed.key_hint, files: found.len() })
}

/// Where the bundle of a model is written by default.
///
/// # Errors
/// When the model is not there.
pub fn signature_beside(path: &Path) -> Result<PathBuf, DiskError> {
    if kind(path)?.is_dir() {
        return Ok(path.join(SIGNATURE_NAME));
    }
    Ok(path.with_file_name(format!("{}.sig", base_name(path)?)))
}

/// Writes a file whole or not at all: a temporary beside it, flushed, then renamed. `private` makes it
/// readable by its owner only, from the first byte on.
///
/// # Errors
/// When it cannot be written; the temporary is removed.
pub fn write_whole(path: &Path, bytes: &[u8], private: bool) -> Result<(), DiskError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o644 });
    let written = options
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        });
    written.map_err(|fault| {
        let _ = fs::remove_file(&temporary);
        io("write", path)(fault)
    })
}

fn read_bundle(path: &Path) -> Result<Bundle, DiskError> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(io("read", path))?;
    file.take((64 << 20) + 1).read_to_end(&mut text).map_err(io("read", path))?;
    Bundle::read(&text).map_err(|source| DiskError::Seal { path: path.to_owned(), source })
}
