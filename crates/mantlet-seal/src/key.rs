//! ECDSA keys: P-256 to sign, P-256 and P-384 to verify.

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::elliptic_curve::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use sha2::{Digest as _, Sha256};

use crate::{SealError, hex};

/// A P-256 signing key. `Debug` shows its public hint only.
#[derive(Clone)]
pub struct PrivateKey(p256::SecretKey);

impl PrivateKey {
    /// A key from 32 bytes of entropy; ask again with others in the (2^-32) case that they are no scalar.
    ///
    /// # Errors
    /// When the entropy is zero or not below the group order.
    pub fn generate(entropy: &[u8; 32]) -> Result<Self, SealError> {
        p256::SecretKey::from_slice(entropy)
            .map(Self)
            .map_err(|_| SealError::Key { kind: "private", reason: "this entropy is no scalar, draw again" })
    }

    /// Reads an unencrypted PKCS#8 or SEC1 PEM of a P-256 key.
    ///
    /// # Errors
    /// When the text is anything else; the text is never repeated.
    pub fn from_pem(text: &str) -> Result<Self, SealError> {
        let reason = if text.contains("ENCRYPTED") {
            "it is encrypted; decrypt it with `openssl pkcs8` first"
        } else {
            "it is no P-256 key in PKCS#8 or SEC1 PEM"
        };
        p256::SecretKey::from_pkcs8_pem(text)
            .ok()
            .or_else(|| p256::SecretKey::from_sec1_pem(text).ok())
            .map(Self)
            .ok_or(SealError::Key { kind: "private", reason })
    }

    /// PKCS#8 PEM, to be written into a file nobody else can read (mode 0600).
    ///
    /// # Errors
    /// When encoding fails, which a valid key does not.
    pub fn to_pem(&self) -> Result<String, SealError> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF);
        pem.map(|pem| pem.to_string())
            .map_err(|_| SealError::Key { kind: "private", reason: "it cannot be written as PKCS#8" })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::P256(p256::ecdsa::VerifyingKey::from(self.0.public_key()))
    }

    /// ECDSA with SHA-256 over the message, nonce by RFC 6979, as ASN.1 DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let key = p256::ecdsa::SigningKey::from(&self.0);
        let signature: p256::ecdsa::Signature = key.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.public().hint())
    }
}

/// A key to verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// NIST P-256 with SHA-256.
    P256(p256::ecdsa::VerifyingKey),
    /// NIST P-384 with SHA-384.
    P384(p384::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo PEM.
    ///
    /// # Errors
    /// When the text is no such key on P-256 or P-384.
    pub fn from_pem(text: &str) -> Result<Self, SealError> {
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(text) {
            return Ok(Self::P256(key));
        }
        if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_pem(text) {
            return Ok(Self::P384(key));
        }
        Err(SealError::Key {
            kind: "public",
            reason: "it is no P-256 or P-384 key in SubjectPublicKeyInfo PEM (P-521 is not supported yet)",
        })
    }

    /// SubjectPublicKeyInfo PEM: 64 columns, LF, trailing LF, as `openssl ec -pubout` writes it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        match self {
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Self::P384(key) => key.to_public_key_pem(LineEnding::LF),
        }
        .unwrap_or_default()
    }

    /// The hint of OMS bundles: SHA-256 of the PEM text, in hexadecimal.
    #[must_use]
    pub fn hint(&self) -> String {
        hex(&Sha256::digest(self.to_pem()))
    }

    /// Whether the DER signature fits the message under this key and its curve's hash.
    #[must_use]
    pub(crate) fn fits(&self, message: &[u8], der: &[u8]) -> bool {
        match self {
            Self::P256(key) => p256::ecdsa::DerSignature::from_bytes(der)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::DerSignature::from_bytes(der)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}
