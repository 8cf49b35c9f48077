//! Our evidence attestation: which scans and probes were run on these bytes, and what came of them.
//!
//! Shaped after in-toto's test-result predicate (`result`, `configuration`, named tests), with the digests of
//! the evidence files, so that a passport can be checked against the reports it rests on.

use mantlet_vocab::{Digest, Millis};
use serde::{Deserialize, Serialize};

use crate::{PREDICATE_EVIDENCE, SealError, Statement, shorten};

/// The outcome of a test or of all of them, in in-toto's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Nothing at or above the policy's threshold.
    Passed,
    /// Passed by a person's decision, or with remarks.
    Warned,
    /// Something at or above the threshold.
    Failed,
    /// Not run or not decided.
    NotExamined,
}

/// One test by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestOutcome {
    /// The rule, probe or attack.
    pub name: String,
    /// What came of it.
    pub result: Outcome,
    /// The figure or reason, in one line.
    pub note: String,
}

/// A file of evidence by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvidenceItem {
    /// Its name beside the passport.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
}

/// What was examined and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// The outcome of all tests together, by the policy.
    pub result: Outcome,
    /// When it was decided.
    pub at: Millis,
    /// Program and version.
    pub producer: String,
    /// Digest of the policy and configuration in force.
    pub configuration: Digest,
    /// The tests.
    pub tests: Vec<TestOutcome>,
    /// The files.
    pub evidence: Vec<EvidenceItem>,
}

impl Evidence {
    /// Reads the evidence of a verified statement.
    ///
    /// # Errors
    /// When it is another kind of claim or not in this form.
    pub fn read(statement: &Statement) -> Result<Self, SealError> {
        if statement.predicate_type != PREDICATE_EVIDENCE {
            let found = shorten(&statement.predicate_type);
            return Err(SealError::Predicate { found, expected: PREDICATE_EVIDENCE });
        }
        serde_json::from_value(statement.predicate().clone())
            .map_err(|fault| SealError::NotJson { part: "predicate", reason: shorten(&fault.to_string()) })
    }
}
