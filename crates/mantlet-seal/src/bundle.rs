//! The Sigstore bundle v0.3 around a DSSE envelope, signed and verified with keys.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mantlet_vocab::Digest;
use serde::Serialize;

use crate::strict::{self, Node};
use crate::{
    Compat, Evidence, HashKind, Manifest, Method, PrivateKey, PublicKey, SealError, Statement, statement,
};

/// The usual name of the bundle beside or inside a model's folder.
pub const SIGNATURE_NAME: &str = "model.sig";

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Bundles larger than this are refused unread; 100,000 resources need about 20 MB.
const MOST_BYTES: usize = 64 << 20;

/// The bytes a DSSE signature is over.
#[must_use]
pub fn pae(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// A bundle that was read and not yet verified. It gives nothing away before [`Bundle::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    hint: Hint,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hint {
    /// SHA-256 of the key's PEM text (reference 1.1 and later).
    Sha256(String),
    /// The key's PEM text itself (reference 0.3 to 1.0). It names the key and is never trusted.
    Pem(String),
    /// No hint: every trusted key is tried.
    None,
}

/// What a verified bundle says, and who said it.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// The statement.
    pub statement: Statement,
    /// The hint of the trusted key that signed it.
    pub key_hint: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleJson<'a> {
    media_type: &'static str,
    verification_material: MaterialJson,
    dsse_envelope: EnvelopeJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    public_key: HintJson,
    tlog_entries: [(); 0],
}

#[derive(Serialize)]
struct HintJson {
    hint: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeJson<'a> {
    payload: String,
    payload_type: &'static str,
    signatures: [SignatureJson<'a>; 1],
}

#[derive(Serialize)]
struct SignatureJson<'a> {
    sig: String,
    keyid: &'a str,
}

impl Bundle {
    /// Signs a model's manifest; the text of the bundle. The same manifest and key give the same text.
    #[must_use]
    pub fn sign_manifest(manifest: &Manifest, key: &PrivateKey) -> String {
        let predicate = manifest.predicate();
        Self::sign(&statement::write(&manifest.name, manifest.root(), crate::PREDICATE_OMS, predicate), key)
    }

    /// Signs the bytes of one file; the text of the bundle, which any verifier of model signatures takes.
    ///
    /// # Errors
    /// When no file can have the name.
    pub fn sign_bytes(name: &str, bytes: &[u8], key: &PrivateKey) -> Result<String, SealError> {
        let manifest = Manifest::of_file(name, Digest::of(bytes), Compat::ModelSigning1)?;
        Ok(Self::sign_manifest(&manifest, key))
    }

    /// Checks that a trusted key signed one file of exactly these bytes; gives the key's hint.
    ///
    /// # Errors
    /// Names the first rule the bundle breaks, or that it signs other bytes.
    pub fn verify_bytes(&self, bytes: &[u8], trusted: &[PublicKey]) -> Result<String, SealError> {
        let signed = self.verify(trusted)?;
        let manifest = signed.statement.manifest()?;
        let found = Digest::of(bytes);
        match manifest.resources.as_slice() {
            [only] if manifest.method == Method::Files && only.hash == HashKind::Sha256 => {
                if only.digest == found.0 {
                    return Ok(signed.key_hint);
                }
                Err(SealError::OtherBytes { signed: crate::hex(&only.digest), found: found.hex() })
            }
            _ => {
                Err(SealError::Field { path: "resources".into(), expected: "one whole file by its SHA-256" })
            }
        }
    }

    /// Signs evidence about the model with this name and root digest; the text of the bundle.
    #[must_use]
    pub fn sign_evidence(name: &str, root: Digest, evidence: &Evidence, key: &PrivateKey) -> String {
        Self::sign(&statement::write(name, root, crate::PREDICATE_EVIDENCE, evidence), key)
    }

    fn sign(payload: &[u8], key: &PrivateKey) -> String {
        let signature = key.sign(&pae(payload));
        let bundle = BundleJson {
            media_type: MEDIA_TYPE,
            verification_material: MaterialJson {
                public_key: HintJson { hint: key.public().hint() },
                tlog_entries: [],
            },
            dsse_envelope: EnvelopeJson {
                payload: STANDARD.encode(payload),
                payload_type: PAYLOAD_TYPE,
                signatures: [SignatureJson { sig: STANDARD.encode(signature), keyid: "" }],
            },
        };
        serde_json::to_string(&bundle).unwrap_or_default()
    }

    /// Reads a bundle strictly.
    ///
    /// # Errors
    /// Names the first rule it breaks.
    pub fn read(text: &[u8]) -> Result<Self, SealError> {
        if text.len() > MOST_BYTES {
            return Err(SealError::TooLarge { len: text.len(), most: MOST_BYTES });
        }
        let value = strict::parse("bundle", text)?;
        let bundle = Node::root(&value, "")?;
        bundle.only(&["mediaType", "verificationMaterial", "dsseEnvelope"])?;
        bundle.exactly("mediaType", MEDIA_TYPE)?;
        let hint = read_material(&bundle.object("verificationMaterial")?)?;
        let envelope = bundle.object("dsseEnvelope")?;
        envelope.only(&["payload", "payloadType", "signatures"])?;
        envelope.exactly("payloadType", PAYLOAD_TYPE)?;
        let signatures = envelope.objects("signatures")?;
        let [signature] = signatures.as_slice() else {
            return Err(SealError::SignatureCount { found: signatures.len() });
        };
        signature.only(&["sig", "keyid"])?;
        Ok(Self { hint, payload: decode(&envelope, "payload")?, signature: decode(signature, "sig")? })
    }

    /// Checks the signature against the trusted keys and reads the statement.
    ///
    /// # Errors
    /// Names the first rule it breaks.
    pub fn verify(&self, trusted: &[PublicKey]) -> Result<Signed, SealError> {
        let named = |key: &&PublicKey| match &self.hint {
            Hint::Sha256(hint) => key.hint() == *hint,
            Hint::Pem(pem) => PublicKey::from_pem(pem).is_ok_and(|named| named == **key),
            Hint::None => true,
        };
        let mut candidates = trusted.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(SealError::UntrustedKey { hint: self.hint_text(), trusted: trusted.len() });
        }
        let message = pae(&self.payload);
        let key = candidates
            .find(|key| key.fits(&message, &self.signature))
            .ok_or_else(|| SealError::WrongSignature { hint: self.hint_text() })?;
        Ok(Signed { statement: Statement::read(&self.payload)?, key_hint: key.hint() })
    }

    fn hint_text(&self) -> String {
        match &self.hint {
            Hint::Sha256(hint) => hint.clone(),
            Hint::Pem(pem) => PublicKey::from_pem(pem).map_or_else(|_| "(unreadable)".into(), |k| k.hint()),
            Hint::None => "(not named)".into(),
        }
    }
}

fn read_material(material: &Node<'_>) -> Result<Hint, SealError> {
    if material.has("x509CertificateChain") {
        return Err(SealError::CertificateMode);
    }
    if material.has("certificate") {
        return Err(SealError::SigstoreMode);
    }
    material.only(&["publicKey", "tlogEntries", "timestampVerificationData"])?;
    if material.has("tlogEntries") && !material.list("tlogEntries")?.is_empty() {
        return Err(SealError::SigstoreMode);
    }
    let key = material.object("publicKey")?;
    key.only(&["hint", "rawBytes", "keyDetails"])?;
    if key.has("rawBytes") {
        let pem = String::from_utf8(decode(&key, "rawBytes")?);
        return pem
            .map(Hint::Pem)
            .map_err(|_| SealError::Field { path: key.path("rawBytes"), expected: "the text of a PEM" });
    }
    if !key.has("hint") {
        return Ok(Hint::None);
    }
    let hint = key.text("hint")?;
    crate::manifest::raw_digest("hint", hint, 32)?;
    Ok(Hint::Sha256(hint.to_owned()))
}

fn decode(node: &Node<'_>, key: &str) -> Result<Vec<u8>, SealError> {
    STANDARD.decode(node.text(key)?).map_err(|_| SealError::Base64 { path: node.path(key) })
}
