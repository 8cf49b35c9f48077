//! The in-toto Statement v1: which digest a claim is about, and which kind of claim.

use mantlet_vocab::Digest;
use serde::Serialize;
use serde_json::Value;

use crate::manifest::raw_digest;
use crate::strict::{self, Node};
use crate::{Manifest, SealError, shorten};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The predicate of a model signature (OMS v1.0).
pub const PREDICATE_OMS: &str = "https://model_signing/signature/v1.0";

/// The predicate of our evidence attestation.
pub const PREDICATE_EVIDENCE: &str = "https://mantlet.invalid/attestation/evidence/v1";

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Base name of the model's path; informative.
    pub name: String,
    /// Root digest.
    pub digest: Digest,
}

/// A statement whose signature was checked by [`crate::Bundle::verify`], or that is about to be signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The one subject.
    pub subject: Subject,
    /// The kind of claim.
    pub predicate_type: String,
    predicate: Value,
}

#[derive(Serialize)]
struct StatementJson<'a, P> {
    #[serde(rename = "_type")]
    kind: &'static str,
    predicate: P,
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
    subject: [SubjectJson<'a>; 1],
}

#[derive(Serialize)]
struct SubjectJson<'a> {
    digest: DigestJson,
    name: &'a str,
}

#[derive(Serialize)]
struct DigestJson {
    sha256: String,
}

/// The payload of a statement, compact, members in a fixed order.
pub(crate) fn write<P: Serialize>(name: &str, root: Digest, predicate_type: &str, predicate: P) -> Vec<u8> {
    let subject = [SubjectJson { digest: DigestJson { sha256: root.hex() }, name }];
    let statement = StatementJson { kind: STATEMENT, predicate, predicate_type, subject };
    serde_json::to_vec(&statement).unwrap_or_default()
}

impl Statement {
    /// Reads a payload strictly: the type, exactly one subject with exactly a SHA-256, a predicate object.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn read(payload: &[u8]) -> Result<Self, SealError> {
        let value = strict::parse("payload", payload)?;
        let statement = Node::root(&value, "")?;
        statement.only(&["_type", "subject", "predicateType", "predicate"])?;
        statement.exactly("_type", STATEMENT)?;
        let subjects = statement.objects("subject")?;
        let [subject] = subjects.as_slice() else {
            return Err(SealError::Field { path: "subject".into(), expected: "a list of exactly one" });
        };
        let digest = subject.object("digest")?;
        digest.only(&["sha256"])?;
        let raw = raw_digest("subject", digest.text("sha256")?, 32)?;
        let mut root = [0; 32];
        root.copy_from_slice(&raw);
        statement.object("predicate")?;
        Ok(Self {
            subject: Subject { name: subject.text("name")?.to_owned(), digest: Digest(root) },
            predicate_type: statement.text("predicateType")?.to_owned(),
            predicate: statement.value("predicate").cloned().unwrap_or_default(),
        })
    }

    /// The predicate.
    #[must_use]
    pub const fn predicate(&self) -> &Value {
        &self.predicate
    }

    /// The manifest of a model signature, its root checked against the subject.
    ///
    /// # Errors
    /// When the statement is another kind of claim or its manifest breaks a rule.
    pub fn manifest(&self) -> Result<Manifest, SealError> {
        if self.predicate_type != PREDICATE_OMS {
            let found = shorten(&self.predicate_type);
            return Err(SealError::Predicate { found, expected: PREDICATE_OMS });
        }
        let predicate = Node::root(&self.predicate, "predicate")?;
        let manifest = Manifest::read(&self.subject.name, &predicate)?;
        let found = manifest.root();
        if found != self.subject.digest {
            return Err(SealError::WrongRoot { signed: self.subject.digest.hex(), found: found.hex() });
        }
        Ok(manifest)
    }
}
