//! Digests, manifests, OMS and DSSE envelopes, and transparency-log arithmetic.
//!
//! Pure: files are hashed by the engines and come in as digests; keys come in as text or entropy. Signing is
//! deterministic (RFC 6979 for ECDSA, Ed25519 by nature), so the same input gives the same bytes.
//!
//! * [`Manifest`], [`Bundle`]: OpenSSF Model Signing v1.0 in key mode, strict where its reference is lenient.
//! * [`Evidence`]: our in-toto predicate that ties scans and probes to a model's root digest.
//! * [`log`]: RFC 6962 hashes and proofs, C2SP checkpoints, signed notes and tiles.

mod bundle;
mod error;
mod evidence;
mod key;
pub mod log;
mod manifest;
mod statement;
mod strict;

pub use bundle::{Bundle, SIGNATURE_NAME, Signed, pae};
pub use error::SealError;
pub use evidence::{Evidence, EvidenceItem, Outcome, TestOutcome};
pub use key::{PrivateKey, PublicKey};
pub use manifest::{Compat, Difference, HashKind, Manifest, Method, Resource};
pub use statement::{PREDICATE_EVIDENCE, PREDICATE_OMS, Statement, Subject};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}
